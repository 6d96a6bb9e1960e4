"""Dates of a price table: their time zone, the length of a bar, the number of bars a year, and the
bar of a given date.

Dates are stored in UTC without a zone, next to the name of their original zone: they can be
compared, and are returned in their original zone.
"""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.errors import DataError, InputError, missing, unknown

if TYPE_CHECKING:
    import pandas as pd

ALIGN = ("exact", "next")
DAY = 86400.0  # seconds
YEAR = 365.0  # days, by which interest is counted (ACT/365F)
TRADING_DAYS = 252.0  # of an exchange in a year, by convention
SAME_STEP = 0.5  # a step is regular if it differs from the median step by at most this share of it
# if more than this share of the bars is at weekends, the market trades all week (2 / 7 at most)
WEEKEND = 0.2
LIKE_OTHERS = 0.6  # at least this share of the steps must be regular; overnight gaps are not
SLOW = (
    (6.5, 7.5, 52.0, "weekly"),
    (13.0, 15.0, 26.0, "every two weeks"),
    (28.0, 31.5, 12.0, "monthly"),
    (88.0, 93.0, 4.0, "quarterly"),
    (180.0, 186.0, 2.0, "half-yearly"),
    (360.0, 372.0, 1.0, "yearly"),
)


@dataclass(frozen=True)
class Frequency:
    """How bars follow each other.

    Attributes
    ----------
    label : str
        In words.
    periods : float
        Bars a year; NaN where the dates do not say.
    """

    label: str
    periods: float


def dates_of(index: Any) -> tuple[pd.DatetimeIndex, str | None]:
    """An index of dates as UTC without a zone, and the name of the zone it was in, None where it
    had none.

    Raises
    ------
    DataError
        It holds no dates, a missing one, or dates of several zones.
    """
    import pandas as pd

    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp(how="end").normalize()
    if not isinstance(index, pd.DatetimeIndex):
        if (
            getattr(index, "dtype", None) is not None
            and getattr(index.dtype, "kind", "O") in "iufb"
        ):
            raise DataError(f"the index must hold dates, got {index.dtype}")
        try:
            index = pd.DatetimeIndex(index)
        except (TypeError, ValueError) as failure:
            raise DataError(f"the index must hold dates of one time zone: {failure}") from failure
    if index.hasnans:
        raise DataError(f"dates[{int(np.flatnonzero(index.isna())[0])}] is missing")
    if index.tz is None:
        return index, None
    return index.tz_convert("UTC").tz_localize(None), str(index.tz)


def index_of(dates: np.ndarray, timezone: str | None) -> pd.DatetimeIndex:
    """Dates as an index in the zone they came in: the inverse of `dates_of`."""
    import pandas as pd

    index = pd.DatetimeIndex(dates, name="date")
    return index if timezone is None else index.tz_localize("UTC").tz_convert(timezone)


def wall_clock(dates: np.ndarray, timezone: str | None) -> np.ndarray:
    """The dates in the local time of their zone, without the zone."""
    return dates if timezone is None else index_of(dates, timezone).tz_localize(None).to_numpy()


def elapsed_years(dates: np.ndarray) -> np.ndarray:
    """Years of 365 days since the bar before, shape (bars,); 0 at the first bar."""
    steps = np.diff(dates) / np.timedelta64(1, "s")
    return np.concatenate([[0.0], steps / (DAY * YEAR)])


