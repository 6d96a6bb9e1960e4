"""Records: numbers with names that a kernel changes, `account.cash`, and bundles that it reads.

A record is a class of named numbers. A list of records is one table, with a row for each number and
a column for each record. A bundle is a `typing.NamedTuple`. `flatten.py` rewrites both for compiled
code: a record becomes a place in an array, which LLVM turns into registers, and a bundle becomes a
tuple. Python runs the same source with the objects below.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from gpuquant.errors import MemberError
from gpuquant.math.dual_numbers import plain

NUMBERS: dict[str, Any] = {"f32": np.float32, "f64": np.float64}
Numbers = tuple[float, ...]


class Record:
    """Numbers with names, which a kernel changes.

    A subclass lists the numbers as annotations: `float`, `int`, `bool`, or
    `Annotated[Numbers, "N"]` for a vector of N floats, where N is a constant of the kernel.
    `number` is the type that stores every number of the record: f32 stores an `int` exactly up to
    2^24, and `dual` is a float with the slopes that the kernel has. A new record's numbers are
    unset. The file that defines a record must have the line `from __future__ import annotations`.
    """

    number = "f64"

    def __init_subclass__(cls, number: str = "f64") -> None:
        cls.number = number


class Field(NamedTuple):
    """One of a record's numbers: its type, its row, and if it is a vector its length."""

    type: str
    row: int
    length: int = 1


class Layout(NamedTuple):
    """How a record is stored: the row of each field, the number of rows, and the number type."""

    name: str
    fields: dict[str, Field]
    size: int
    number: str

    def field(self, name: str) -> Field:
        """One of its numbers."""
        if name not in self.fields:
            raise MemberError(f"{self.name} has no '{name}': it has {', '.join(self.fields)}")
        return self.fields[name]


def layout(record: type[Record], constants: Mapping[str, Any]) -> Layout:
    """The layout of a record in a kernel that has these constants."""
    fields, row = {}, 0
    for name, text in record.__annotations__.items():
        several = re.fullmatch(r"Annotated\[Numbers, '(\w+)'\]", text.replace('"', "'"))
        length = constants[several[1]] if several else 1
        fields[name] = Field("vector" if several else text, row, length)
        row += length
    return Layout(record.__name__, fields, row, constants.get(record.number, record.number))


class Vector(tuple[Any, ...]):
    """A copy of a vector of a record. Assigning to an element changes the record, not the copy."""

    def __new__(cls, rows: np.ndarray) -> Vector:
        """The numbers of a part of a table."""
        made = super().__new__(cls, tuple(rows))
        made.rows = rows
        return made

    rows: np.ndarray

    def __setitem__(self, at: int, value: Any) -> None:
        self.rows[at] = value


class One:
    """A record: a place in a table."""

    __slots__ = ("_column", "_layout", "_row", "_table")

    def __init__(self, layout: Layout, table: Any, row: int, column: int) -> None:
        for name, value in zip(self.__slots__, (column, layout, row, table), strict=True):
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        field = self._layout.field(name)
        row = self._row + field.row
        if field.type == "vector":
            return Vector(self._table[row : row + field.length, self._column])
        value = self._table[row, self._column]
        if field.type == "float":
            return value
        return {"int": int, "bool": bool}[field.type](plain(value))

    def __setattr__(self, name: str, value: Any) -> None:
        field = self._layout.field(name)
        row = self._row + field.row
        if field.type == "vector":
            self._table[row : row + field.length, self._column] = value
        else:
            self._table[row, self._column] = value

    def rows(self) -> Any:
        """All its numbers."""
        return self._table[self._row : self._row + self._layout.size, self._column]


class Many:
    """A list of records in a table."""

    def __init__(self, layout: Layout, table: Any) -> None:
        self.layout, self.table = layout, table

    def __getitem__(self, at: Any) -> One:
        row, column = at if isinstance(at, tuple) else (0, at)
        return One(self.layout, self.table, int(row) * self.layout.size, int(column))

    def __len__(self) -> int:
        return int(self.table.shape[1])


def clear(record: One) -> None:
    """Set every number of a record to zero."""
    record.rows()[:] = 0.0


def add_fields(record: One, other: One) -> None:
    """Add each number of another record of the same kind."""
    record.rows()[:] += other.rows()


def write_fields(record: One, table: Any, *at: int) -> None:
    """Write all numbers of a record, in order, from `table[*at, 0]` on."""
    for k, value in enumerate(record.rows()):
        table[(*at[:-1], at[-1] + k)] = value


def as_records(argument: Any, makers: Mapping[str, Any]) -> Any:
    """A kernel's argument in the form that Python uses: in a bundle, a table whose annotation is a
    list of records becomes a `Many`. `makers` is the result of `words`.
    """
    if not hasattr(argument, "_fields"):
        return argument
    lists = {
        name: getattr(annotation, "__forward_arg__", "").removeprefix("list[").removesuffix("]")
        for name, annotation in type(argument).__annotations__.items()
    }
    return argument._replace(
        **{
            name: Many(makers[record]()._layout, getattr(argument, name))
            for name, record in lists.items()
            if record in makers and isinstance(getattr(argument, name), np.ndarray)
        }
    )


def _unset(rows: int, columns: int, layout: Layout) -> np.ndarray:
    """A table for records of a layout. Dual numbers are objects."""
    return np.full((rows, columns), np.nan, NUMBERS.get(layout.number, object))


def words(layouts: Mapping[str, Layout], bundles: Iterable[type]) -> dict[str, Any]:
    """The meanings in Python of the names of records and bundles, and of the functions on them."""

    def records(name: Any, shape: Any) -> Many:
        rows, columns = shape if isinstance(shape, tuple) else (1, shape)
        result = name()._layout
        table = _unset(rows * result.size, columns, result)
        return Many(result, table)

    def maker(result: Layout) -> Any:
        return lambda: One(result, _unset(result.size, 1, result), 0, 0)

    return {
        **{name: maker(one) for name, one in layouts.items()},
        **{bundle.__name__: bundle for bundle in bundles},
        "records": records,
        "view": lambda name, table: Many(name()._layout, table),
        "clear": clear,
        "add_fields": add_fields,
        "write_fields": write_fields,
    }
