"""Columns to and from Arrow, from buffer to buffer and without pandas.

`pyarrow.array`, `to_numpy` and every scalar argument import pandas, which takes longer than pricing
a large file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant import disk, system
from gpuquant.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def table(columns: dict[str, Any]) -> Any:
    """Columns as a pyarrow table; blank text is missing."""
    import pyarrow as pa

    def array(value: Any) -> Any:
        """One column."""
        if isinstance(value, Words):
            return value.arrow()
        if value.ndim == 2:
            return pa.array(objects(value).tolist(), pa.list_(pa.float64()))
        if value.dtype.kind in "iuf":
            return pa.Array.from_buffers(
                pa.from_numpy_dtype(value.dtype),
                len(value),
                [None, pa.py_buffer(np.ascontiguousarray(value))],
            )
        if value.dtype == object and all(v is None or isinstance(v, str) for v in value):
            places = {word: k for k, word in enumerate(dict.fromkeys(value))}
            codes = np.fromiter(map(places.__getitem__, value), np.int64, len(value))
            return Words.coded(codes, list(places)).arrow()
        try:
            return pa.array(value)
        except (
            pa.ArrowException,
            OverflowError,
            TypeError,
            ValueError,
        ):  # what Parquet has no kind for is kept as text
            return pa.array(
                [None if one is None else str(one) for one in np.asarray(value, dtype=object)],
                pa.string(),
            )

    return pa.table({name: array(value) for name, value in columns.items()})


def write_table(columns: Any, path: Any) -> None:
    """A Parquet file of a table, written whole, every page with its checksum."""
    import pyarrow.parquet as pq

    with disk.whole(path) as scratch:
        pq.write_table(columns, scratch, compression="zstd", write_page_checksum=True)


def write_frame(frame: pd.DataFrame, path: Any) -> None:
    """As `write_table`, of a pandas frame with its index and attributes."""
    with disk.whole(path) as scratch:
        frame.to_parquet(scratch, engine="pyarrow", write_page_checksum=True)


def read_table(path: Any) -> Any:
    """A pyarrow table of a Parquet file; pages that have checksums are held to them.

    Raises
    ------
    DataError
        Its table would not fit into this machine's memory.
    """
    import pyarrow.parquet as pq

    fits(path)
    return pq.ParquetFile(path, page_checksum_verification=True).read()


def fits(path: Any, columns: Any = None) -> None:
    """Refuse a Parquet file if its table, or these columns of it, would not fit into the memory of
    this machine. The metadata state the size: a small file can hold a large table.

    Raises
    ------
    DataError
        The table would not fit.
    """
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    size = 8 * metadata.num_rows * (metadata.num_columns if columns is None else len(columns))
    memory = system.memory()
    if memory is not None and size > memory:
        raise DataError(
            f"{path} cannot be read: {metadata.num_rows} rows of {metadata.num_columns} columns "
            f"take {size / 2**30:.1f} GiB, and there are {memory / 2**30:.1f}"
        )


def read_frame(path: Any, columns: Any = None) -> pd.DataFrame:
    """A pandas frame of a Parquet file; checksums of pages are verified where they exist.

    Raises
    ------
    DataError
        The file is absent, damaged or not Parquet, or does not fit into memory.
    """
    import pandas as pd

    try:
        fits(path, columns)
        return pd.read_parquet(
            path, engine="pyarrow", columns=columns, page_checksum_verification=True
        )
    except DataError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RuntimeError,
    ) as failure:  # pyarrow's errors are some of these, and pandas' of its own notes the others
        raise DataError(f"{path} cannot be read: {str(failure).splitlines()[0]}") from failure


def objects(value: Any) -> Any:
    """A column as pandas holds it: text and lists as objects."""
    if isinstance(value, Words):
        return value.array()
    if np.ndim(value) != 2:
        return value
    out = np.empty(len(value), dtype=object)
    out[:] = [row[np.isfinite(row)].tolist() or None for row in value]
    return out


def numbers(column: Any, missing: float = np.nan) -> np.ndarray:
    """A pyarrow column of numbers or truth values as an array."""
    import pyarrow as pa

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_boolean(array.type):
        values = numbers(array.cast(pa.int8()))
        return values if array.null_count else values.astype(np.bool_)
    values = np.from_dlpack(
        pa.Array.from_buffers(
            array.type, len(array), [None, array.buffers()[1]], offset=array.offset
        )
    )
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
        words = pa.StringArray.from_buffers(
            len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))
        )
        codes, there = (
            np.ascontiguousarray(self.codes, dtype=np.int64),
            np.packbits(self.codes >= 0, bitorder="little"),
        )
        places = pa.Array.from_buffers(
            pa.int64(), len(codes), [pa.py_buffer(there), pa.py_buffer(codes)]
        )
        return pa.DictionaryArray.from_arrays(places, words).cast(pa.string())

    @classmethod
    def of(cls, values: Any) -> Words:
        """From any sequence of text."""
        import pyarrow as pa

        array = (
            values
            if isinstance(values, pa.Array | pa.ChunkedArray)
            else pa.array(values, from_pandas=True)
        )
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        coded = (
            array
            if pa.types.is_dictionary(array.type)
            else array.cast(pa.string()).dictionary_encode()
        )
        return cls.coded(numbers(coded.indices, -1).astype(np.int64), coded.dictionary.to_pylist())

    @classmethod
    def coded(cls, codes: np.ndarray, words: list[Any]) -> Words:
        """From codes into words; what stands for a blank or missing word is missing, as in a CSV
        file.
        """
        blank = np.array([*(word is None or word == "" for word in words), True])
        return cls(np.where(blank[codes], -1, codes), np.array(words, dtype=object))
