"""Splits: which dates train and which test, with nothing of a test label known in training.

A label at bar t looks at the bars up to t + span. Bars whose span reaches into the test dates are purged from training, and
`embargo` bars more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gpuquant.errors import DataError, InputError

_UNITS = {"Y": 12, "M": 1}


@dataclass(frozen=True)
class Fold:
    """One split: row numbers of the bars that train and test."""

    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class WalkForward:
    """Train on the past, test on what follows, move on.

    Parameters
    ----------
    train, test : str
        Lengths such as "8Y" or "6M", in calendar time.
    embargo : int
        Bars left out before the test dates, besides those whose labels reach into them.
    expanding : bool
        Keep the first training date instead of moving it.

    References
    ----------
    Lopez de Prado (2018), chapter 7, for purging and embargo.
    """

    train: str
    test: str
    embargo: int = 0
    expanding: bool = False

    def __post_init__(self) -> None:
        _months(self.train, "train")
        _months(self.test, "test")
        if self.embargo < 0:
            raise InputError(f"embargo = {self.embargo}: must be >= 0 bars")

    def folds(self, dates: np.ndarray, span: int) -> Iterator[Fold]:
        """The folds of these dates for labels that look `span` bars ahead.

        Raises
        ------
        DataError
            The dates are too few for one fold.
        """
        days = dates.astype("datetime64[D]")
        first = days[0]
        start = _later(first, _months(self.train, "train"))
        if start > days[-1]:
            raise DataError(f"{days[0]} to {days[-1]} is too short for a training period of {self.train}")
        while start <= days[-1]:
            end = _later(start, _months(self.test, "test"))
            test = np.flatnonzero((days >= start) & (days < end))
            if test.size:
                train = np.flatnonzero((days >= first) & (days < start))
                train = train[train + span + self.embargo < test[0]]
                yield Fold(train, test)
            start = end
            if not self.expanding:
                first = _later(first, _months(self.test, "test"))


def _months(text: str, name: str) -> int:
    match = re.fullmatch(r"([1-9]\d*)([YM])", str(text))
    if not match:
        raise InputError(f"{name} = {text!r}: must be a length such as '8Y' or '6M'")
    return int(match[1]) * _UNITS[match[2]]


def _later(day: np.datetime64, months: int) -> np.datetime64:
    """The same day of the month, `months` later; the last day where the month is shorter."""
    month = day.astype("datetime64[M]")
    offset = day - month.astype("datetime64[D]")
    moved = (month + months).astype("datetime64[D]") + offset
    last = (month + months + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
    return min(moved, last)
