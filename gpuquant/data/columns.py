"""Columns: each parameter of a member stated once (domain, unit, default), checked by name and row,
packed for a kernel.

A member is a frozen dataclass whose fields are made by `positive()`, `real()`, `choice()`, ... A
value is a number, a sequence or an array; after construction every field is a float64 array of
length 1 or n. Choices are kept as codes.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from typing import Any, ClassVar, Self, TypeVar, cast

import numpy as np

from gpuquant.data.choices import decode
from gpuquant.data.domains import Domain
from gpuquant.device import on_host
from gpuquant.errors import InputError, TooLarge, unknown
from gpuquant.shown import Shown, short

MOST_NUMBERS = 1 << 27  # of one array of lists: a GiB

Function = TypeVar("Function")
NO_ROW = np.zeros(1, bool)


def cached(function: Function) -> Function:
    """Remember a function of member classes; typed as the function itself."""
    return cast(Function, lru_cache(maxsize=None)(function))  # type: ignore[arg-type]


def as_column(values: Any, domain: Domain, name: str, kind: str) -> np.ndarray:
    """A value of the user's as a float64 array of at least one element, types checked and domain
    not yet.
    """
    values = on_host(values, name)
    if domain.words:
        return decode(values, domain, name, kind)
    if domain.listed:
        return as_lists(values, domain, name, kind)
    try:
        given = (
            np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
            if isinstance(values, np.ma.MaskedArray)
            else np.asarray(values)
        )
        if given.dtype.kind in "mMc":
            raise TypeError(f"{given.dtype} is not a real number")
        array = np.atleast_1d(
            np.array(given, dtype=np.float64)
        )  # a copy: the member's is frozen, the caller's is not
    except (TypeError, ValueError) as failure:
        raise InputError(f"{kind} {name} = {values!r}: {domain.rule}") from failure
    if array.ndim != 1:
        raise InputError(
            f"{kind} {name} has shape {array.shape}: must be a number or one-dimensional"
        )
    if array.size == 0:
        raise InputError(f"{kind} {name} is empty: needs at least one row")
    return array


def affordable(rows: int, longest: int, name: str) -> tuple[int, int]:
    """The shape of an array of `rows` lists, each padded to the longest, if the array has no more
    than MOST_NUMBERS numbers.

    Raises
    ------
    TooLarge
        The array has more numbers: the caller may try fewer rows at once.
    """
    if rows * longest > MOST_NUMBERS:
        raise TooLarge(
            f"{name}: {rows} rows of up to {longest} numbers would take "
            f"{rows * longest * 8 / 2**30:.1f} GiB"
        )
    return rows, longest


def as_lists(values: Any, domain: Domain, name: str, kind: str) -> np.ndarray:
    """A list, or a list of lists, as rows of float64, shape (1 or n, longest)."""
    try:
        nested = (
            values
            if isinstance(values, np.ndarray) and values.dtype != object
            else list(np.atleast_1d(np.asarray(values, dtype=object)))
        )
        if isinstance(nested, list) and not all(np.ndim(one) == 0 for one in nested):
            rows = [np.asarray(one, dtype=np.float64).ravel() for one in nested]
            array = np.full(
                affordable(len(rows), max(1, *(row.size for row in rows)), name), np.nan
            )
            for r, row in enumerate(rows):
                array[r, : row.size] = row
            return array
        array = np.array(nested, dtype=np.float64)
    except (TypeError, ValueError) as failure:
        raise InputError(f"{kind} {name} = {values!r}: {domain.rule}") from failure
    if array.size == 0 or array.ndim > 2:
        raise InputError(
            f"{kind} {name} has shape {array.shape}: must be a list, or a list of lists"
        )
    return np.atleast_2d(array)


@dataclass(frozen=True)
class Member(Shown):
    """The base of models and payoffs: columns checked when made.

    Raises
    ------
    InputError
        `volatility[417] = -0.2: must be finite and >= 0`, or lengths that differ.
    NameUnknown
        A column that the member does not have, with the nearest one it has.
    """

    scalar: ClassVar[bool] = False

    def _shown(self) -> dict[str, str]:
        """The text of each field: words for a choice, else numbers."""
        shown = {}
        for name, domain in domains(type(self)).items():
            values = getattr(self, name)
            if domain.derived:
                continue
            if domain.words and np.ndim(values) == 1:
                values = (
                    np.array(domain.words, dtype=object)[
                        [domain.codes.index(float(code)) for code in values[:3]]
                    ]
                    if len(values) <= 3
                    else np.array(["...", f"{len(values)} words"], dtype=object)
                )
            shown[name] = short(values)
        return shown

    def __new__(cls, *values: Any, **named: Any) -> Any:
        known = [f.name for f in fields(cls)]
        for name in named:
            if name not in known:
                raise unknown(f"column of {cls.__name__}:", name, known)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        rows = 1
        plain = True
        for name, domain in domains(type(self)).items():
            value = on_host(getattr(self, name), name)
            array = as_column(value, domain, name, type(self).__name__)
            wrong = (
                domain.bad(array) if not domain.words else NO_ROW
            )  # a word that is none has been refused
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                raise InputError(
                    f"{type(self).__name__} {name}[{row}] = {array[row].tolist()!r}: "
                    f"{domain.rule}{_unit(type(self), name)}"
                )
            if len(array) != 1 and rows not in (1, len(array)):
                raise InputError(
                    f"{type(self).__name__} {name} has {len(array)} rows where another "
                    f"column has {rows}: lengths must be equal or 1"
                )
            rows = max(rows, len(array))
            plain &= len(array) == 1 and (
                domain.listed or isinstance(value, str) or np.ndim(value) == 0
            )
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "scalar", plain)

    @property
    def rows(self) -> int:
        """Rows of the longest column."""
        return max(len(getattr(self, name)) for name in domains(type(self)))

    @classmethod
    def from_columns(cls, columns: Mapping[str, np.ndarray]) -> Self:
        """A member from checked columns, skipping the check: bad rows have been set aside
        already.
        """
        made = object.__new__(cls)
        for name in domains(cls):
            object.__setattr__(made, name, columns[name])
        object.__setattr__(made, "scalar", False)
        return made

    def columns(self) -> dict[str, np.ndarray]:
        """The fields by name."""
        return {name: getattr(self, name) for name in domains(type(self))}

    def take(self, rows: np.ndarray) -> Self:
        """The same member with these rows alone, its lists as long as the longest of them."""
        kept = {
            name: value if len(value) == 1 else value[rows]
            for name, value in self.columns().items()
        }
        for name, domain in domains(type(self)).items():
            if domain.listed and len(kept[name]):
                kept[name] = kept[name][:, : max(int(counted(kept[name]).max()), 1)]
        return type(self).from_columns(kept)

    def with_derived_columns(self) -> Self:
        """The same member with its derived columns computed from the others. The rows belong to
        one launch, and their lists have the same length.
        """
        return self

    def replace(self, **changes: Any) -> Self:
        """The same member with some columns changed."""
        return dataclasses.replace(
            self, **{name: changes.get(name, value) for name, value in self.columns().items()}
        )


def offered(function: Any, *arguments: Any) -> Any:
    """Call a member's function, which may leave out the last of the arguments that a kernel
    offers.
    """
    return function(*arguments[: takes(function)])


@lru_cache(maxsize=1024)
def takes(function: Any) -> int:
    """How many arguments a member's function takes."""
    return len(inspect.signature(function).parameters)


