"""Splits of dates into training and test, in which no training label overlaps a test label.

A label at bar t uses the bars up to t + span. Training bars whose labels overlap the test dates
are purged, and `embargo` more bars.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gpuquant.errors import DataError, InputError
from gpuquant.shown import Shown

_UNITS = {"Y": 12, "M": 1}


@dataclass(frozen=True)
class Fold(Shown):
    """One split: row numbers of the bars that train and test."""

    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class WalkForward(Shown):
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
            raise DataError(
                f"{days[0]} to {days[-1]} is too short for a training period of {self.train}"
            )
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
    later = month + np.timedelta64(months, "M")
    moved = later.astype("datetime64[D]") + offset
    last = (later + np.timedelta64(1, "M")).astype("datetime64[D]") - np.timedelta64(1, "D")
    return min(moved, last)


@dataclass(frozen=True)
class Purged(Shown):
    """Folds of consecutive bars: each fold is the test once; the others train, purged at both ends.

    Parameters
    ----------
    folds_number : int
        How many; >= 2.
    embargo : int
        Bars left out after the test dates, besides those whose labels reach into them.

    References
    ----------
    Lopez de Prado (2018), chapter 7.
    """

    folds_number: int = 5
    embargo: int = 0

    def __post_init__(self) -> None:
        _at_least("folds_number", self.folds_number, 2)
        _at_least("embargo", self.embargo, 0)

    def folds(self, dates: np.ndarray, span: int) -> Iterator[Fold]:
        """The folds of these dates for labels that look `span` bars ahead."""
        yield from Combinatorial(self.folds_number, 1, self.embargo).folds(dates, span)


@dataclass(frozen=True)
class Combinatorial(Shown):
    """Groups of consecutive bars: every choice of `tests` of the `groups` is the test once, and the
    other groups train, purged.

    Parameters
    ----------
    groups, tests : int
        They make comb(groups, tests) folds, whose tests form comb(groups - 1, tests - 1) paths
        over all bars.
    embargo : int
        Bars left out after test dates, besides those whose labels reach into them.

    References
    ----------
    Lopez de Prado (2018), chapter 12.
    """

    groups: int = 6
    tests: int = 2
    embargo: int = 0

    def __post_init__(self) -> None:
        _at_least("groups", self.groups, 2)
        _at_least("tests", self.tests, 1)
        _at_least("embargo", self.embargo, 0)
        if self.tests >= self.groups:
            raise InputError(f"tests = {self.tests}: must be below groups, {self.groups}")

    def folds(self, dates: np.ndarray, span: int) -> Iterator[Fold]:
        """The folds of these dates for labels that look `span` bars ahead.

        Raises
        ------
        DataError
            Fewer bars than groups.
        """
        if len(dates) < self.groups:
            raise DataError(f"{len(dates)} bars are too few for {self.groups} groups")
        parts = np.array_split(np.arange(len(dates)), self.groups)
        for chosen in itertools.combinations(range(self.groups), self.tests):
            test = np.concatenate([parts[k] for k in chosen])
            keep = np.ones(len(dates), bool)
            for k in chosen:
                first, last = parts[k][0], parts[k][-1]
                # a training label must not reach into the test, nor a test label into the training
                # that follows it
                keep[max(first - span, 0) : last + 1 + span + self.embargo] = False
            yield Fold(np.flatnonzero(keep), test)

    def paths(self, dates: np.ndarray) -> list[list[tuple[int, np.ndarray]]]:
        """The test paths over all bars: for each path and group, the number of the fold that tests
        the group, and the group's bars.
        """
        parts = np.array_split(np.arange(len(dates)), self.groups)
        folds = list(itertools.combinations(range(self.groups), self.tests))
        turns = {
            k: [number for number, chosen in enumerate(folds) if k in chosen]
            for k in range(self.groups)
        }
        return [
            [(turns[k][path], parts[k]) for k in range(self.groups)]
            for path in range(len(turns[0]))
        ]


def _at_least(name: str, value: int, low: int) -> None:
    if not isinstance(value, int) or value < low:
        raise InputError(f"{name} = {value!r}: must be a whole number >= {low}")


def cross_validated_sharpe(
    returns: np.ndarray, folds: list[Fold], periods: float = 252.0
) -> tuple[np.ndarray, np.ndarray]:
    """Sharpe ratios of every column on the training and on the test bars of every fold, each of
    shape (folds, columns).

    The returns of one back-test serve all folds: nothing is computed again.
    """
    values = np.asarray(returns, dtype=np.float64)
    first, second = (
        np.vstack([np.zeros(values.shape[1]), np.cumsum(values**k, axis=0)]) for k in (1, 2)
    )

    def ratios(rows: np.ndarray) -> np.ndarray:
        edges = np.flatnonzero(np.diff(rows) > 1)
        begins, ends = (
            rows[np.concatenate([[0], edges + 1])],
            rows[np.concatenate([edges, [len(rows) - 1]])] + 1,
        )
        total, squares = ((part[ends] - part[begins]).sum(axis=0) for part in (first, second))
        n = len(rows)
        mean = total / n
        spread = np.sqrt(np.maximum(squares - n * mean * mean, 0.0) / (n - 1.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(mean / spread * np.sqrt(periods))

    return np.stack([ratios(fold.train) for fold in folds]), np.stack(
        [ratios(fold.test) for fold in folds]
    )
