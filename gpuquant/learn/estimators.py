"""Estimators of other libraries: anything with `fit` and `predict`."""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gpuquant.errors import DataError
from gpuquant.learn import members
from gpuquant.learn.fitted import Fitted
from gpuquant.learn.ridge import Moments
from gpuquant.learn.windows import CHUNK, Samples, Standardizer, Windows

NO_LABEL = "no training bar has every feature and a label"


def fit(
    estimator: Any,
    windows: list[Windows],
    samples: Samples,
    rows: list[np.ndarray],
    seeds: list[int],
    ensemble: int,
    tick: Callable[[float], Any] | None = None,
) -> list[Fitted]:
    """The models of folds: copies of an estimator fitted to the windows that end at the rows of
    each. A classifier learns the signs of labels; only an estimator with a `random_state` has
    several copies. One that is made of moments learns from all folds at once, and never sees all
    windows.
    """
    if hasattr(estimator, "of_moments"):
        return _of_moments(estimator, windows, rows, tick)
    result = []
    for own, bars, seed in zip(windows, rows, seeds, strict=True):
        models, size = _copies(estimator, own, samples, bars, seed, ensemble)
        result.append(Fitted(own.scale, models=models, size=size if size > 0.0 else 1.0))
        if tick:
            tick(1)
    return result


def _copies(
    estimator: Any, windows: Windows, samples: Samples, rows: np.ndarray, seed: int, ensemble: int
) -> tuple[list[Any], float]:
    """Fitted copies of an estimator, and the deviation of their mean in the training rows."""
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
    return models, float(np.std(mean_of(models, x)))


def _of_moments(
    estimator: Any,
    windows: list[Windows],
    rows: list[np.ndarray],
    tick: Callable[[float], Any] | None,
) -> list[Fitted]:
    """Of each fold an estimator made of the moments of all windows that have a label. Windows of
    some bars are gathered once, for all folds that learn from them.
    """
    first, resident = windows[0], windows[0].resident
    device, columns = resident.features.device, first.bars * first.columns
    total = Moments.none(len(windows), columns, device)
    inside = torch.zeros((len(windows), resident.known.shape[1]), dtype=torch.bool)
    for k, own in enumerate(rows):
        inside[k, torch.from_numpy(own)] = True
    inside = inside.to(device)
    every, done = np.flatnonzero(inside.any(0).cpu().numpy()), 0
    for asset, bar in _places(first, every, resident.labelled, len(windows)):
        y = resident.labels[asset, bar].double()
        weight = torch.ones_like(y)
        if resident.weights is not None:
            weight = resident.weights[asset, bar].double()
        some = torch.nonzero(inside[:, bar].any(1))[:, 0]
        scale = Standardizer.stacked([windows[int(k)].scale for k in some])
        given = Windows(resident, scale, first.bars).gather(
            asset.expand(len(some), -1), bar.expand(len(some), -1)
        )
        of_folds = weight * inside[some][:, bar]
        total.add(some, Moments.of(given.flatten(2).double(), y, of_folds))
        if tick:
            at = int(np.searchsorted(every, int(bar.max()), side="right"))
            tick(len(windows) * (at - done) / len(every))
            done = at
    if tick:
        tick(len(windows) * (len(every) - done) / max(len(every), 1))
    result = []
    for k, own_windows in enumerate(windows):
        moments = total.of_fold(k)
        if not bool(moments.total[0] > 0.0) and resident.weights is None:
            raise DataError(NO_LABEL)
        model = estimator.of_moments(moments)
        size = model.deviation(moments)
        result.append(Fitted(own_windows.scale, models=[model], size=size if size > 0.0 else 1.0))
    return result


def _places(
    windows: Windows, rows: np.ndarray, among: Tensor | None = None, folds: int = 1
) -> Iterator[tuple[Tensor, Tensor]]:
    """Assets and bars of the known windows that end at `rows`, some bars at a time: as many as the
    folds that look at them leave room for.
    """
    known = windows.resident.whole(windows.bars)
    known = known if among is None else known & among
    step = max(1, CHUNK // (len(known) * windows.bars * windows.columns * folds))
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
