"""Results: frozen records of columns with their `meta`, brought to a frame once.

A result keeps numbers as arrays; `frame` puts them beside the caller's rows with the caller's index.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

OK, WARNING, FAILED = 0, 1, 2
STATUS = np.array(["ok", "warning", "failed"], dtype=object)
_GREEKS = ("delta", "gamma", "vega", "rho", "theta")
RESULT_COLUMNS = ("price", "std_error", "value", "engine", "status", "message", "paths", *_GREEKS, *(f"{name}_std_error" for name in _GREEKS))


def table(columns: dict[str, Any]) -> Any:
    """Columns as a pyarrow table; blank text is missing. From buffers: `pyarrow.array` would import pandas, which takes longer than
    pricing a large file.
    """
    import pyarrow as pa

    def array(value: Any) -> Any:
        """One column."""
        if isinstance(value, Words):
            return value.arrow()
        if value.dtype.kind in "iuf":
            return pa.Array.from_buffers(pa.from_numpy_dtype(value.dtype), len(value), [None, pa.py_buffer(np.ascontiguousarray(value))])
        if value.dtype == object and all(isinstance(v, str) for v in value):
            places = {word: k for k, word in enumerate(dict.fromkeys(value))}
            codes = np.fromiter(map(places.__getitem__, value), np.int64, len(value))
            return Words(np.where(codes == places.get("", -1), -1, codes), np.array(list(places), dtype=object)).arrow()
        return pa.array(value)

    return pa.table({name: array(value) for name, value in columns.items()})


def numbers(column: Any, missing: float = np.nan) -> np.ndarray:
    """A pyarrow column of numbers or truth values as an array. Its own `to_numpy`, and any scalar argument, would import pandas."""
    import pyarrow as pa

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_boolean(array.type):
        values = numbers(array.cast(pa.int8()))
        return values if array.null_count else values.astype(np.bool_)
    values = np.from_dlpack(pa.Array.from_buffers(array.type, len(array), [None, array.buffers()[1]], offset=array.offset))
    if not array.null_count:
        return values
    return np.where(numbers(array.is_valid()), values, missing)


@dataclass(frozen=True)
class Words:
    """A column of text as codes into its distinct words; code -1 is missing.

    Parameters
    ----------
    codes : int array, shape (n,)
    words : object array, shape (distinct,)
    """

    codes: np.ndarray
    words: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: np.ndarray) -> Words:
        """The same words for these rows."""
        return Words(self.codes[rows], self.words)

    def array(self) -> np.ndarray:
        """The text itself, as objects; missing is None."""
        return np.append(self.words, np.array([None], dtype=object))[self.codes]

    def arrow(self) -> Any:
        """As a pyarrow string array."""
        import pyarrow as pa

        encoded = [str(word).encode() for word in self.words]
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
        words = pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))
        codes, there = np.ascontiguousarray(self.codes, dtype=np.int64), np.packbits(self.codes >= 0, bitorder="little")
        places = pa.Array.from_buffers(pa.int64(), len(codes), [pa.py_buffer(there), pa.py_buffer(codes)])
        return pa.DictionaryArray.from_arrays(places, words).cast(pa.string())

    @classmethod
    def of(cls, values: Any) -> Words:
        """From any sequence of text."""
        import pyarrow as pa

        array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        coded = array if pa.types.is_dictionary(array.type) else array.cast(pa.string()).dictionary_encode()
        codes, words = numbers(coded.indices, -1).astype(np.int64), np.array(coded.dictionary.to_pylist(), dtype=object)
        return cls(np.where(np.append(words == "", True)[codes], -1, codes), words)  # a blank is missing, as in a CSV file


@dataclass(frozen=True)
class Priced:
    """Prices of contracts, one row each, in the caller's order.

    Attributes
    ----------
    columns : dict of arrays, shape (n,)
        `price`, `std_error` (0 for closed forms, NaN where unknown), Greeks when asked for, `value` = price x quantity x multiplier, `engine`,
        `status` (ok, warning, failed), `message`.
    source : dict
        The caller's own columns.
    index : object
        The caller's index, or None.
    meta : dict
        device, precision, seed, paths, seconds, joules, versions.
    """

    columns: dict[str, Any]
    source: dict[str, Any] = field(default_factory=dict)
    index: Any = None
    meta: dict[str, Any] = field(default_factory=dict)
    scalar: bool = False
    partial: bool = False

    def _numbers(self, name: str) -> Any:
        values = self.columns[name]
        return float(values[0]) if self.scalar else values

    @property
    def price(self) -> Any:
        """Price per unit: a float for one contract, else shape (n,)."""
        return self._numbers("price")

    @property
    def std_error(self) -> Any:
        """One standard error of the price."""
        return self._numbers("std_error")

    @property
    def value(self) -> Any:
        """Price x quantity x multiplier: a float for one contract, else shape (n,)."""
        return self._numbers("value")

    def __getattr__(self, name: str) -> Any:
        columns = self.__dict__.get("columns", {})
        if name in columns and name in RESULT_COLUMNS:
            return self._numbers(name)
        raise AttributeError(f"{name!r}: this result has {', '.join(columns)}")

    @property
    def failed(self) -> np.ndarray:
        """Positions of the rows without a price."""
        return np.flatnonzero(self.columns["status"] == "failed")

    @property
    def total(self) -> float:
        """Sum of the values; NaN when a row failed, unless `partial=True` was asked for."""
        currencies = self.source.get("currency")
        if isinstance(currencies, Words) and len(np.unique(currencies.codes)) > 1:
            raise DataError(f"the book holds {', '.join(map(str, currencies.words))}: a total needs one currency; group `frame` by it")
        values = self.columns["value"]
        if self.failed.size and not self.partial:
            return float("nan")
        return float(np.nansum(values))

    @property
    def frame(self) -> pd.DataFrame:
        """The caller's rows, order and index, and the results beside them."""
        import pandas as pd

        everything = {**self.source, **self.columns}
        return pd.DataFrame({k: v.array() if isinstance(v, Words) else v for k, v in everything.items()}, index=self.index)

    def to_frame(self) -> pd.DataFrame:
        """The same as `frame`."""
        return self.frame

    def to_parquet(self, path: str | Path) -> None:
        """Write the caller's rows and the results; without pandas, so that the shell stays quick."""
        import pyarrow.parquet as pq

        pq.write_table(table({**self.source, **self.columns}), path, compression="zstd")

    def _repr_html_(self) -> str:
        meta = ", ".join(f"{k}: {v}" for k, v in self.meta.items() if k in ("device", "precision", "seed", "seconds", "joules"))
        return f"{self.frame.head(20).to_html()}<p>{len(self.columns['price'])} rows; {meta}</p>"

    def plot(self, x: str = "strike", y: str = "price", ax: Any = None) -> Any:
        """A result column against a contract column, with bars of two standard errors."""
        from gpuquant.report.plots import price_plot

        return price_plot(self.frame, x, y, ax)

    def _totals(self) -> list[str]:
        currencies = self.source.get("currency")
        if not isinstance(currencies, Words) or len(np.unique(currencies.codes)) == 1:
            return [f"total value: {self.total:,.2f}"]
        names, values = currencies.array(), self.columns["value"]
        kinds = sorted(set(names.tolist()), key=str)
        return [f"total value in {kind}: {np.nansum(values[names == kind]) if self.partial else values[names == kind].sum():,.2f}" for kind in kinds]

    def summary(self) -> str:
        """One paragraph: how many rows, by engine and status, the total, and what it took."""
        status, counts = np.unique(self.columns["status"].astype(str), return_counts=True)
        engines, by = np.unique(self.columns["engine"].astype(str), return_counts=True)
        rows = len(self.columns["price"])
        seconds = self.meta.get("seconds", float("nan"))
        lines = [
            f"{rows} contracts in {seconds:.3g} s on {self.meta.get('device')} ({rows / max(seconds, 1e-9):,.0f} a second)",
            "engine: " + ", ".join(f"{k} {n}" for k, n in zip(engines, by, strict=True) if k),
            "status: " + ", ".join(f"{k} {n}" for k, n in zip(status, counts, strict=True)),
        ]
        if self.failed.size:
            lines.append(
                f"failed rows: {', '.join(map(str, self.failed[:10]))}{' ...' if self.failed.size > 10 else ''}; the total over them is NaN unless partial=True"
            )
        return "\n".join([*lines, *self._totals()])
