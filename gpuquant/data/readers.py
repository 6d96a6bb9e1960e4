"""Prices as people have them, read into the arrays of a panel: one reader for every shape of table.

The reader takes closes by asset; fields by ticker, in either order of the two levels; one ticker's
open, high, low and close; a tidy table of dates and tickers; a series; mappings of any of these;
and Arrow data. It refuses data that are not clearly prices, and says how to give them instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.data.calendar import dates_of
from gpuquant.data.cells import numbers_of, parsed_dates
from gpuquant.data.choices import loose
from gpuquant.data.files import TICKERS, as_pandas
from gpuquant.data.price_checks import (
    FIELDS,
    _price_like,
    _refuse_adjusted,
    _refuse_returns,
    _strange,
)
from gpuquant.data.table_dates import _date_column, _dated, _joined
from gpuquant.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

COUNTERS = ("", "index", "unnamed: 0", "level_0", "__index_level_0__")
LOOSE = ("price", "value", "px")  # a tidy table's only column of numbers may be called so


@dataclass(frozen=True)
class Tables:
    """What a reader found: frames of dates by assets, one for each field.

    Attributes
    ----------
    frames : dict of DataFrame
        By field, all of one index and columns; `close` is among them.
    timezone : str or None
        Of the dates, which are UTC.
    adjusted : bool or None
        Whether prices are adjusted for splits and dividends; None where nothing says so.
    """

    frames: dict[str, pd.DataFrame]
    timezone: str | None
    adjusted: bool | None = None


def tables(data: Any, *, name: str = "asset", adjusted: bool | None = None) -> Tables:
    """The fields of prices in any shape.

    Parameters
    ----------
    data : frame, series, mapping, or anything with `__arrow_c_stream__`
    name : str
        Name of the asset, if the data are one ticker's and do not name it.
    adjusted : bool, optional
        With both a close and an adjusted close: True scales open, high, low and close to the
        adjusted close, False ignores it; the default is True unless dividends are given.

    Raises
    ------
    DataError
        The data are not clearly prices: the message names the column and the correct call.
    """
    if isinstance(data, Mapping):
        result = _of_mapping(data)
    else:
        result = _of_frame(as_pandas(data), name)
    return _finished(result, adjusted)


def dated(data: Any, name: str) -> pd.DataFrame:
    """A table with dates of what a caller has, its dates as the index."""
    return _dated(as_pandas(data), name)


def _known_fields(labels: Any) -> list[str | None]:
    return [FIELDS.get(loose(label)) for label in labels]


def _of_mapping(data: Mapping[Any, Any]) -> dict[str, pd.DataFrame]:
    """Frames by field, or by ticker."""
    import pandas as pd

    if not data:
        raise DataError("prices: the mapping is empty")
    fields = _known_fields(data)
    if all(fields):
        frames = {}
        for field_name, (given, value) in zip(fields, data.items(), strict=True):
            assert field_name is not None
            whole = as_pandas(value)
            frame = _dated(
                whole.to_frame(str(whole.name) if whole.name is not None else "asset")
                if isinstance(whole, pd.Series)
                else whole,
                str(given),
            )
            frames[field_name] = numbers_of(frame.rename(columns=str), str(given))
        return frames
    parts: dict[str, dict[str, pd.DataFrame]] = {
        str(ticker): _of_frame(as_pandas(value), str(ticker)) for ticker, value in data.items()
    }
    zones = {
        ticker: dates_of(part["close"].index)[1] if "close" in part else None
        for ticker, part in parts.items()
    }
    one, other = (
        next(iter(zones)),
        next((t for t, zone in zones.items() if zone != next(iter(zones.values()))), None),
    )
    if other is not None:
        raise DataError(
            f"prices[{one!r}] have the time zone {zones[one]}, prices[{other!r}] "
            f"{zones[other]}: give all the same, with tz_localize or tz_convert"
        )
    names = set.union(*(set(part) for part in parts.values()))
    for ticker, part in parts.items():
        if "close" not in part or part["close"].shape[1] != 1:
            if "close" not in part:
                raise DataError(f"prices[{ticker!r}] has no close")
            raise DataError(
                f"prices[{ticker!r}] has {part['close'].shape[1]} assets: a mapping by "
                "ticker holds one ticker's table each"
            )
    return {
        f: pd.concat(
            [part[f].set_axis([ticker], axis=1) for ticker, part in parts.items() if f in part],
            axis=1,
        ).sort_index()
        for f in sorted(names)
    }


def _of_frame(data: Any, name: str) -> dict[str, pd.DataFrame]:
    """Frames by field, of one table."""
    import pandas as pd

    if isinstance(data, pd.Series):
        if isinstance(data.index, pd.MultiIndex):
            data = data.to_frame(str(data.name) if data.name is not None else "close").reset_index()
        else:
            data = data.to_frame(str(data.name) if data.name is not None else name)
            return {"close": numbers_of(_dated(data, "prices"), "prices")}
    if not len(data) or not len(data.columns):
        raise DataError("the frame is empty: needs at least one date and one asset")
    if isinstance(data.columns, pd.MultiIndex):
        return _of_levels(_dated(data, "prices"))
    if isinstance(data.index, pd.MultiIndex):
        data = data.reset_index()
    doubled = data.columns[data.columns.duplicated()]
    if len(doubled):
        raise DataError(f"asset {str(doubled[0])!r} stands twice")
    counters = [
        c
        for c in data.columns
        if str(c).lower() in COUNTERS and data[c].tolist() == list(range(len(data)))
    ]
    data = _joined(data.drop(columns=counters))  # an index that was written with it
    tickers = [
        c
        for c in data.columns
        if loose(c) in TICKERS[:3]
        or (loose(c) in TICKERS and not pd.api.types.is_numeric_dtype(data[c]))
    ]
    if tickers and not _price_like(data.index):
        if isinstance(data.index, pd.DatetimeIndex | pd.PeriodIndex) and _date_column(data) is None:
            data = data.rename_axis("date").reset_index()
        return _of_tidy(data, tickers[0])
    return _of_wide(_dated(data, "prices"), name)


def _of_wide(frame: pd.DataFrame, name: str) -> dict[str, pd.DataFrame]:
    """Frames by field, of a table with dates: one ticker's fields, or closes by asset."""
    fields = _known_fields(frame.columns)
    if sum(f is not None for f in fields) > 1 and not {"close", "adjusted"} & set(
        fields
    ):  # one table in use calls the close its price
        fields = [
            "close" if loose(c) in LOOSE else f for c, f in zip(frame.columns, fields, strict=True)
        ]
    if (
        "close" in fields
        or "adjusted" in fields
        or (sum(f is not None for f in fields) > 1 and not all(fields))
    ):
        strange = [str(c) for c, f in zip(frame.columns, fields, strict=True) if f is None]
        if strange:
            raise DataError(_strange(strange[0], frame.columns))
        whose = frame.attrs.get("ticker") or name
        named: dict[str, str] = {}
        for f, c in zip(fields, frame.columns, strict=True):
            if f is not None and f in named:
                raise DataError(
                    f"the columns {named[f]!r} and {str(c)!r} are both the {f}: drop one of them"
                )
            named[str(f)] = str(c)
        return {
            f: numbers_of(frame[[c]].set_axis([str(whose)], axis=1), str(c))
            for f, c in zip(fields, frame.columns, strict=True)
            if f is not None
        }
    if all(fields):
        raise DataError(
            f"the columns {', '.join(map(str, frame.columns))} are fields of one ticker "
            "without its close; closes of assets of these names: "
            "Panel.from_frames(close=frame)"
        )
    return {"close": numbers_of(frame.rename(columns=str), "prices")}


