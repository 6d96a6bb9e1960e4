"""What an indicator takes and gives: series along the first axis, in the caller's type.

An indicator is a plain function of arrays of any library that NumPy's functions dispatch to, so
that one source serves NumPy and CuPy.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from gpuquant.errors import DataError, InputError

CACHED = 1 << 15  # numbers of an array that stays in the cache with some like it
Function = TypeVar("Function", bound=Callable[..., Any])


def indicator(function: Function) -> Function:
    """Let a function of arrays take and give pandas' series and frames, too.

    The arguments annotated `Any` are series of one shape, bars along the first axis. A series may
    begin late: it is NaN before its first value. After that it has no gap.

    Raises
    ------
    DataError
        Two series differ in shape, or one has a gap; the message names the row.
    """

    signature = inspect.signature(function)
    names = [name for name, one in signature.parameters.items() if one.annotation in (Any, "Any")]

    @wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        given = signature.bind(*arguments, **named).arguments
        first = given[names[0]]
        for name in names:
            given[name] = _array(given[name])
            if given[name].shape != given[names[0]].shape:
                raise DataError(
                    f"{function.__name__}: {name} has shape {given[name].shape}, {names[0]} "
                    f"{given[names[0]].shape}: must be the same"
                )
            _without_gaps(given[name], f"{function.__name__}: {name}")
        result = _by_columns(function, given, names)
        if isinstance(result, tuple):
            return tuple(_like(first, one) for one in result)
        return _like(first, result)

    return wrapped  # type: ignore[return-value]


def _by_columns(function: Callable[..., Any], given: dict[str, Any], names: list[str]) -> Any:
    """What a function gives of all columns, some at a time: intermediate arrays stay in the cache.
    A column of a result depends on that of the series alone.
    """
    first = given[names[0]]
    width = max(1, CACHED // max(1, len(first)))
    if type(first) is not np.ndarray or first.ndim != 2 or first.shape[1] <= width:
        return function(**given)
    parts = []
    for at in range(0, first.shape[1], width):
        some = {name: np.ascontiguousarray(given[name][:, at : at + width]) for name in names}
        parts.append(function(**given | some))
    if isinstance(parts[0], tuple):
        return tuple(np.concatenate(each, axis=1) for each in zip(*parts, strict=True))
    return np.concatenate(parts, axis=1)


def _array(series: Any) -> Any:
    """The array of a series; an array of another library stays what it is."""
    if hasattr(series, "to_numpy"):
        return series.to_numpy(dtype=np.float64)
    return series if hasattr(series, "__array_function__") else np.asarray(series, np.float64)


def _like(series: Any, result: Any) -> Any:
    """A result with the index and the columns of the series that it comes from."""
    if not hasattr(series, "to_numpy"):
        return result
    labels = {"columns": series.columns} if hasattr(series, "columns") else {"name": series.name}
    return type(series)(result, index=series.index, **labels)


def _without_gaps(array: Any, name: str) -> None:
    known = np.isfinite(array)
    gap = known[:-1] & ~known[1:]
    if gap.any():
        row, *column = (int(part[0]) for part in np.nonzero(gap))
        where = ", ".join(map(str, [row + 1, *column]))
        raise DataError(f"{name} has a gap at [{where}]: fill it, or leave the row out")


def whole(value: Any, name: str, low: int = 1) -> int:
    """A number of bars, refused where it is not whole or too small."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
        raise InputError(f"{name} = {value!r}: must be a whole number of bars >= {low}")
    return int(value)


def delayed(x: Any, bars: int) -> Any:
    """The series `bars` bars later: NaN in the first `bars` rows."""
    if not bars:
        return x
    out = np.full_like(x, np.nan)
    out[bars:] = x[:-bars]
    return out


def change(x: Any) -> Any:
    """The difference to the bar before; NaN at the first."""
    return x - delayed(x, 1)
