"""Cells of a table of contracts: numbers, dates, lists and names as people write them."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from gpuquant.data.arrow import Words, numbers
from gpuquant.data.columns import as_lists
from gpuquant.data.domains import Domain
from gpuquant.errors import DataError, InputError
from gpuquant.math.rng import MAX_STREAMS

NOTHING = np.full(1, np.nan)  # in the place of a list that is not there
DAYS = 365.0
SECONDS = 86_400.0  # of a day
SMALL = 1 << 22  # numbers of a column of lists that is kept as one array


def _parsed(words: Words) -> np.ndarray:
    """Text as numbers, such as 1,000.00 and 20%. Any other text becomes infinity, so that the check
    of the row reports it.
    """
    return np.array([*map(_number, words.words), np.nan])[words.codes]


def _number(word: str) -> float:
    """The number that a text says, infinite where it says none."""
    text = word.strip().replace("_", "")
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", text):
        text = text.replace(",", "")
    try:
        return float(text[:-1]) / 100.0 if text.endswith("%") else float(text)
    except ValueError:
        return np.inf


def _as_text(value: Any) -> str | None:
    """A value among others of another kind, as text."""
    if value is None or (isinstance(value, float) and value != value):
        return None
    return (
        json.dumps([None if v is None else v for v in value], default=float)
        if isinstance(value, list | tuple | np.ndarray)
        else str(value)
    )


def names_of(values: list[Any]) -> np.ndarray:
    """Lists of names, such as those of a basket's assets, as an object array, None where there
    is none; text is read as JSON, or as names between commas.
    """
    out = np.full(len(values), None, dtype=object)
    for row, value in enumerate(values):
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                value = value.split(",")
        if value is not None and not isinstance(value, float):
            out[row] = tuple(str(name).strip() for name in np.atleast_1d(value))
    return out


def own_of(column: Any) -> Any:
    """A column of the caller's own, as it came."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return Words.of(column)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return numbers(column)
    out = np.empty(len(column), dtype=object)
    out[:] = column.to_pylist()
    return out


def _ragged(lists: list[Any]) -> np.ndarray:
    """Lists of numbers as rows of one array where that is small, else each by itself."""
    read = np.full(len(lists), None, dtype=object)
    for row, one in enumerate(lists):
        read[row] = _list_of(one)
    return _padded(list(read), "") if len(read) * max(map(len, read), default=1) <= SMALL else read


def _list_of(value: Any) -> np.ndarray:
    """A list of numbers, or one number, as an array. Any other value becomes infinity, so that the
    check of the row reports it.
    """
    try:
        return (
            NOTHING
            if value is None
            else np.array(
                [
                    np.nan if v is None else v
                    for v in np.atleast_1d(np.asarray(value, dtype=object))
                ],
                dtype=np.float64,
            ).ravel()
        )
    except (TypeError, ValueError):
        return np.full(1, np.inf)


def _missing(values: np.ndarray) -> np.ndarray:
    """Where a column of numbers or of lists has nothing."""
    if values.dtype == object:
        return np.array(
            [
                one is None or (isinstance(one, float | np.ndarray) and not np.isfinite(one).any())
                for one in values
            ]
        )
    nothing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    return np.asarray(nothing.all(axis=1) if values.ndim == 2 else nothing)


def _padded(lists: list[Any], name: str) -> np.ndarray:
    """Lists as rows of one array, NaN where one ends before the longest."""
    return as_lists(
        lists, Domain("must be a list of numbers, such as [1, 2]"), name, "contract column"
    )


def _json(word: str | None) -> list[float]:
    """A list written as JSON; infinite where it is none, so that its row's check names it."""
    try:
        result = np.nan if word is None else json.loads(word)
        return np.asarray(result, dtype=np.float64).ravel().tolist()
    except (ValueError, TypeError):
        return [np.inf]


def _date(word: str | None) -> np.datetime64:
    """A date with its time of day, or NaT when the text is none."""
    try:
        moment = datetime.datetime.fromisoformat((word or "").strip().replace("/", "-"))
        return np.datetime64(moment.replace(tzinfo=None), "s")
    except ValueError:
        return np.datetime64("NaT", "s")


@lru_cache(maxsize=1 << 20)
def stream_of(word: Any) -> int:
    """The stream of an id. A whole number that is small enough is its own stream. Any other id
    gets 51 bits of its BLAKE2b hash, in the upper half of the streams, which small numbers leave
    free.
    """
    text = str(word)
    if (
        text.isdecimal()
        and text.isascii()
        and len(text) < 16
        and (text == "0" or text[0] != "0")
        and int(text) < MAX_STREAMS // 2
    ):
        return int(text)
    return (
        int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
        % (MAX_STREAMS // 2)
        + MAX_STREAMS // 2
    )


def expiry_dates(expiry: Any, years: np.ndarray, messages: Any) -> np.ndarray:
    """The dates of a column, NaT where it has none; a message for each word that is no date, where
    the row's maturity is not known otherwise.
    """
    if (
        np.asarray(expiry).dtype.kind in "iuf" if not isinstance(expiry, Words) else False
    ):  # such as 20221228
        expiry = Words.of(
            [None if value != value else f"{value:.0f}" for value in np.asarray(expiry).tolist()]
        )
    if isinstance(expiry, Words):
        dates = np.array([_date(word) for word in [*expiry.words, None]], dtype="datetime64[s]")[
            expiry.codes
        ]
        for row in np.flatnonzero(np.isnat(dates) & (expiry.codes >= 0) & np.isnan(years)):
            messages[row] = (
                f"expiry[{row}] = {expiry.words[expiry.codes[row]]!r}: must be a "
                "date such as 2022-12-28"
            )
    elif np.asarray(expiry).dtype.kind == "M":
        dates = np.asarray(expiry).astype("datetime64[s]")
    else:
        raise InputError(f"contract column 'expiry' must be dates, got {np.asarray(expiry).dtype}")
    return dates


def years_from(dates: np.ndarray, asof: datetime.date) -> np.ndarray:
    """Years of 365 days from `asof`. Times of day count where both have one; a date without a time
    is a whole number of days away.
    """
    wall = asof.replace(tzinfo=None) if isinstance(asof, datetime.datetime) else None
    days = dates.astype("datetime64[D]")
    counted = (days - np.datetime64(wall or asof, "D")).astype(np.float64)
    if wall is not None:  # on the wall, as the times of expiries are
        exact = (dates - np.datetime64(wall, "s")).astype(np.float64) / SECONDS
        counted = np.where(dates == days, counted, exact)
    counted[np.isnat(dates)] = np.nan
    return counted / DAYS


def _opened(read: Callable[[], Any], path: Path) -> Any:
    """What `read` gives; a file that is not what its name says is an error of ours."""
    import pyarrow as pa

    try:
        return read()
    except (pa.ArrowException, OSError) as failure:
        raise DataError(
            f"contract file {path} cannot be read: {str(failure).splitlines()[0]}"
        ) from failure
