"""A learner trained on all folds of a walk forward."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gpuquant.errors import InputError
from gpuquant.learn.windows import Samples


def walk_forward(
    learner: Any,
    samples: Samples,
    folds: list[Any],
    *,
    cost: float,
    device: str,
    trained: Sequence[Any] = (),
    tick: Callable[[float], None] | None = None,
    checkpoint: Any = None,
    launch: int | None = None,
) -> tuple[np.ndarray, list[Any]]:
    """Forecasts of every fold's test bars by a model trained on its own past, shape (bars,
    assets), and the models; the first folds have models already, those in `trained`.

    A learner with `fit_folds` is given all new folds at once; others, and those in which a fold
    begins with the weights of the one before, train one after the other.
    """
    warm = getattr(learner, "warm_start", False)
    if warm and any(a.train.max() >= b.test.min() for a, b in itertools.pairwise(folds)):
        raise InputError(
            "warm_start = True: a model would have seen its test dates in the fold before; only a "
            "walk forward can begin with its weights"
        )
    states, first = list(trained), len(trained)
    if tick and first:
        tick(first)
    if hasattr(learner, "fit_folds"):
        beside = {"checkpoint": checkpoint, "launch": launch, "cost": cost, "device": device}
        beside["tick"] = tick
        rows = [fold.train for fold in folds[first:]]
        for some in [[one] for one in rows] if warm else [rows] if rows else []:
            begin = {"start": states[-1]} if warm and states else {}
            states += learner.fit_folds(samples, some, first=len(states), **beside, **begin)
    else:
        for number, fold in enumerate(folds[first:], first):
            states.append(learner.fit(samples, fold.train, fold=number, cost=cost, device=device))
            if tick:
                tick(1)
    forecast = np.full(samples.features.shape[:2], np.nan)
    for state, fold in zip(states, folds, strict=True):
        forecast[fold.test] = learner.predict(state, samples, fold.test, device=device)
    return forecast, states
