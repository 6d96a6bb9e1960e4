"""Domains: what a column may hold, stated once for each parameter of a member."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field
from typing import Any, TypeAlias

import numpy as np

Column: TypeAlias = (
    Any  # a number, a sequence or an array on the way in; a float64 array of length 1 or n after
)


@dataclass(frozen=True)
class Domain:
    """What a column may hold.

    Parameters
    ----------
    rule : str
        In words, for the error: `must be > 0`.
    low, high : float
        Bounds; `open_low` and `open_high` exclude them.
    whole : bool
        Whole numbers only.
    words : tuple of str
        For a choice: the words, whose codes are `codes`.
    compile_time_constant : bool
        The value is a constant of the kernel: rows that differ in it run in separate launches.
    sample : float
        A value inside the domain, for compiling without data.
    optional : bool
        NaN stands for "not given".
    is_time : bool
        Years from today, which pass as the days do: theta moves it.
    listed : bool
        A list in each row: the field is of shape (1 or n, longest), NaN where a list ends earlier.
    host_only : bool
        No kernel reads it.
    derived : bool
        It follows from other columns; nobody gives it.
    increasing : bool
        Each number of a list is greater than the one before it.
    """

    rule: str
    low: float = -np.inf
    high: float = np.inf
    open_low: bool = False
    open_high: bool = False
    whole: bool = False
    words: tuple[str, ...] = ()
    codes: tuple[float, ...] = ()
    compile_time_constant: bool = False
    sample: float = 0.5
    optional: bool = False
    is_time: bool = False
    listed: bool = False
    host_only: bool = False
    derived: bool = False
    increasing: bool = False

    def bad(self, values: np.ndarray) -> np.ndarray:
        """A mask of the rows outside."""
        wrong = self._outside(values)
        if self.increasing:
            wrong[:, 1:] |= np.diff(values, axis=1) <= 0.0
        if not self.listed:
            return wrong
        known = ~np.isnan(values)
        gap = (known[:, 1:] & ~known[:, :-1]).any(axis=1)  # nothing, and a number after it
        return np.asarray(wrong.any(axis=1) | gap | (~known.any(axis=1) & (not self.optional)))

    def _outside(self, values: np.ndarray) -> np.ndarray:
        if values.size and self._within(values.min(), values.max()) and not self.whole:
            return np.zeros(values.shape, bool)  # all are inside, as almost always
        wrong = np.isinf(values) if self.optional or self.listed else ~np.isfinite(values)
        with np.errstate(invalid="ignore"):
            wrong |= (values <= self.low) if self.open_low else (values < self.low)
            wrong |= (values >= self.high) if self.open_high else (values > self.high)
            if self.whole:
                wrong |= values != np.floor(values)
        return wrong

    def _within(self, least: float, most: float) -> bool:
        """Whether all is inside between these two; not where one is NaN."""
        above = least > self.low if self.open_low else least >= self.low
        below = most < self.high if self.open_high else most <= self.high
        return bool(above and below and np.isfinite(least) and np.isfinite(most))


def _column(domain: Domain, default: Any = MISSING) -> Any:
    return field(default=default, metadata={"domain": domain}, kw_only=True)


def positive(default: Any = MISSING, *, sample: float = 1.0) -> Any:
    """A column of numbers > 0."""
    return _column(Domain("must be finite and > 0", low=0.0, open_low=True, sample=sample), default)


def years(default: Any = MISSING, *, sample: float = 1.0) -> Any:
    """A column of times from today, in years, > 0."""
    return _column(
        Domain("must be finite and > 0", low=0.0, open_low=True, sample=sample, is_time=True),
        default,
    )


def nonnegative_years() -> Any:
    """A column of times from today, in years, >= 0."""
    return _column(Domain("must be finite and >= 0", low=0.0, sample=1.0, is_time=True))


def optional(*, sample: float = 100.0, is_time: bool = False) -> Any:
    """A column of numbers > 0 that need not be given."""
    return _column(
        Domain(
            "must be > 0, or not given",
            low=0.0,
            open_low=True,
            sample=sample,
            optional=True,
            is_time=is_time,
        ),
        np.nan,
    )


def nonnegative(default: Any = MISSING, *, sample: float = 0.2) -> Any:
    """A column of numbers >= 0."""
    return _column(Domain("must be finite and >= 0", low=0.0, sample=sample), default)


def at_least(low: float, default: Any = MISSING, *, sample: float) -> Any:
    """A column of numbers >= `low`."""
    return _column(Domain(f"must be finite and >= {low:g}", low=low, sample=sample), default)


def above(low: float, default: Any = MISSING, *, sample: float) -> Any:
    """A column of numbers > `low`."""
    return _column(
        Domain(f"must be finite and > {low:g}", low=low, open_low=True, sample=sample), default
    )


def below(high: float, default: Any = MISSING, *, sample: float) -> Any:
    """A column of numbers < `high`."""
    return _column(
        Domain(f"must be finite and < {high:g}", high=high, open_high=True, sample=sample), default
    )


def within(low: float, high: float, default: Any = MISSING, *, sample: float) -> Any:
    """A column of numbers in (low, high]."""
    return _column(
        Domain(
            f"must be > {low:g} and <= {high:g}", low=low, high=high, open_low=True, sample=sample
        ),
        default,
    )


def probability(default: Any = MISSING, *, sample: float = 0.5) -> Any:
    """A column of numbers in [0, 1]."""
    return _column(Domain("must be within [0, 1]", low=0.0, high=1.0, sample=sample), default)


def list_of(
    column: Any, default: Any = MISSING, *, host_only: bool = False, increasing: bool = False
) -> Any:
    """A column of lists of such numbers; a missing list is allowed where the default is NaN."""
    domain = dataclasses.replace(
        column.metadata["domain"],
        listed=True,
        host_only=host_only,
        optional=default is not MISSING,
        increasing=increasing,
    )
    return _column(
        dataclasses.replace(
            domain, rule=f"each {domain.rule}{', and more than the one before it' * increasing}"
        ),
        default,
    )


def derived(*, listed: bool = False, sample: float = 0.0, is_time: bool = False) -> Any:
    """A column, or a column of lists, that `with_derived_columns` fills from others."""
    return _column(
        Domain(
            "follows from other columns",
            listed=listed,
            optional=True,
            derived=True,
            sample=sample,
            is_time=is_time,
        ),
        np.nan,
    )


def real(default: Any = MISSING, *, sample: float = 0.05) -> Any:
    """A column of finite numbers."""
    return _column(Domain("must be finite", sample=sample), default)


def correlation(default: Any = MISSING) -> Any:
    """A column of numbers in [-1, 1]."""
    return _column(Domain("must be within [-1, 1]", low=-1.0, high=1.0, sample=-0.5), default)


def integer(default: Any = MISSING, *, low: int = 1, sample: float = 4.0) -> Any:
    """A column of whole numbers >= `low`."""
    return _column(
        Domain(
            f"must be a whole number >= {low}", low=low, high=2.0**31, whole=True, sample=sample
        ),
        default,
    )


def choice(
    *words: str,
    codes: Sequence[float] | None = None,
    default: Any = MISSING,
    compile_time_constant: bool = False,
) -> Any:
    """A column of words, kept as codes (0, 1, ... unless given); it may be a constant of the
    kernel.
    """
    numbers = tuple(codes) if codes is not None else tuple(float(k) for k in range(len(words)))
    return _column(
        Domain(
            f"must be one of {', '.join(words)}",
            words=words,
            codes=numbers,
            compile_time_constant=compile_time_constant,
            sample=numbers[0],
        ),
        default,
    )


def boolean(default: bool) -> Any:
    """A column of True and False, kept as 1 and 0; in a file also as words, true and false."""
    return choice("False", "True", default=default)


def call_or_put() -> Any:
    """The column `option_type`: call is 1, put is -1."""
    return choice("call", "put", codes=(1.0, -1.0))
