"""Cells of a table as people write them: dates in any common spelling, numbers with signs and
separators.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gpuquant.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

EPOCHS: tuple[tuple[float, float, Literal["s", "ms", "us", "ns"]], ...] = (
    (1e8, 1e10, "s"),
    (1e11, 1e13, "ms"),
    (1e14, 1e16, "us"),
    (1e17, 1e19, "ns"),
)  # from 1973 to 2286 in each unit, and no two overlap


def parsed_dates(values: Any, name: str) -> Any:
    """A column of dates; whole numbers are days, such as 20240102, or the time since 1970 in
    UTC.
    """
    import pandas as pd

    whole = _whole(values)
    if whole is not None:
        for low, high, unit in EPOCHS:
            if low <= whole.abs().max() < high:
                values = whole
                return pd.Series(
                    pd.to_datetime(values.to_numpy(), unit=unit, utc=True),
                    index=values.index,
                    name=values.name,
                )
        values = whole.astype(str)
        if not values.str.fullmatch(r"(19|20)\d{6}").all():
            raise DataError(
                f"column {name!r} must hold dates, such as 2024-01-02, 20240102, or "
                "seconds since 1970"
            )
    text = values.dtype.kind not in "Mm" and all(isinstance(value, str) for value in values)
    try:
        if text and values.str.match(r"\s*\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}").all():
            return _by_day_or_month(values, name)
        return (
            pd.to_datetime(values, utc=True) if text and _mixed(values) else pd.to_datetime(values)
        )
    except (ValueError, TypeError, OverflowError) as failure:
        raise DataError(
            f"column {name!r} must hold dates: {str(failure).splitlines()[0]}"
        ) from failure


def _whole(values: Any) -> Any:
    """A column as int64 if all its values are whole numbers, including floats and text of 10 to
    19 digits; None for any other column.
    """
    import pandas as pd

    if pd.api.types.is_bool_dtype(values.dtype) or values.isna().any():
        return None
    if not pd.api.types.is_numeric_dtype(values.dtype):
        if not all(
            (isinstance(v, int) and not isinstance(v, bool))
            or (isinstance(v, str) and re.fullmatch(r"-?\d{10,19}", v.strip()))
            for v in values
        ):
            return None
        return values.map(int).astype(np.int64)
    numbers = values.astype(np.float64) if pd.api.types.is_float_dtype(values.dtype) else values
    return numbers.astype(np.int64) if (numbers == numbers.round()).all() else None


def _by_day_or_month(values: Any, name: str) -> Any:
    """Dates such as 03/04/2024. With points the day comes first; with other separators the order
    is the one that is possible for all dates.
    """
    import pandas as pd

    if values.str.match(r"\s*\d{1,2}\.").all():
        return pd.to_datetime(values, dayfirst=True)
    first, second = (values.str.extract(r"(\d{1,2})[/.-](\d{1,2})")[k].astype(int) for k in (0, 1))
    if (first <= 12).all() and (second <= 12).all() and (first != second).any():
        raise DataError(
            f"column {name!r}: {values.iloc[0]!r} may be a day of either month: "
            "pandas.to_datetime(column, dayfirst=True), or dayfirst=False, says which"
        )
    return pd.to_datetime(values, dayfirst=bool((first > 12).any()))


def _mixed(values: Any) -> bool:
    """Whether the text has several offsets from UTC, as times of a zone with summer time have."""
    text = values.astype(str)
    return bool(
        text.str.contains(r"\d\d:\d\d.*[+-]\d\d:?\d\d$").all() and text.str[-6:].nunique() > 1
    )


def numbers_of(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """A frame of float64; text such as 1,234.50 or $12 is read as a number."""
    import pandas as pd

    if all(kind.kind in "iuf" for kind in set(frame.dtypes)):
        return frame.astype(np.float64)
    out = frame
    for column in frame.columns:
        values = frame[column]
        if pd.api.types.is_bool_dtype(values.dtype):
            raise DataError(
                f"{name}: column {str(column)!r} holds True and False, not prices: "
                "signals belong in backtest(prices, signals=frame)"
            )
        if values.dtype.kind == "M" or not pd.api.types.is_numeric_dtype(values.dtype):
            cleaned = values.map(_bare)
            try:
                if values.dtype.kind == "M":
                    raise TypeError("dates")
                numbers = pd.to_numeric(cleaned.where(cleaned.notna(), np.nan))
            except (TypeError, ValueError):
                row, value = next(
                    ((i, v) for i, v in values.items() if not _is_number(v)),
                    (values.index[0], values.iloc[0]),
                )
                raise DataError(
                    f"prices must be numbers: {name}[{row}, {column}] = {value!r}"
                ) from None
            out = out.assign(**{str(column): numbers}) if out.columns.is_unique else out
    return out.astype(np.float64)


def _bare(value: Any) -> Any:
    """Text without dollar signs, spaces and commas between thousands, and NaN for NA; any other
    value is unchanged.
    """
    if not isinstance(value, str):
        return value
    text = re.sub(r"[$\s]", "", value)
    if text == "NA":
        return np.nan
    return text.replace(",", "") if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", text) else text


def _is_number(value: Any) -> bool:
    try:
        float(_bare(value))
    except (TypeError, ValueError):
        return False
    return True


def with_points(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers such as 1.234,50 as 1234.50, where some number of the table has a comma before its
    decimals.
    """
    cells = [value for name in frame for value in frame[name] if isinstance(value, str)]
    if not any(re.fullmatch(r"[+-]?[\d.]+,\d+", value) for value in cells):
        return frame
    number = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d*)?")
    return frame.map(
        lambda v: (
            v.replace(".", "").replace(",", ".")
            if isinstance(v, str) and number.fullmatch(v)
            else v
        )
    )
