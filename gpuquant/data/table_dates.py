"""The dates of a table of prices: in its index, or in the column that is clearly one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpuquant.data.cells import parsed_dates
from gpuquant.data.choices import loose
from gpuquant.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


DATES = ("date", "datetime", "timestamp", "time", "day", "opentime")


def _joined(data: pd.DataFrame) -> pd.DataFrame:
    """A table whose days and times of day stand in two columns, with one of both."""
    by_name = {loose(c): c for c in data.columns}
    day, time = by_name.get("date"), by_name.get("time")
    if day is None or time is None:
        return data
    hours = data[time].astype(str)
    if not hours.str.fullmatch(r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?").all():
        return data
    return data.assign(**{day: data[day].astype(str) + " " + hours}).drop(columns=[time])


def _date_column(data: pd.DataFrame) -> Any:
    """The column that holds the dates: by its kind, else by its name; None where there is none."""
    import pandas as pd

    kinds = [c for c in data.columns if pd.api.types.is_datetime64_any_dtype(data[c])]
    named = [c for c in data.columns if loose(c) in DATES]
    return kinds[0] if len(kinds) == 1 else named[0] if named else kinds[0] if kinds else None


def _dated(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The same table with its dates as the index, oldest first."""
    import pandas as pd

    if not isinstance(frame.index, pd.DatetimeIndex | pd.PeriodIndex):
        flat = not isinstance(frame.columns, pd.MultiIndex)
        column = _date_column(frame) if flat else None
        if column is None and flat and isinstance(frame.index, pd.RangeIndex):
            first = frame.columns[0]
            if not pd.api.types.is_numeric_dtype(frame[first]):
                column = first
        if column is not None:
            frame = frame.set_axis(pd.DatetimeIndex(parsed_dates(frame[column], str(column)))).drop(
                columns=[column]
            )
        elif not pd.api.types.is_numeric_dtype(frame.index) or (
            pd.api.types.is_integer_dtype(frame.index) and frame.index.min() > 19000000
        ):
            frame = frame.set_axis(
                pd.DatetimeIndex(parsed_dates(frame.index.to_series(), f"index of {name}"))
            )
        else:
            raise DataError(
                f"the index must hold dates, got {frame.index.dtype}: "
                "frame.set_axis(dates), or a column called date"
            )
    if not len(frame.columns):
        raise DataError("the frame is empty: needs at least one date and one asset")
    if len(frame) > 1 and frame.index.is_monotonic_decreasing and frame.index.is_unique:
        frame = frame[::-1]  # the newest first, as many services write it
    return frame
