"""What the path loop keeps and reads, with names.

A `Record` is changed step by step and lives in registers. A NamedTuple is a bundle: its names keep
what they stand for. `flags` and the capitals stand for what a pair of model and payoff fixes:

    NX, NA, NC, NF    numbers of a state, of what the payoff has seen, of a step's constants, and
                      columns of a row
    NORMALS, UNIFORMS, WATCHED    draws of a step: the model's, and the payoff's own uniforms
    VARIANTS, BATCH   variants of a row; how many run at once: all on a CPU, one on a GPU
    OUTPUTS           weighted sums of the variants' payments
    LANES, WIDTH      lanes that one call computes (256 on a CPU, 1 on a GPU), and of a block (256)
    MATURITY          the place of the maturity among the columns
    F                 the type of states and sums: f32 in single precision, else f64
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np

from gpuquant.compiler.records import Numbers, Record
from gpuquant.compiler.reduction import Sums

Array = Any


@dataclass(frozen=True)
class Flags:
    """What a pair does, and what its kernel therefore holds.

    Parameters
    ----------
    bridged : bool
        The payoff looks at the bridge between the ends of a step.
    observed : bool
        It looks at the price at each date.
    pays_early : bool
        It asks what an early payment has grown to at maturity.
    random_rates : bool
        The model deflates each path's payment itself.
    """

    bridged: bool = False
    observed: bool = True
    pays_early: bool = False
    random_rates: bool = False


flags = Flags()  # stands for the pair's own


class Variant(Record, number="F"):
    """A row as one variant of a walk sees it, and the steps of its span."""

    row: Annotated[Numbers, "NF"]
    constants: Annotated[Numbers, "NC"]
    start: float  # of the span, in years
    dt: float


class Path(Record, number="F"):
    """One path under one variant."""

    state: Annotated[Numbers, "NX"]
    seen: Annotated[Numbers, "NA"]


class Payment(Record):
    """What a path pays, summed over the variants, and the lane's first payment: sums are of
    differences from it.
    """

    total: float
    pivot: float


class Tiles(NamedTuple):
    """The tiles of work: the row of each, its first path and how many there are."""

    row: Array
    first: Array
    count: Array


class TimeGrid(NamedTuple):
    """The time grids of all rows, as spans of equal steps.

    Row r has the spans `spans[r]` to `spans[r + 1] - 1`. Span s has steps of `dts[s]` years up to
    step `ends[s]`, and every `everies[s]`-th is a date.
    """

    spans: Array
    ends: Array
    dts: Array
    everies: Array


class Table(NamedTuple):
    """The columns of model and payoff: number f of row r is `numbers[at[f, 0] + r * at[f, 1]]`."""

    numbers: Array
    at: Array


class Variants(NamedTuple):
    """What variant v sees of column f, `scale[v, f] x + shift[v, f]`, and its weight in output o,
    `weights[o, v]`.
    """

    scale: Array
    shift: Array
    weights: Array


class Streams(NamedTuple):
    """The random stream of each row, the purpose of the draws, and the two words of the seed."""

    streams: Array
    purpose: np.uint32
    key0: np.uint32
    key1: np.uint32


class Counter(NamedTuple):
    """Where a unit's draws begin: its first path, its stream, its purpose, the seed."""

    path: int
    stream: int
    purpose: np.uint32
    key0: np.uint32
    key1: np.uint32


class Step(NamedTuple):
    """A step: its number from the start, whether it ends at a date, how many dates were before,
    and the time of its end in years.
    """

    number: int
    dated: bool
    date: int
    time: float


TYPES = (
    Sums, Variant, Path, Payment, Tiles, TimeGrid, Table, Variants, Streams, Counter, Step,
)  # fmt: skip
