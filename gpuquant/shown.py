"""Two texts of an object: a short one that is displayed, and a full one that identifies it.

The displayed text shows the ends of an array and the length of a long collection. The identifying
text, for a log of trials, covers every number.
"""

from __future__ import annotations

import dataclasses
import hashlib
import html
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

ENDS = 2  # numbers that are shown of each end of an array
SHORT = 72  # characters of a text
FEW = 4  # items of a collection


class Shown:
    """The base of a dataclass that shows itself in a line, and in a notebook as a table.

    A subclass that defines `__repr__` keeps its own.
    """

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        if "__repr__" not in cls.__dict__:  # before `dataclass` makes one that holds everything
            cls.__repr__ = Shown._line  # type: ignore[assignment,method-assign]

    def _shown(self) -> dict[str, str]:
        """What is shown of each field."""
        names = [f.name for f in dataclasses.fields(self) if f.repr]  # type: ignore[arg-type]
        return {name: short(getattr(self, name)) for name in names}

    def _line(self) -> str:
        shown = ", ".join(f"{name}={text}" for name, text in self._shown().items())
        return f"{type(self).__name__}({shown})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>"
            for name, text in self._shown().items()
        )
        return f"<table><caption>{html.escape(type(self).__name__)}</caption>{rows}</table>"


def short(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, np.ndarray):
        return _of_array(value)
    if isinstance(value, Mapping):
        items = [f"{key}: {short(inner)}" for key, inner in list(value.items())[:FEW]]
        return "{" + ", ".join(items) + _more(len(value)) + "}"
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        inner = ", ".join(short(one) for one in value[:FEW]) + _more(len(value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    if hasattr(value, "iloc"):
        return f"{type(value).__name__} {' x '.join(map(str, value.shape))}"
    text = repr(value)
    return text if len(text) <= SHORT or isinstance(value, Shown) else text[: SHORT - 4] + " ..."


def _more(count: int) -> str:
    return f", ... ({count})" if count > FEW else ""


def _of_array(values: np.ndarray) -> str:
    if values.ndim != 1:
        return f"array {' x '.join(map(str, values.shape))}"
    if len(values) == 1:
        return _number(values[0])
    if len(values) <= 2 * ENDS:
        return f"[{', '.join(map(_number, values))}]"
    ends = ", ".join([*map(_number, values[:ENDS]), "...", *map(_number, values[-ENDS:])])
    return f"[{ends}] ({len(values)})"


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float | int | np.floating | np.integer) else str(value)


def identity(value: Any) -> str:
    """The text that identifies a value: every field of a dataclass, every number of an array."""
    if isinstance(value, np.ndarray):
        if value.size > 1000:
            return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return repr(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = ", ".join(
            f"{f.name}={identity(getattr(value, f.name))}"
            for f in dataclasses.fields(value)
            if f.repr
        )
        return f"{type(value).__name__}({fields})"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(identity, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {identity(one)}' for key, one in value.items())}}}"
    if hasattr(value, "iloc"):  # a frame or a series
        return f"{identity(value.to_numpy())} {list(value.index)!r}"
    if hasattr(value, "detach"):  # a tensor
        return identity(value.detach().cpu().numpy())
    if inspect.isfunction(value):
        return _source(value)
    return repr(value)


def _source(function: Any) -> str:
    """The text of a function; its name where there is none."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return f"{function.__module__}.{function.__qualname__}"
