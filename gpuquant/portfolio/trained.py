"""What training a strategy leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpuquant.forecast import Forecast
from gpuquant.shown import Shown
from gpuquant.validation.splits import Fold

WALK_FORWARD = "walk-forward: every model is of the past alone"
LATER_DATA = "cross-validated: models have seen later data, which no trader had"


@dataclass(frozen=True)
class Trained(Shown):
    """The result of training.

    Attributes
    ----------
    states : list
        The model of each fold.
    forecast : Forecast
        Forecasts for every test date, by the model that was trained before that date.
    information : array, shape (bars,)
        Information coefficient of each test bar.
    ic : tuple of float
        Mean information coefficient and its standard error; see `forecast.mean_information`.
    sample : str
        How its forecasts are out of sample: WALK_FORWARD or LATER_DATA.
    folds : list of list of str
        Of each fold its first and its last training date, and its first test date.
    seconds : mapping
        Run time of each feature and of the training.
    """

    states: list[Any]
    forecast: Forecast
    information: np.ndarray
    ic: tuple[float, float]
    sample: str
    folds: list[list[str]]
    seconds: Mapping[str, float] = field(default_factory=dict)


def dates_of(folds: Sequence[Fold], dates: np.ndarray) -> list[list[str]]:
    """The dates by which folds are told apart; see `Trained.folds`."""
    return [
        [str(dates[k]) for k in (fold.train.min(), fold.train.max(), fold.test.min())]
        for fold in folds
    ]


def sample_of(folds: Sequence[Fold]) -> str:
    """How the test bars of folds are out of sample."""
    past = all(fold.train.max() < fold.test.min() for fold in folds)
    return WALK_FORWARD if past else LATER_DATA
