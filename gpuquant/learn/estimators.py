"""Estimators of other libraries: anything with `fit` and `predict`."""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gpuquant.errors import DataError
from gpuquant.learn import members
from gpuquant.learn.ridge import Moments
from gpuquant.learn.windows import CHUNK, Samples, Windows

NO_LABEL = "no training bar has every feature and a label"


def fit(
    estimator: Any, windows: Windows, samples: Samples, rows: np.ndarray, seed: int, ensemble: int
) -> tuple[list[Any], float]:
    """Copies of an estimator fitted to the windows that end at `rows`, and the deviation of their
    mean. A classifier learns the signs of labels; only an estimator with a `random_state` has
    several copies. One that is made of moments never sees all windows at once.
    """
    if hasattr(estimator, "of_moments"):
        models = [_of_moments(estimator, windows, rows)]
        said = predicted(models, windows, rows)
        size = float(np.nanstd(said))
        return models, size if size > 0.0 else 1.0
    x, known = flat(windows, rows)
    weights, y = samples.weights, samples.first_label[rows][known]
    use = np.isfinite(y)
    more = {} if weights is None else {"sample_weight": weights[rows][known][use]}
    x, y = x[use], y[use]
    if not len(y):
        raise DataError(NO_LABEL)
    wanted = np.sign(y) if hasattr(estimator, "predict_proba") else y
    copies = ensemble if "random_state" in parameters(estimator) else 1
    models = [_seeded(estimator, seed + k).fit(x, wanted, **more) for k in range(copies)]
    size = float(np.std(mean_of(models, x)))
    return models, size if size > 0.0 else 1.0


def _of_moments(estimator: Any, windows: Windows, rows: np.ndarray) -> Any:
    """An estimator made of the moments of all windows that have a label."""
    total: Moments | None = None
    resident = windows.resident
    for asset, bar in _places(windows, rows, resident.labelled):
        y = resident.labels[asset, bar].double()
        weight = torch.ones_like(y) if resident.weights is None else resident.weights[asset, bar]
        some = Moments.of(windows.gather(asset, bar).flatten(1).double(), y, weight.double())
        total = some if total is None else total + some
    if total is None:
        raise DataError(NO_LABEL)
    return estimator.of_moments(total)


def _places(
    windows: Windows, rows: np.ndarray, among: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Assets and bars of the known windows that end at `rows`, some bars at a time."""
    known = windows.resident.whole(windows.bars)
    known = known if among is None else known & among
    step = max(1, CHUNK // (len(known) * windows.bars * windows.columns))
    bars = torch.from_numpy(np.asarray(rows)).to(known.device)
    for begin in range(0, len(bars), step):
        part = bars[begin : begin + step]
        row, asset = torch.nonzero(known[:, part].T, as_tuple=True)
        if len(row):
            yield asset, part[row]


def predicted(models: list[Any], windows: Windows, rows: np.ndarray) -> np.ndarray:
    """What fitted estimators say in the mean, shape (rows, assets); NaN where a feature is unknown.
    Some bars are looked at at a time.
    """
    out = np.full((len(rows), len(windows.resident.known)), np.nan)
    at = np.full(windows.resident.known.shape[1], -1)
    at[rows] = np.arange(len(rows))
    for asset, bar in _places(windows, rows):
        x = windows.gather(asset, bar).flatten(1).double().cpu().numpy()
        out[at[bar.cpu().numpy()], asset.cpu().numpy()] = mean_of(models, x)
    return out


def flat(windows: Windows, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The windows that end at `rows`, one row for each of shape (window x columns,), and the mask
    of shape (rows, assets) of those that are known.
    """
    bars = torch.from_numpy(np.asarray(rows)).to(windows.resident.features.device)
    known = windows.resident.whole(windows.bars)[:, bars].T
    row, asset = torch.nonzero(known, as_tuple=True)
    return windows.gather(asset, bars[row]).flatten(1).double().cpu().numpy(), known.cpu().numpy()


def mean_of(models: list[Any], x: np.ndarray) -> np.ndarray:
    """What fitted estimators say of each row, in the mean; a classifier's is the mean sign."""
    each = [
        model.predict_proba(x) @ model.classes_
        if hasattr(model, "predict_proba")
        else model.predict(x)
        for model in models
    ]
    return np.mean(np.asarray(each, dtype=np.float64), axis=0)


def described(estimator: Any) -> str:
    """What an estimator is: its class, its layers, its settings; of a factory its source."""
    if not members.is_network(estimator):
        return f"{estimator!r} {parameters(estimator)}"
    if isinstance(estimator, nn.Module):
        digest = hashlib.sha256()
        for value in estimator.state_dict().values():
            digest.update(value.detach().cpu().numpy().tobytes())
        weights = digest.hexdigest() if estimator.state_dict() else ""
        return f"{type(estimator).__module__}.{estimator!r} {parameters(estimator)} {weights}"
    try:
        text = inspect.getsource(estimator)
    except (OSError, TypeError):
        text = repr(estimator)
    return f"{getattr(estimator, '__module__', '')} {text}"


def parameters(estimator: Any) -> dict[str, Any]:
    """The settings of an estimator, and of a network its plain attributes."""
    if hasattr(estimator, "get_params"):
        return dict(estimator.get_params())
    if not isinstance(estimator, nn.Module):
        return {}
    return {
        name: value
        for name, value in vars(estimator).items()
        if isinstance(value, int | float | str) and name != "training"
    }


def _seeded(estimator: Any, seed: int) -> Any:
    fresh = copy.deepcopy(estimator)
    if "random_state" in parameters(fresh):
        fresh.set_params(random_state=seed % (1 << 31))
    return fresh
