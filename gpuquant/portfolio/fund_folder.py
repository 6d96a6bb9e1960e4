"""A portfolio as a folder: how each position is written to files and read back. Reading trusts no
file: all content is checked.

Positions are numbered, so that their names are data and never paths. `0.parquet` holds contracts. A
strategy is `1.json`, with its weights in `1.safetensors`, its forecasts in `1.parquet`, their
information coefficients in `1-information.parquet`, and estimators of other libraries in `1.skops`.
`portfolio.json` lists the name and the kind of each position.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from inspect import isfunction
from pathlib import Path
from typing import Any

import numpy as np

from gpuquant import disk, serialize
from gpuquant.data.arrow import read_frame, table, write_table
from gpuquant.errors import DataError, GpuquantError, InputError
from gpuquant.family import names
from gpuquant.features.base import Feature
from gpuquant.forecast import Forecast
from gpuquant.portfolio import snapshot
from gpuquant.portfolio.portfolio import Portfolio
from gpuquant.portfolio.strategy import Strategy
from gpuquant.portfolio.trained import LATER_DATA, WALK_FORWARD, Trained
from gpuquant.pricing.contracts import Contracts
from gpuquant.validation.overfitting import Counted, TrialLog

FAMILIES = (
    "features",
    "sizing",
    "rules",
    "models",
    "costs",
    "learn.networks",
    "learn.losses",
    "learn.labels",
)
LEARN = {
    "learn.Learner": "gpuquant.learn.learner",
    "learn.TrainingConfig": "gpuquant.learn.config",
    "learn.Ridge": "gpuquant.learn.ridge",
    **{f"learn.weights.{name}": "gpuquant.learn.weights" for name in ("Uniqueness", "TimeDecay")},
}
Writers = dict[str, Callable[[Path], None]]


def records(allow: Iterable[type] = ()) -> dict[str, type]:
    """The classes that a saved fund may hold, by the names they have there, and those of the
    caller's own that are allowed.
    """
    result: dict[str, type] = {"Strategy": Strategy}
    known = dict(LEARN)
    for family in FAMILIES:
        known |= {
            f"{family}.{name}": module for name, module in names(f"gpuquant.{family}").items()
        }
    for name, module in known.items():
        result[name] = getattr(importlib.import_module(module), name.rsplit(".", 1)[1])
    if isinstance(allow, type) or not isinstance(allow, Iterable):
        raise InputError(f"allow = {allow!r}: must be a list of classes")
    for cls in allow:
        if not isinstance(cls, type) and not isfunction(cls):
            raise InputError(f"allow = [{cls!r}]: must hold classes, or functions of estimators")
        result[serialize.qualified(cls)] = cls
    return result


def save(fund: Portfolio, folder: Any) -> None:
    """Write a portfolio; see `Portfolio.save`."""
    known = records()
    writers: Writers = {}
    entries: list[dict[str, Any]] = []
    for k, (name, position) in enumerate(fund.positions.items()):
        if isinstance(position, Strategy):
            writers |= _strategy(position, k, known)
            entries.append({"name": name, "kind": "strategy", "value": None})
        elif isinstance(position, Contracts):
            writers[f"{k}.parquet"] = position.to_parquet
            entries.append({"name": name, "kind": "contracts", "value": None})
        elif isinstance(position, Mapping):
            entries.append(
                {
                    "name": name,
                    "kind": "shares",
                    "value": {asset: float(v) for asset, v in position.items()},
                }
            )
        else:
            entries.append({"name": name, "kind": "cash", "value": float(position)})
    trials = None if fund.ledger is None else list(fund.ledger.trials())
    writers["portfolio.json"] = _text({"positions": entries, "trials": trials})
    snapshot.save(folder, writers)


def load(
    folder: Any, *, allow: Iterable[type] = (), ledger: Any = None, previous: bool = False
) -> Portfolio:
    """Read a portfolio; see `Portfolio.load`."""
    try:
        return _load(folder, records(allow), ledger, previous)
    except GpuquantError:
        raise
    except Exception as failure:  # a damaged or hostile file can raise any error
        raise DataError(
            f"{folder} cannot be read: {type(failure).__name__}: {failure}"
        ) from failure


def _load(folder: Any, known: Mapping[str, type], ledger: Any, previous: bool) -> Portfolio:
    """The portfolio in a folder."""
    with snapshot.opened(folder, previous=previous) as files:
        path = _file(files, "portfolio.json", folder)
        kept = serialize.fits_schema(
            serialize.read_json(path),
            {"positions": list[dict[str, Any]], "trials": list[float] | None},
            str(path),
        )
        positions: dict[str, Any] = {}
        for k, entry in enumerate(kept["positions"]):
            serialize.fits_schema(
                entry,
                {"name": str, "kind": str, "value": float | dict[str, float] | None},
                f"{path}: position {k}",
            )
            if entry["name"] in positions:
                raise DataError(f"{path}: position {k}: the name {entry['name']!r} stands twice")
            positions[entry["name"]] = _position(entry, k, files, known, folder)
    result: Any = ledger if ledger is None or isinstance(ledger, TrialLog) else TrialLog(ledger)
    if result is None and kept["trials"] is not None:
        result = Counted.of(kept["trials"], str(path))
    return Portfolio(positions, result)


def _position(
    entry: Mapping[str, Any],
    k: int,
    files: Mapping[str, Path],
    known: Mapping[str, type],
    folder: Any,
) -> Any:
    """One position of the caller's portfolio."""
    kind, value = entry["kind"], entry["value"]
    if kind == "strategy":
        return _trained(k, files, known, folder)
    if kind == "contracts":
        return Contracts.read(_file(files, f"{k}.parquet", folder))
    if (kind, type(value)) in (("shares", dict), ("cash", float)):
        return value
    raise DataError(
        f"{files['portfolio.json']}: position {k}: kind = {kind!r}, value = {value!r}: "
        "must be strategy, contracts, shares by asset, or cash"
    )


