"""Splits of dates into training and test, in which no training label overlaps a test label.

A label at bar t uses the bars up to t + span. Training bars whose labels overlap the test dates
are purged, and `embargo` more bars.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.calendar import TRADING_DAYS
from gpuquant.errors import DataError, InputError
from gpuquant.shown import Shown

MONTHS = {"Y": 12, "M": 1}


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
    train, test : str or int
        Lengths: in calendar time, such as "8Y", "6M", "2W", "10D" or "12h"; or a number of bars.
    embargo : int
        Bars left out before the test dates, besides those whose labels reach into them.
    expanding : bool
        Keep the first training date instead of moving it.

    References
    ----------
    Lopez de Prado (2018), chapter 7, for purging and embargo.
    """

    train: str | int
    test: str | int
    embargo: int = 0
    expanding: bool = False

    def __post_init__(self) -> None:
        _length(self.train, "train")
        _length(self.test, "test")
        if isinstance(self.train, int) != isinstance(self.test, int):
            raise InputError(
                f"train = {self.train!r}, test = {self.test!r}: both must be bars, or both times"
            )
        if self.embargo < 0:
            raise InputError(f"embargo = {self.embargo}: must be >= 0 bars")

    def folds(self, dates: np.ndarray, span: int) -> Iterator[Fold]:
        """The folds of these dates for labels that look `span` bars ahead.

        Raises
        ------
        DataError
            The dates are too few for one fold.
        """
        clock = dates.astype("datetime64[D]")
        if isinstance(self.train, int):
            clock = np.arange(len(dates))  # a length in bars counts them, whatever their dates
        elif {_unit(self.train), _unit(self.test)} & {"h", "min"}:
            clock = dates
        first = clock[0]
        start = _later(first, self.train)
        if start > clock[-1]:
            raise DataError(
                f"{str(dates[0])[:16]} to {str(dates[-1])[:16]} is too short for a training period "
                f"of {self.train}"
            )
        while start <= clock[-1]:
            end = _later(start, self.test)
            test = np.flatnonzero((clock >= start) & (clock < end))
            if test.size:
                train = np.flatnonzero((clock >= first) & (clock < start))
                train = train[train + span + self.embargo < test[0]]
                yield Fold(train, test)
            start = end
            if not self.expanding:
                first = _later(first, self.test)


def _length(value: Any, name: str) -> None:
    """Refuse what is no length."""
    bars = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not bars and not re.fullmatch(r"[1-9]\d*(Y|M|W|D|h|min)", str(value)):
        raise InputError(
            f"{name} = {value!r}: must be a length such as '8Y', '6M', '2W', '10D' or '12h', or a "
            "number of bars"
        )


def _unit(length: Any) -> str:
    return str(length).lstrip("0123456789")


def _later(moment: Any, length: Any) -> Any:
    """A bar or a moment, `length` later: in years and months the same day of the month, or the
    last day where the month is shorter.
    """
    if isinstance(length, int):
        return moment + length
    number, unit = int(length[: -len(_unit(length))]), _unit(length)
    if unit not in MONTHS:
        step: Any = "m" if unit == "min" else unit
        return moment + np.timedelta64(number, step)
    month = moment.astype("datetime64[M]")
    offset = moment - month.astype(moment.dtype)
    later = month + np.timedelta64(number * MONTHS[unit], "M")
    last = (later + np.timedelta64(1, "M")).astype("datetime64[D]") - np.timedelta64(1, "D")
    moved = later.astype(moment.dtype) + offset
    day = min(moved.astype("datetime64[D]"), last)
    return day.astype(moment.dtype) + (moved - moved.astype("datetime64[D]").astype(moment.dtype))


@dataclass(frozen=True)
class Dated(Shown):
    """Folds at dates of one's own: each trains on what is before its test, and tests from its date
    to the next one.

    Parameters
    ----------
    starts : sequence of dates
        Where each test begins, increasing; the last test ends with the prices, or at `end`.
    end : date, optional
        Where the last test ends; this date is not tested.
    embargo : int
        Bars left out before the test dates, besides those whose labels reach into them.

    Examples
    --------
    >>> import numpy as np
    >>> from gpuquant import splits
    >>> days = np.arange("2020-01-01", "2020-01-11", dtype="datetime64[D]")
    >>> [fold.test.tolist() for fold in splits.Dated(["2020-01-05", "2020-01-09"]).folds(days, 1)]
    [[4, 5, 6, 7], [8, 9]]
    """

    starts: Sequence[Any]
    end: Any = None
    embargo: int = 0

    def __post_init__(self) -> None:
        _at_least("embargo", self.embargo, 0)
        if not len(self.starts):
            raise InputError("starts is empty: give the date at which each test begins")

    def folds(self, dates: np.ndarray, span: int) -> Iterator[Fold]:
        """The folds of these dates for labels that look `span` bars ahead.

        Raises
        ------
        DataError
            The starts do not increase, or one has no dates to train on or to test.
        """
        edges = [np.datetime64(str(start)) for start in self.starts]
        edges.append(dates[-1] + np.timedelta64(1, "D") if self.end is None else self.end)
        at = np.searchsorted(dates, np.array(edges, dtype=dates.dtype))
        for k, (begin, end) in enumerate(itertools.pairwise(at)):
            train = np.arange(max(begin - span - self.embargo, 0))
            if end <= begin or not train.size:
                raise DataError(
                    f"starts[{k}] = {self.starts[k]}: has no dates "
                    f"{'to test' if end <= begin else 'to train on'}"
                )
            yield Fold(train, np.arange(begin, end))


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
    returns: np.ndarray, folds: list[Fold], periods: float = TRADING_DAYS
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
