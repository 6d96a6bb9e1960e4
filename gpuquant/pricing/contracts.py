"""Contracts: rows of mixed products, column by column, read from a frame, Parquet or CSV."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from gpuquant import disk
from gpuquant.data.arrow import Words, numbers, objects, read_table, table, write_table
from gpuquant.data.choices import loose
from gpuquant.data.columns import affordable
from gpuquant.device import on_host
from gpuquant.errors import DataError, InputError, unknown
from gpuquant.math.rng import MAX_STREAMS
from gpuquant.pricing.contract_cells import (
    _as_text,
    _json,
    _list_of,
    _missing,
    _opened,
    _padded,
    _parsed,
    _ragged,
    expiry_dates,
    names_of,
    own_of,
    stream_of,
    years_from,
)
from gpuquant.pricing.results import RESULT_COLUMNS
from gpuquant.pricing.schema import models, payoffs, schema
from gpuquant.shown import Shown

LONGEST = 1000.0  # years to a maturity; a larger number is a date, or a mistake


SLIP = 0.8  # similarity to a known column above which an unknown name counts as a typing error


@lru_cache(maxsize=1)
def _columns_known(members: tuple[type, ...]) -> frozenset[str]:
    return frozenset(name for name, *_ in schema())


def columns_known() -> frozenset[str]:
    """Every column that a contract may have; members may be defined at any time."""
    return _columns_known((*models().values(), *payoffs().values()))


def near_to(name: str, known: frozenset[str]) -> bool:
    """Whether an unknown column is so like a known one that it must be meant for it."""
    alike = {loose(one): one for one in known}
    return loose(name) in alike or bool(get_close_matches(loose(name), alike, n=1, cutoff=SLIP))


@dataclass(frozen=True)
class Contracts(Shown):
    """A book of contracts, column by column.

    Columns that no product and no model has are the caller's own: they stay unchanged and come back
    with the results. A name that is almost the name of a known column is refused.

    Parameters
    ----------
    columns : mapping
        Name to a float array, a `Words` of text, or an object array of lists.
    index : object
        The caller's index, given back with the results.
    """

    columns: Mapping[str, Any]
    index: Any = None

    def _shown(self) -> dict[str, str]:
        return {"rows": f"{len(self):,}", "columns": ", ".join(self.columns)}

    def __post_init__(self) -> None:
        columns = {name: on_host(values, name) for name, values in self.columns.items()}
        object.__setattr__(self, "columns", columns)
        if len(self) == 0:
            raise InputError("the contracts are empty: needs at least one row")
        known = columns_known()
        for name in self.columns:
            if name in RESULT_COLUMNS or name in known:
                continue  # a priced file may be priced again; its old results are not read
            if near_to(name, known):  # a slip of the pen is no column of the caller's own
                raise unknown("contract column", name, known)
        if "product" not in self.columns:
            raise InputError("the contracts lack the column 'product'")
        if "maturity" not in self.columns and "expiry" not in self.columns:
            raise InputError("the contracts lack a column 'maturity' (years) or 'expiry' (date)")

    def __len__(self) -> int:
        return max((len(value) for value in self.columns.values()), default=0)

    @classmethod
    def read(cls, path: str | Path) -> Contracts:
        """From a Parquet or CSV file; lists in CSV are JSON."""
        path = disk.present(path, "contract file")
        if path.suffix == ".parquet":
            return cls.from_arrow(_opened(lambda: read_table(path), path))
        if path.suffix == ".csv":
            from pyarrow import csv

            return cls.from_arrow(
                _opened(
                    lambda: csv.read_csv(
                        path, convert_options=csv.ConvertOptions(strings_can_be_null=True)
                    ),
                    path,
                )
            )
        raise DataError(f"contract file {path}: must end in .parquet or .csv")

    @classmethod
    def from_arrow(cls, table: Any) -> Contracts:
        """From a pyarrow table."""
        import pyarrow as pa

        columns: dict[str, Any] = {}
        known = columns_known() | {*RESULT_COLUMNS}
        for place, name in enumerate(table.column_names):
            if table.column_names.count(name) > 1:
                raise InputError(f"contract column {name!r} stands twice")
            column = table.column(place)
            kind = column.type
            if (
                name == "id" and pa.types.is_integer(kind) and column.null_count
            ):  # whole numbers beside blanks stay whole
                columns[name] = np.empty(len(column), dtype=object)
                columns[name][:] = column.to_pylist()
            elif name == "underlyings":
                columns[name] = names_of(column.to_pylist())
            elif name not in known:
                columns[name] = own_of(column)
            elif (
                pa.types.is_string(kind)
                or pa.types.is_large_string(kind)
                or pa.types.is_dictionary(kind)
            ):
                columns[name] = Words.of(column)
            elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
                if getattr(kind, "tz", None):  # the time on the wall there
                    import pyarrow.compute

                    column = pyarrow.compute.local_timestamp(column)
                columns[name] = column.to_numpy().astype("datetime64[s]")
            elif (
                pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
            ):
                columns[name] = numbers(column)
            elif pa.types.is_decimal(kind):
                columns[name] = numbers(column.cast(pa.float64()))
            elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
                columns[name] = _ragged(column.to_pylist())
            elif pa.types.is_null(kind):
                columns[name] = np.full(len(column), np.nan)
            else:
                raise InputError(
                    f"contract column {name!r} has type {kind}: must be numbers, text or dates"
                )
        return cls(columns)

    @classmethod
    def from_frame(cls, frame: Any) -> Contracts:
        """From a pandas frame; its index comes back with the results."""
        import pyarrow as pa

        if not len(frame):
            raise InputError("the contracts are empty: needs at least one row")
        names = [str(c) for c in frame.columns]
        if len(set(names)) != len(names):
            raise InputError(
                f"contract column {next(n for n in names if names.count(n) > 1)!r} stands twice"
            )
        arrays = []
        for name in frame.columns:
            try:
                arrays.append(pa.array(frame[name], from_pandas=True))
            except (
                pa.ArrowException,
                OverflowError,
                TypeError,
                ValueError,
            ):  # several kinds of values: each row is read as what it says
                arrays.append(pa.array([_as_text(value) for value in frame[name]], pa.string()))
        made = cls.from_arrow(pa.table(arrays, names=names)).columns
        known = columns_known() | {*RESULT_COLUMNS}
        own = {str(c): frame[c].to_numpy() for c in frame.columns if str(c) not in known}
        return cls({**made, **own}, frame.index)

    def to_frame(self) -> Any:
        """The rows as a pandas frame."""
        import pandas as pd

        return pd.DataFrame({k: objects(v) for k, v in self.columns.items()}, index=self.index)

    def to_parquet(self, path: str | Path) -> None:
        """Write the rows."""
        write_table(table(dict(self.columns)), path)

    def text(self, name: str, default: str) -> Words:
        """A text column, or one word for all."""
        value = self.columns.get(name)
        if value is None:
            return Words(np.zeros(len(self), np.int64), np.array([default], dtype=object))
        if not isinstance(value, Words):
            given = np.asarray(value)
            if (
                given.dtype.kind in "iufbO"
            ):  # numbers and lists are words that nothing is called by, row by row
                missing = _missing(given)
                return Words.of(
                    [
                        None if nothing else str(one)
                        for one, nothing in zip(given.tolist(), missing, strict=True)
                    ]
                )
            raise InputError(
                f"contract column {name!r} must be text, got {np.asarray(value).dtype}"
            )
        return value

    def numbers(self, name: str) -> np.ndarray | None:
        """A numeric column as float64, or None when absent."""
        value = self.columns.get(name)
        if value is None:
            return None
        if isinstance(value, Words):
            return _parsed(value)
        if np.asarray(value).dtype.kind not in "fiubO":
            raise InputError(
                f"contract column {name!r} must be numbers, got {np.asarray(value).dtype}"
            )
        given = np.asarray(value)
        if given.dtype == object or given.ndim == 2:  # a list where a number belongs
            return np.where(_missing(given), np.nan, np.inf)
        return given.astype(np.float64, copy=False)

    def lists(self, name: str, rows: np.ndarray) -> np.ndarray | None:
        """A column of lists for these rows as float64, as wide as the longest list. Shorter lists
        end with NaN. None if the column is absent. Text is read as JSON.

        Raises
        ------
        TooLarge
            One array of so many rows, each as wide as the longest list, is too large.
        """
        value = self.columns.get(name)
        if value is None:
            return None
        if isinstance(value, Words):
            codes, place = np.unique(value.codes[rows], return_inverse=True)
            read = _padded([_json(None if code < 0 else value.words[code]) for code in codes], name)
            affordable(len(rows), read.shape[1], name)
            return read[place.ravel()]
        value = np.asarray(value)
        if value.dtype == object:
            return _padded([_list_of(one) for one in value[rows]], name)
        value = value.astype(np.float64, copy=False)
        return value[rows] if value.ndim == 2 else value[rows, None]

    def amounts(self) -> np.ndarray:
        """Quantity times multiplier of each row, 1 where they are not given."""
        amount = np.ones(len(self))
        for name in ("quantity", "multiplier"):
            value = self.numbers(name)
            if value is not None:
                amount = amount * np.where(np.isnan(value), 1.0, value)
        return amount

    def streams(self, messages: np.ndarray) -> np.ndarray:
        """The random stream of each row: its id, or its position where it has none; a bad id is
        noted in `messages`.

        A whole number is the same id as a number and as text.
        """
        place = np.arange(len(self), dtype=np.int64)
        ids = self.columns.get("id")
        if ids is None:
            return place
        if isinstance(ids, Words):
            return np.where(
                ids.codes < 0,
                place,
                np.array([stream_of(word) for word in [*ids.words, ""]], dtype=np.int64)[ids.codes],
            )
        whole = np.asarray(ids)
        if whole.dtype == object:
            return np.array(
                [k if one is None else stream_of(one) for k, one in enumerate(whole)],
                dtype=np.int64,
            )
        if whole.dtype.kind not in "iuf":
            raise InputError(
                f"contract column 'id' must be text or whole numbers, got {whole.dtype}"
            )
        blank = np.isnan(whole) if whole.dtype.kind == "f" else np.zeros(len(whole), bool)
        bad = (
            ~blank & ~(np.isfinite(whole) & (whole == np.floor(whole)))
            if whole.dtype.kind == "f"
            else blank
        )
        for row in np.flatnonzero(bad):
            messages[row] = f"id[{row}] = {float(whole[row])!r}: must be text or a whole number"
        plain = ~bad & ~blank & (whole >= 0) & (whole < MAX_STREAMS // 2)
        streams = np.where(plain, np.where(plain, whole, 0).astype(np.int64), place)
        for row in np.flatnonzero(~plain & ~bad & ~blank):
            streams[row] = stream_of(int(whole[row]))
        return streams

    def maturities(self, asof: datetime.date | None, messages: np.ndarray) -> np.ndarray:
        """Years to maturity of each row; a passed expiry is noted in `messages`."""
        years = self.numbers("maturity")
        years = np.full(len(self), np.nan) if years is None else years.copy()
        for row in np.flatnonzero(np.isfinite(years) & (years > LONGEST)):
            messages[row] = (
                f"maturity[{row}] = {float(years[row]):g}: must be years, {LONGEST:g} at "
                "most; a date belongs in the column 'expiry'"
            )
        expiry = self.columns.get("expiry")
        if expiry is not None:
            if asof is None:
                raise InputError(
                    "contracts have an 'expiry' date but the market has no 'asof' date "
                    "to count from"
                )
            dates = expiry_dates(expiry, years, messages)
            counted = years_from(dates, asof)
            passed = np.isnan(years) & (counted < 0)
            for row in np.flatnonzero(passed):
                moment = str(dates[row]).removesuffix("T00:00:00")
                messages[row] = f"expiry[{row}] = {moment}: is before {asof}"
            years = np.where(np.isnan(years), counted, years)
        return years
