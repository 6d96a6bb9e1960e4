"""Checkpoints: the tensors of every fold in one safetensors file, which also holds their hash.
Pickle is not used.

Estimators of other libraries lie in a file of their own; see `learn.foreign`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as packed
from torch import Tensor

from gpuquant import disk
from gpuquant.errors import DataError


def save(tensors: list[dict[str, Tensor]], path: Path, record: str = "") -> str:
    """Write the parameters of every fold, and a record of what they are of; the hash that the file
    holds of both.
    """
    flat = {
        f"{k}.{name}": tensor.contiguous().cpu()
        for k, fold in enumerate(tensors)
        for name, tensor in fold.items()
    }
    metadata = {"sha256": _digest(flat, record), "folds": str(len(tensors)), "record": record}
    disk.write(path, packed(flat, metadata=metadata))
    return metadata["sha256"]


def record(path: Path) -> str:
    """The record in a checkpoint that `load` has read."""
    with safe_open(path, framework="pt") as file:
        return str((file.metadata() or {}).get("record", ""))


def load(path: Path) -> list[dict[str, Tensor]]:
    """The parameters of every fold.

    Raises
    ------
    DataError
        There is no such file, or it is not the one that was written.
    """
    disk.present(path, "checkpoint")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # SIM118: the file is no mapping
            flat = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as failure:
        raise DataError(f"checkpoint {path} is damaged: {failure}") from failure
    if metadata.get("sha256") != _digest(flat, metadata.get("record", "")):
        raise DataError(
            f"checkpoint {path} is damaged or was changed: its tensors are not those of "
            f"its hash {str(metadata.get('sha256'))[:12]}"
        )
    if not metadata.get("folds", "").isdecimal() or len(metadata["folds"]) > 6:
        raise DataError(f"checkpoint {path} does not say how many folds it has")
    out: list[dict[str, Tensor]] = [{} for _ in range(int(metadata["folds"]))]
    for name, tensor in flat.items():
        fold, _, parameter = name.partition(".")
        if not fold.isdecimal() or int(fold) >= len(out):
            raise DataError(f"checkpoint {path}: {name!r} belongs to none of its {len(out)} folds")
        out[int(fold)][parameter] = tensor
    return out


def _digest(tensors: dict[str, Tensor], record: str) -> str:
    """A hash of a record and of tensors: their names, types, shapes and bytes."""
    result = hashlib.sha256(record.encode())
    for name, tensor in sorted(tensors.items()):
        result.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        result.update(
            tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
            if tensor.numel()
            else b""
        )
    return result.hexdigest()