def _strategy(strategy: Strategy, k: int, known: Mapping[str, type]) -> Writers:
    """The files of a trained strategy."""
    trained, foreign = strategy.fitted(), list[Any]()
    tensors = [state.tensors() for state in trained.states]
    learner = strategy.learner
    if hasattr(learner, "callbacks"):
        learner = replace(learner, callbacks=())
    recipe = {
        "strategy": serialize.encode(
            replace(strategy, learner=learner, trained=None), known, foreign
        ),
        "ic": list(trained.ic),
        "sample": trained.sample,
        "folds": trained.folds,
        "seconds": {name: float(v) for name, v in trained.seconds.items()},
    }
    models = [state.models if getattr(state, "foreign", False) else [] for state in trained.states]
    return {
        **(
            {f"{k}.skops": partial(_save_foreign, [foreign, *models])}
            if foreign or any(models)
            else {}
        ),
        f"{k}.json": _text(recipe),
        f"{k}.safetensors": lambda path: _save_tensors(path, tensors),
        f"{k}.parquet": trained.forecast.to_parquet,
        f"{k}-information.parquet": lambda path: write_table(
            table({"information": trained.information}), path
        ),
    }


def _trained(k: int, files: Mapping[str, Path], known: Mapping[str, type], folder: Any) -> Strategy:
    """Read the files that `_strategy` writes; refuse files that do not match each other."""
    path = _file(files, f"{k}.json", folder)
    kept = serialize.fits_schema(
        serialize.read_json(path),
        {
            "strategy": dict[str, Any],
            "ic": list[float],
            "sample": str,
            "folds": list[list[str]],
            "seconds": dict[str, float],
        },
        str(path),
    )
    foreign = [[]] if f"{k}.skops" not in files else _foreign(files[f"{k}.skops"], known)
    made = serialize.decode(kept["strategy"], known, str(path), foreign=foreign[0])
    if not isinstance(made, Strategy):
        raise DataError(f"{path}: must hold a Strategy, got {type(made).__name__}")
    for at, feature in enumerate(made.features):
        if not isinstance(feature, Feature):
            raise DataError(f"{path}: features[{at}] = {feature!r}: must be a feature")
    states = _states(made, files, k, foreign[1:], folder)
    forecast = Forecast.of_frame(
        read_frame(_file(files, f"{k}.parquet", folder)), str(files[f"{k}.parquet"])
    )
    place = _file(files, f"{k}-information.parquet", folder)
    beside = read_frame(place)
    if (
        not states
        or list(beside) != ["information"]
        or len(beside) != len(forecast.dates)
        or beside["information"].dtype != np.float64
    ):
        raise DataError(
            f"{place}: must hold a number for each of the {len(forecast.dates)} dates of "
            f"{files[f'{k}.parquet']}"
        )
    if kept["sample"] not in (WALK_FORWARD, LATER_DATA):
        raise DataError(
            f"{path}: sample = {kept['sample']!r}: must be {WALK_FORWARD!r} or {LATER_DATA!r}"
        )
    if len(kept["folds"]) != len(states) or any(len(fold) != 3 for fold in kept["folds"]):
        raise DataError(f"{path}: folds must be three dates for each of the {len(states)} models")
    if len(kept["ic"]) != 2:
        raise DataError(f"{path}: ic must be a mean and its error, got {len(kept['ic'])} numbers")
    mean, error = kept["ic"]
    information = beside["information"].to_numpy()
    return replace(
        made,
        trained=Trained(
            states,
            forecast,
            information,
            (mean, error),
            kept["sample"],
            kept["folds"],
            kept["seconds"],
        ),
    )


def _states(
    made: Strategy, files: Mapping[str, Path], k: int, foreign: list[list[Any]], folder: Any
) -> list[Any]:
    """The model of each fold, and its estimators of another library."""
    from gpuquant.learn import checkpoint

    path, learner = _file(files, f"{k}.safetensors", folder), made.learner
    if not hasattr(learner, "restored"):
        raise DataError(
            f"{files[f'{k}.json']}: learner = {type(learner).__name__}: must be a Learner"
        )
    folds = checkpoint.load(path)
    models = foreign or [[] for _ in folds]
    if len(models) != len(folds):
        raise DataError(f"{files[f'{k}.skops']} has {len(models)} folds, {path} {len(folds)}")
    return [
        learner.restored(tensors, f"{path}: fold {fold}", models[fold])
        for fold, tensors in enumerate(folds)
    ]


def _file(files: Mapping[str, Path], name: str, folder: Any) -> Path:
    if name not in files:
        raise DataError(f"{folder} lacks the file {name}, which its portfolio needs")
    return files[name]


def _text(value: Any) -> Callable[[Path], None]:
    return lambda path: disk.write(path, json.dumps(value, indent=1))


def _save_foreign(estimators: list[Any], path: Path) -> None:
    from gpuquant.learn import foreign

    foreign.save(estimators, path)


def _foreign(path: Path, known: Mapping[str, type]) -> list[list[Any]]:
    """The estimators of a recipe, then those of each fold."""
    from gpuquant.learn import foreign

    return foreign.load(path, known) or [[]]


def _save_tensors(path: Path, tensors: list[Any]) -> None:
    from gpuquant.learn import checkpoint

    checkpoint.save(tensors, path)
