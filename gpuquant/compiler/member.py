"""A member's function on its way into a kernel, and the precision of a run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Precision:
    """The types of a run: of the state and sums, and of draws and elementary functions."""

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
    """One function of a member on its way into a kernel.

    Parameters
    ----------
    name : str
        What the kernel body calls it.
    function : callable
        The user's function.
    fields : mapping
        Field name to its place in the row's tuple, to the places of a list, or to a constant where
        the run fixes it.
    accurate : bool
        True for what runs once per row or path: elementary functions in the state's precision.
    offered : int
        Arguments the kernel calls it with, when that may be more than it takes.
    lengths : mapping
        Length of its parameters that are tuples, by their place.
    formula : bool
        It is written for arrays, with `xp`.
    waves : tuple of str
        The parameters of a formula that are complex.
    methods : mapping
        What may be asked of a parameter, by its name: `past.sum(n)` is the kernel's `past_sum(past,
        n)`.
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
