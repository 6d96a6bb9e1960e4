"""Checkpoints: tensors in safetensors with a hash beside them; nothing is pickled.

An estimator of another library is not ours to write: saving one raises, and the caller keeps it as its library says.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from gpuquant.errors import DataError


def save(tensors: list[dict[str, Tensor]], path: Path) -> str:
    """Write the parameters of every fold; the SHA-256 of the file, which is also kept beside it."""
    flat = {f"{k}.{name}": tensor.contiguous().cpu() for k, fold in enumerate(tensors) for name, tensor in fold.items()}
    save_file(flat, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps({"sha256": digest, "folds": len(tensors)}))
    return digest


def load(path: Path) -> list[dict[str, Tensor]]:
    """The parameters of every fold.

    Raises
    ------
    DataError
        The file is not the one that was written.
    """
    if not path.exists():
        raise DataError(f"checkpoint {path} does not exist")
    kept = json.loads(path.with_suffix(".json").read_text())
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != kept["sha256"]:
        raise DataError(f"checkpoint {path} has hash {found[:12]}, not {kept['sha256'][:12]}: it is damaged or was changed")
    out: list[dict[str, Tensor]] = [{} for _ in range(kept["folds"])]
    for name, tensor in load_file(path).items():
        fold, parameter = name.split(".", 1)
        out[int(fold)][parameter] = tensor
    return out
