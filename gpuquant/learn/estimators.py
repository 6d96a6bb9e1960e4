"""Estimators of other libraries: anything with `fit` and `predict`."""

from __future__ import annotations

import copy
import hashlib
import inspect
from typing import Any

import numpy as np
import torch
from torch import nn

from gpuquant.errors import DataError
from gpuquant.learn import members
from gpuquant.learn.windows import Samples, Windows


def fit(
    estimator: Any, windows: Windows, samples: Samples, rows: np.ndarray, seed: int, ensemble: int
) -> tuple[list[Any], float]:
    """Copies of an estimator fitted to the windows that end at `rows`, and the deviation of their
    mean. A classifier learns the signs of labels; only an estimator with a `random_state` has
    several copies.
    """
    x, known = flat(windows, rows)
    weights, y = samples.weights, samples.first_label[rows][known]
    use = np.isfinite(y)
    more = {} if weights is None else {"sample_weight": weights[rows][known][use]}
    x, y = x[use], y[use]
    if not len(y):
        raise DataError("no training bar has every feature and a label")
    wanted = np.sign(y) if hasattr(estimator, "predict_proba") else y
    copies = ensemble if "random_state" in parameters(estimator) else 1
    models = [_seeded(estimator, seed + k).fit(x, wanted, **more) for k in range(copies)]
    size = float(np.std(mean_of(models, x)))
    return models, size if size > 0.0 else 1.0


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