def frequency_of(dates: np.ndarray, timezone: str | None) -> Frequency:
    """The length of a bar and the number of bars a year, read from the dates.

    Daily bars count 252 a year, or 365 if the market trades at weekends. For bars within a day,
    this number is multiplied by the median number of bars in a day.
    """
    if len(dates) < 2:
        return Frequency("a single bar", np.nan)
    steps = np.diff(dates) / np.timedelta64(1, "s")
    step = float(np.median(steps))
    clock = wall_clock(dates, timezone)
    if step > 3.5 * DAY:
        like = (np.abs(steps - step) <= SAME_STEP * step).mean()
        for low, high, periods, label in SLOW:
            if low * DAY <= step <= high * DAY and like >= LIKE_OTHERS:
                return Frequency(label, periods)
        return Frequency(
            f"bars {steps.min() / DAY:.3g} to {steps.max() / DAY:.3g} days apart", np.nan
        )
    weekend = (
        (clock.astype("datetime64[D]").astype(np.int64) + 3) % 7 >= 5
    ).mean()  # 1970-01-01 was a Thursday
    all_week = weekend > WEEKEND
    if step > 1.5 * DAY and len(dates) > 4:
        return Frequency(
            f"bars {steps.min() / DAY:.3g} to {steps.max() / DAY:.3g} days apart", np.nan
        )
    if step >= 0.9 * DAY:
        return Frequency(
            "daily, weekends among them" if all_week else "daily",
            YEAR if all_week else TRADING_DAYS,
        )
    like = (np.abs(steps - step) <= SAME_STEP * step).mean()
    if like < LIKE_OTHERS:
        return Frequency(f"bars {steps.min():.3g} to {steps.max():.3g} seconds apart", np.nan)
    _, counts = np.unique(clock.astype("datetime64[D]"), return_counts=True)
    length = f"{step / 60.0:g} minutes" if step >= 60.0 else f"{step:g} seconds"
    label = f"{length}, " if step != 60.0 else "minutes, "
    if len(counts) < 2 or (
        len(counts) < 7 and steps.max() < 2.0 * step
    ):  # one day, or less than a week around the clock: trading at weekends is not known
        return Frequency(f"{label}too few days to tell how many a year has", np.nan)
    a_day = float(np.median(counts[1:-1] if len(counts) > 2 else counts))
    return Frequency(f"{label}{a_day:g} a day", a_day * (YEAR if all_week else TRADING_DAYS))


def moment(when: Any, timezone: str | None) -> np.datetime64:
    """A caller's date, such as 2024-01-02, in the local time of the prices."""
    zone = getattr(when, "tzinfo", None)
    if zone is not None:
        same_zone(timezone, str(zone), "dates")
        when = when.replace(tzinfo=None)
    try:
        return np.datetime64(when)
    except (ValueError, TypeError) as failure:
        raise InputError(f"{when!r}: must be a date such as 2024-01-02") from failure


class Dated:
    """The base of tables of prices by date: `dates` as UTC without a zone, and the `timezone`
    they came in.
    """

    if TYPE_CHECKING:  # a panel has them as fields, a store reads them

        @property
        def dates(self) -> np.ndarray:
            """Dates of the bars, in UTC."""

        @property
        def timezone(self) -> str | None:
            """Time zone in which the dates are shown."""

    @property
    def index(self) -> pd.DatetimeIndex:
        """The dates as an index, in the time zone they came in."""
        return index_of(self.dates, self.timezone)

    @cached_property
    def clock(self) -> np.ndarray:
        """The dates in local time, shape (bars,)."""
        return wall_clock(self.dates, self.timezone)

    @cached_property
    def frequency(self) -> Frequency:
        """How long a bar is, and how many of them make a year."""
        return frequency_of(self.dates, self.timezone)

    @cached_property
    def years(self) -> np.ndarray:
        """Years from the bar before to each bar, of 365 days, shape (bars,); 0 at the first."""
        return elapsed_years(self.dates)


def duration(years: float) -> str:
    """A time in words, in the unit that has a number to show."""
    if not np.isfinite(years):
        return "an unknown time"
    for unit, many in (
        ("years", 1.0),
        ("days", YEAR),
        ("hours", YEAR * 24.0),
        ("minutes", YEAR * 1440.0),
    ):
        if years * many >= 1.0:
            return f"{years * many:.1f} {unit}"
    return "less than a minute"


