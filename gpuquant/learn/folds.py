"""A learner trained fold by fold."""

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
    tick: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, list[Any]]:
    """Forecasts of every fold's test bars by a model trained on its own past, shape (bars,
    assets), and the models; the first folds have models already, those in `trained`.
    """
    warm = getattr(learner, "warm_start", False)
    if warm and any(a.train.max() >= b.test.min() for a, b in itertools.pairwise(folds)):
        raise InputError(
            "warm_start = True: a model would have seen its test dates in the fold before; only a "
            "walk forward can begin with its weights"
        )
    forecast = np.full(samples.features.shape[:2], np.nan)
    states = list(trained)
    for number, fold in enumerate(folds):
        if number >= len(states):
            begin = {"start": states[-1]} if warm and states else {}
            state = learner.fit(samples, fold.train, fold=number, cost=cost, device=device, **begin)
            states.append(state)
        forecast[fold.test] = learner.predict(states[number], samples, fold.test, device=device)
        if tick:
            tick(1)
    return forecast, states
