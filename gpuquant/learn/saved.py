"""A hedge or a surrogate in one file: a record in JSON, checked field by field, and tensors in
safetensors with their hash. Nothing in it is executed.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gpuquant import serialize
from gpuquant.errors import DataError, InputError
from gpuquant.family import names
from gpuquant.learn import checkpoint, members
from gpuquant.learn.hedging import DeepHedger, Hedge
from gpuquant.learn.optimise import History, TrainingConfig
from gpuquant.learn.surrogate import FittedSurrogate, Scale, Surrogate

EMPTY = History(np.empty((1, 0)), np.empty((1, 0)), "loaded")
MOST_ASSETS = 1 << 12


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


def load(path: str | Path, *, allow: Iterable[type] = ()) -> Hedge | FittedSurrogate:
    """Read what `save` has written.

    Parameters
    ----------
    path : path
    allow : iterable of type
        Networks of the caller's own that the file may hold.

    Raises
    ------
    DataError
        The file is damaged, or holds a class that is not allowed. The message names it.
    """
    path = Path(path)
    known = _records() | {serialize.qualified(cls): cls for cls in allow}
    folds = checkpoint.load(path)
    if len(folds) != 1:
        raise DataError(f"{path} has {len(folds)} folds: must have one")
    record = serialize.parsed(checkpoint.record(path), str(path))
    maker = serialize.decode(record, known, str(path))
    scale = folds[0].pop("scale", torch.empty(0))
    weights = {name.removeprefix("weights."): value for name, value in folds[0].items()}
    if not bool(torch.isfinite(scale).all()):
        raise DataError(f"{path}: scale must hold finite numbers")
    if isinstance(maker, DeepHedger) and scale.ndim == 2 and len(scale) == 2:
        assets = int(weights.pop("assets", torch.tensor(1)).reshape(-1)[0])
        columns = scale.shape[1] + min(max(assets, 1), MOST_ASSETS)
        made = members.member(maker.network, (1, columns), maker.seed)
        return Hedge(maker, _fitting(made, weights, path), scale, EMPTY, assets)
    if isinstance(maker, Surrogate) and scale.ndim == 1 and len(scale) >= 4:
        numbers = scale.numpy()
        columns = (len(numbers) - 2) // 2
        parts = numbers[:columns], numbers[columns : 2 * columns]
        made = members.member(maker.network, (1, columns), maker.seed)
        own = Scale(*parts, float(numbers[-2]), float(numbers[-1]))
        return FittedSurrogate(maker, _fitting(made, weights, path), own, EMPTY)
    raise DataError(f"{path}: holds neither a hedge nor a surrogate with its scale")


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


def _fitting(network: nn.Module, weights: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The weights, which must be those of one member of the network.

    Raises
    ------
    DataError
        One is missing, unknown, of another shape or not finite. The message names it.
    """
    shapes = {name: (1, *value.shape) for name, value in network.state_dict().items()}
    for name in sorted(set(shapes) ^ set(weights)):
        raise DataError(
            f"{path}: {name!r} is {'missing' if name in shapes else 'no tensor of this network'}"
        )
    for name, value in weights.items():
        if tuple(value.shape) != shapes[name]:
            raise DataError(
                f"{path}: {name} has shape {tuple(value.shape)}: must be {shapes[name]}"
            )
        if not bool(torch.isfinite(value).all()):
            raise DataError(f"{path}: {name} must hold finite numbers")
    return weights
