"""A hedge or a surrogate in one file: a record in JSON, checked field by field, and tensors in
safetensors with their hash. Nothing in it is executed.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpuquant import serialize
from gpuquant.errors import DataError, GpuquantError, InputError
from gpuquant.family import names
from gpuquant.learn import checkpoint, members
from gpuquant.learn.config import History, TrainingConfig
from gpuquant.learn.hedging import DeepHedger, Hedge
from gpuquant.learn.surrogate import FittedSurrogate, Scale, Surrogate

EMPTY = History(np.empty((1, 0)), np.empty((1, 0)), "loaded")
MOST = 1 << 12  # assets of a hedge


def save(fitted: Hedge | FittedSurrogate, path: str | Path) -> None:
    """Write what was learnt, without the history of its training.

    Parameters
    ----------
    fitted : Hedge or FittedSurrogate
    path : path

    Raises
    ------
    InputError
        It holds something that could not be read back, such as a function of the caller's.
    """
    if isinstance(fitted, Hedge):
        maker: Any = fitted.hedger
        beside = {"scale": fitted.scale, "assets": torch.tensor(fitted.assets)}
    elif isinstance(fitted, FittedSurrogate):
        maker = fitted.surrogate
        one = fitted.scale
        parts = [*one.centre, *one.spread, one.level, one.size]
        beside = {"scale": torch.tensor(parts, dtype=torch.float64)}
    else:
        raise InputError(
            f"{type(fitted).__name__}: must be what DeepHedger or Surrogate gives; a trained "
            "strategy is saved with its portfolio"
        )
    record = json.dumps(serialize.encode(maker, _records()))
    weights = {f"weights.{name}": value for name, value in fitted.weights.items()}
    checkpoint.save([{**weights, **beside}], Path(path), record)


def load(
    path: str | Path, *, allow: Iterable[type] = (), device: str = "cpu"
) -> Hedge | FittedSurrogate:
    """Read what `save` has written.

    Parameters
    ----------
    path : path
    allow : iterable of type
        Networks of the caller's own that the file may hold.
    device : str
        Of torch, on which it will work.

    Raises
    ------
    DataError
        The file is damaged, or holds a class that is not allowed. The message names it.
    """
    if isinstance(allow, type) or not all(isinstance(cls, type) for cls in allow):
        raise InputError(f"allow = {allow!r}: must be a list of classes")
    known = _records() | {serialize.qualified(cls): cls for cls in allow}
    try:
        return _loaded(Path(path), known, device)
    except GpuquantError:
        raise
    except Exception as failure:  # a damaged or hostile file can raise any error
        raise DataError(f"{path} cannot be read: {type(failure).__name__}: {failure}") from failure


def _loaded(path: Path, known: Mapping[str, type], device: str) -> Hedge | FittedSurrogate:
    folds = checkpoint.load(path)
    if len(folds) != 1:
        raise DataError(f"{path} has {len(folds)} folds: must have one")
    record = serialize.parsed(checkpoint.record(path), str(path))
    maker = serialize.decode(record, known, str(path))
    scale = folds[0].pop("scale", torch.empty(0))
    assets = folds[0].pop("assets", torch.empty(0))
    weights = {name.removeprefix("weights."): value for name, value in folds[0].items()}
    if isinstance(maker, DeepHedger) and scale.ndim == 2 and len(scale) == 2:
        if assets.numel() != 1 or assets.dtype != torch.int64 or not 1 <= int(assets) <= MOST:
            raise DataError(f"{path}: assets must be one whole number from 1 to {MOST}")
        count = int(assets)
        _positive(scale, scale[1], path)
        shape = scale.shape[1] + count, count
        members.fitting(lambda: maker.made(*shape), weights, 1, str(path))
        return Hedge(maker, weights, scale.to(device), EMPTY, count, device)
    if isinstance(maker, Surrogate) and scale.ndim == 1 and len(scale) >= 4:
        numbers = scale.double().numpy()
        columns = (len(numbers) - 2) // 2
        own = Scale(
            numbers[:columns], numbers[columns : 2 * columns], float(numbers[-2]), numbers[-1]
        )
        _positive(scale, torch.from_numpy(np.append(own.spread, own.size)), path)
        members.fitting(
            lambda: members.member(maker.network, (1, columns), maker.seed), weights, 1, str(path)
        )
        return FittedSurrogate(maker, weights, own, EMPTY, device)
    raise DataError(f"{path}: holds neither a hedge nor a surrogate with its scale")


def _positive(scale: Tensor, spread: Tensor, path: Path) -> None:
    if not bool(torch.isfinite(scale).all()) or not bool((spread > 0).all()):
        raise DataError(f"{path}: scale must hold finite numbers, and spreads > 0")


def _records() -> dict[str, type]:
    """The classes that a file may hold."""
    result: dict[str, type] = {
        "learn.DeepHedger": DeepHedger,
        "learn.Surrogate": Surrogate,
        "learn.TrainingConfig": TrainingConfig,
    }
    for family in ("learn.networks", "learn.losses"):
        for name, module in names(f"gpuquant.{family}").items():
            result[f"{family}.{name}"] = getattr(importlib.import_module(module), name)
    return result