def _of_levels(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Columns of two levels: the one whose names are all fields, and the one of tickers."""
    if frame.columns.nlevels != 2:
        raise DataError(
            f"the columns have {frame.columns.nlevels} levels: must be one of assets, or "
            "two of fields and tickers"
        )
    levels = [frame.columns.get_level_values(k) for k in (0, 1)]
    for k in (0, 1):
        fields = _known_fields(levels[k])
        if all(fields) and ("close" in fields or "adjusted" in fields):
            result = {}
            for field_name in dict.fromkeys(fields):
                assert field_name is not None
                part = frame.loc[:, [f == field_name for f in fields]]
                result[field_name] = numbers_of(
                    part.set_axis(
                        [
                            str(t)
                            for t, f in zip(levels[1 - k], fields, strict=True)
                            if f == field_name
                        ],
                        axis=1,
                    ),
                    field_name,
                )
            return result
    strange = next(
        (str(c) for c, f in zip(levels[0], _known_fields(levels[0]), strict=True) if f is None),
        str(levels[0][0]),
    )
    raise DataError(
        "columns of two levels: one must hold fields (open, high, low, close, volume, "
        f"...) with a close among them; {strange!r} is none"
    )


def _of_tidy(data: pd.DataFrame, ticker: Any) -> dict[str, pd.DataFrame]:
    """A row for each date and ticker."""

    date = _date_column(data)
    if date is None:
        raise DataError(f"a table with a column {str(ticker)!r} needs one of dates, called date")
    rest = [c for c in data.columns if c not in (date, ticker)]
    if len(rest) == 1 and loose(rest[0]) in LOOSE:
        data, rest = data.rename(columns={rest[0]: "close"}), ["close"]
    fields = _known_fields(rest)
    strange = [str(c) for c, f in zip(rest, fields, strict=True) if f is None]
    if strange:
        raise DataError(_strange(strange[0], rest))
    if "close" not in fields and "adjusted" not in fields:
        raise DataError("a table of dates and tickers needs a column of closes, called close")
    missing = data[ticker].isna()
    if missing.any():
        raise DataError(f"{ticker}[{int(np.flatnonzero(missing)[0])}] is missing")
    doubled = data.duplicated([date, ticker])
    if doubled.any():
        row = data[doubled].iloc[0]
        raise DataError(f"the table has {row[ticker]} at {row[date]} twice")
    keys = data.assign(
        **{str(ticker): data[ticker].astype(str), str(date): parsed_dates(data[date], str(date))}
    )
    order = list(dict.fromkeys(keys[ticker]))
    return {
        f: numbers_of(keys.pivot(index=date, columns=ticker, values=c)[order], str(c))
        for f, c in zip(fields, rest, strict=True)
        if f is not None
    }


def _finished(frames: dict[str, pd.DataFrame], adjusted: bool | None) -> Tables:
    """Adjusted closes applied, what goes together checked, dates as UTC."""
    if "gains" in frames:  # a fund's capital gains are paid out as dividends are
        gains = frames.pop("gains").fillna(0.0)
        frames["dividends"] = (
            frames["dividends"].fillna(0.0) + gains if "dividends" in frames else gains
        )
    if "splits" in frames:
        frames["splits"] = frames["splits"].replace(
            0.0, 1.0
        )  # how download tools write that nothing splits
    scaled = frames.pop("adjusted", None)
    if scaled is not None:
        if "close" not in frames:
            beside = next((f for f in ("open", "high", "low") if f in frames), None)
            if adjusted is False or beside is not None:
                raise DataError(
                    "there is an adjusted close alone: "
                    f"{'adjusted=False' if beside is None else beside} needs the close as "
                    "it was traded, too"
                )
            frames["close"], adjusted = scaled, True
        elif adjusted is None:
            adjusted = "dividends" not in frames
        if adjusted:
            factor = scaled / frames["close"]
            frames |= {f: frames[f] * factor for f in ("open", "high", "low") if f in frames} | {
                "close": scaled
            }
    if adjusted:
        for taken in ("splits", "dividends"):  # they are in the adjusted prices
            frames.pop(taken, None)
    close = frames.get("close")
    if close is None:
        raise DataError("a panel needs closes: close=frame")
    for name in ("open", "high", "low", "volume"):
        lacking = (
            [
                asset
                for asset in close.columns
                if asset not in frames[name] or frames[name][asset].isna().all()
            ]
            if name in frames
            else []
        )
        if 0 < len(lacking) < close.shape[1]:
            raise DataError(
                f"{name}: there is none of "
                f"{', '.join(lacking[:3])}{', ...' if lacking[3:] else ''}; give it for "
                "every asset, or for none"
            )
    for name, frame in frames.items():
        if not frame.index.equals(close.index) or list(frame.columns) != list(close.columns):
            raise DataError(f"{name}: must have the dates and the assets of close")
    _refuse_returns(close)
    if "splits" in frames:
        _refuse_adjusted(close, frames["splits"])
    index, zone = dates_of(close.index)
    return Tables({name: frame.set_axis(index) for name, frame in frames.items()}, zone, adjusted)
