"""A member's function that is compiled into a kernel, and the precision of a run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Precision:
    """The number types of a run: one of state and sums, one of draws and elementary functions."""

    name: str
    state: str
    draw: str


PRECISIONS = {
    p.name: p
    for p in (
        Precision("single", "f32", "32"),
        Precision("mixed", "f64", "32"),
        Precision("double", "f64", "64"),
    )
}


@dataclass
class Member:
    """One function of a member that is compiled into a kernel.

    Parameters
    ----------
    name : str
        The function's name in the kernel body.
    function : callable
        The user's function.
    fields : mapping
        For each field name, the index in the row's tuple, the indices of a list, or the value
        where the run fixes the field.
    accurate : bool
        Whether elementary functions use the state's precision, as for a function that runs once
        per row or path.
    offered : int
        The number of arguments that the kernel passes, where the function may take fewer.
    lengths : mapping
        The lengths of the parameters that are tuples, by position.
    formula : bool
        Whether the function is written for arrays, with `xp`.
    waves : tuple of str
        The parameters of a formula that are complex.
    methods : mapping
        The methods that may be called on a parameter, by the parameter's name: `past.sum(n)`
        becomes the kernel's `past_sum(past, n)`.
    attributes : mapping
        The names of a parameter's numbers, by the parameter's name: `account.cash` becomes the
        element of a tuple.
    """

    name: str
    function: Callable[..., Any]
    fields: Mapping[str, int | float | range]
    accurate: bool = False
    offered: int = 0
    lengths: Mapping[int, int] = field(default_factory=dict)
    formula: bool = False
    waves: tuple[str, ...] = ()
    methods: Mapping[str, Collection[str]] = field(default_factory=dict)
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