def within(clock: np.ndarray, first: Any, last: Any, timezone: str | None) -> np.ndarray:
    """Which bars are not before `first` nor after `last`, in local time; a date without a time
    means the whole day, None no end.
    """
    keep = np.ones(len(clock), bool)
    if first is not None:
        keep &= clock >= moment(first, timezone)
    if last is not None:
        end = moment(last, timezone)
        keep &= (clock.astype(end.dtype) if np.datetime_data(end)[0] in "YMWD" else clock) <= end
    return keep


def same_zone(timezone: str | None, other: str | None, name: str) -> None:
    """Refuse dates in another time zone than the prices'."""
    if timezone != other:
        raise DataError(
            f"{name} have {_zone(other)}, the prices have {_zone(timezone)}: give both "
            "the same, with tz_localize or tz_convert"
        )


def _zone(name: str | None) -> str:
    return "no time zone" if name is None else f"the time zone {name}"


def bars_at(
    index: Any, dates: np.ndarray, timezone: str | None, name: str, align: str = "exact"
) -> np.ndarray:
    """The bar of each date of a caller's index.

    Parameters
    ----------
    index : index or Series of dates
    dates, timezone : array and str
        The dates of the bars, and their time zone.
    name : str
        Name of the caller's data, for the error message.
    align : str
        exact: each date must be that of a bar; next: a date between two bars gets the later bar.

    Raises
    ------
    DataError
        A date that is not the date of a bar; with next, only a date before the first bar or after
        the last. The message names the first three such dates.
    """
    if align not in ALIGN:
        raise unknown("align", align, ALIGN)
    given, zone = dates_of(index)
    same_zone(timezone, zone, name)
    values = given.to_numpy()
    at = np.searchsorted(dates, values)
    inside = (values >= dates[0]) & (at < len(dates))
    exact = inside & (dates[np.minimum(at, len(dates) - 1)] == values)
    off = ~inside if align == "next" else ~exact
    if off.any():
        shown = index_of(values[off][:3], timezone)
        named = ", ".join(_short(date) for date in shown) + (", ..." if off.sum() > 3 else "")
        if align == "next":
            first, last = index_of(dates[[0, -1]], timezone)
            raise DataError(
                f"{name}: {int(off.sum())} of {len(values)} dates are not from "
                f"{_short(first)} to {_short(last)}, as the bars are: {named}; cut them "
                "off"
            )
        advice = " align='next' moves each to the next bar;" if inside[off].any() else ""
        raise DataError(
            f"{name}: {int(off.sum())} of {len(values)} dates are no dates of the prices: "
            f"{named};{advice} rows outside the prices must be cut off"
        )
    return at


def _short(date: Any) -> str:
    """A date without a time of day that is midnight."""
    return str(date.date()) if date == date.normalize() and date.tz is None else str(date)


def check_calendar(dates: np.ndarray, timezone: str | None, exchange: str) -> None:
    """Refuse dates that are not the sessions of an exchange, from the first to the last
    (`exchange_calendars`, from the `calendars` extra).

    Raises
    ------
    DataError
        Sessions without a bar, or bars on days without a session: the first three of each.
    InputError
        An exchange that is not known, or dates that its calendar does not reach.
    """
    if importlib.util.find_spec("exchange_calendars") is None:
        raise missing("exchange_calendars", "calendars")
    import exchange_calendars
    import pandas as pd

    days = pd.DatetimeIndex(np.unique(wall_clock(dates, timezone).astype("datetime64[D]")))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its own use of pandas
            calendar = exchange_calendars.get_calendar(
                exchange, start=days[0], end=days[-1] + pd.Timedelta(days=1)
            )
            sessions = calendar.sessions_in_range(days[0], days[-1])
    except Exception as failure:
        raise InputError(f"exchange = {exchange!r}: {str(failure).splitlines()[0]}") from failure
    for wrong, what in (
        (sessions.difference(days), f"sessions of {exchange} have no bar"),
        (days.difference(sessions), f"bars are on no session of {exchange}"),
    ):
        if len(wrong):
            raise DataError(
                f"{len(wrong)} {what}: "
                f"{', '.join(str(d.date()) for d in wrong[:3])}{', ...' if len(wrong) > 3 else ''}"
            )