def combinations(columns: dict[str, Any]) -> dict[str, np.ndarray]:
    """Every combination of the values of some columns, one array each."""
    if not columns:
        return {}
    rows = np.array(list(itertools.product(*columns.values())), dtype=float).reshape(
        -1, len(columns)
    )
    return {name: np.ascontiguousarray(rows[:, k]) for k, name in enumerate(columns)}


def counted(lists: np.ndarray) -> np.ndarray:
    """How long each row's list is."""
    return np.asarray(np.isfinite(lists).sum(axis=1))


@cached
def domains(cls: type) -> dict[str, Domain]:
    """The columns of a member class, in order."""
    if not dataclasses.is_dataclass(cls):
        raise InputError(
            f"{cls.__name__} must be a frozen dataclass: put @dataclass(frozen=True) above it"
        )
    return {f.name: f.metadata["domain"] for f in fields(cls) if "domain" in f.metadata}


@cached
def describe(cls: type) -> dict[str, tuple[str, str]]:
    """Per column, its declared type and its sentence, read from the numpy-style docstring."""
    result: dict[str, tuple[str, str]] = {}
    text = (cls.__doc__ or "").split("Parameters", 1)[-1]
    for match in re.finditer(r"^ *([\w, ]+?) : (.+)\n((?: {6,}.+\n?)+)", text, re.M):
        for name in match[1].split(","):
            result[name.strip()] = (match[2].strip(), " ".join(match[3].split()))
    return result


def _unit(cls: type, name: str) -> str:
    sentence = describe(cls).get(name, ("", ""))[1]
    match = re.search(r"per [\w ]+", sentence, re.I)
    return f" ({match[0].lower().strip()})" if match else ""


def defaults(cls: type) -> dict[str, Any]:
    """The columns that need not be given, with their defaults."""
    return {
        f.name: f.default
        for f in fields(cls)
        if "domain" in f.metadata and f.default is not MISSING
    }
