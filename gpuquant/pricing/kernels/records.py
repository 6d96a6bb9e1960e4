"""The records that the path loop keeps and the arguments that it reads.

A `Record` is changed step by step and lives in registers. A NamedTuple is a group of arguments that
do not change. `flags` and the names in capitals are constants that the pair of model and payoff
fixes:

    NX, NA, NB, NC, NF    how many numbers a state, the accumulators of the payoff and of its
                      control variate and a step's constants have, and how many columns a row has
    ASSETS            how many prices a state has
    NORMALS, UNIFORMS, WATCHED    draws of a step: the model's, and the payoff's own uniforms
    DRAWS, KEPT       draws of four steps; rows for these and, if coupled, for those of two
    PARTS, LEVELS     stretches of a path with principal components; levels of the bridges of one
    VARIANTS, BATCH   variants of a row; how many run at once: all on a CPU, one on a GPU
    OUTPUTS           weighted sums of the variants' payments
    LANES, WIDTH      lanes that one call computes (256 on a CPU, 1 on a GPU), and of a block (256)
    MATURITY          the place of the maturity among the columns
    F                 the type of states and sums: f32 in single precision, else f64
    SLOPES, PAID      directions along which a path is differentiated, and one more
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
    """The properties of a pair of model and payoff that decide the code of its kernel.

    Parameters
    ----------
    bridged : bool
        The payoff observes the bridge between the ends of a step.
    observed : bool
        The payoff observes the price at each date.
    pays_early : bool
        The payoff uses the value at maturity of an early payment.
    random_rates : bool
        The model discounts each path's payment by a deflator of that path.
    recorded : bool
        The prices after every step are written down.
    controlled : bool
        A control variate is subtracted from what each path pays.
    control_observed : bool
        The control variate observes the price at each date.
    coupled : bool
        The second half of the variants takes every two steps as one, with the draws of both.
    sobol : bool
        The normals are of scrambled Sobol points.
    """

    bridged: bool = False
    observed: bool = True
    pays_early: bool = False
    random_rates: bool = False
    recorded: bool = False
    controlled: bool = False
    control_observed: bool = False
    coupled: bool = False
    sobol: bool = False


flags = Flags()  # stands for the pair's own


class Variant(Record, number="dual"):
    """A row with the bumps of one variant, and the steps of the current span."""

    row: Annotated[Numbers, "NF"]
    constants: Annotated[Numbers, "NC"]
    longer: float  # its maturity than the row's, in years
    start: float  # of the span, in years
    dt: float
    every: int  # steps of the grid that are one step of the variant


class Path(Record, number="dual"):
    """One path under one variant."""

    state: Annotated[Numbers, "NX"]
    seen: Annotated[Numbers, "NA"]
    seen_by_control: Annotated[Numbers, "NB"]


class Payment(Record):
    """A path's payment, as a weighted sum over the variants, and the first such payment of its
    lane. The sums of a lane are sums of differences from that first payment.
    """

    total: float
    pivot: float


class Bridge(Record):
    """The Brownian motions of a block of paths: the steps they have taken, how many values are
    known that lie ahead of them, and how many stretches are begun.
    """

    at: int
    ahead: int
    part: int


class Drawn(NamedTuple):
    """What a block of paths keeps of its draws.

    The draws of four steps, `numbers`. Of Brownian motions the normals of their principal
    `components`; the values here and those that lie ahead, `values`, with the step of each, `ends`,
    and the node of the tree that halves the way to it, `nodes`.
    """

    numbers: Array
    components: Array
    values: Array
    ends: Array
    nodes: Array


class Tiles(NamedTuple):
    """The tiles of work: the row of each, its first path, how many there are, and the number of the
    net of Sobol points that they belong to.
    """

    row: Array
    first: Array
    count: Array
    net: Array


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
    """The columns of model and payoff: number f of row r is `numbers[at[f, 0] + r * at[f, 1]]`.
    Besides, the relative bump of each row's spot, and `betas[r, o]`: how much of the control
    variate is subtracted from output o.
    """

    numbers: Array
    at: Array
    bumps: Array
    betas: Array


class Variants(NamedTuple):
    """The bumps: variant v uses `(scale[v, f] + spot[v, f] b) x + shift[v, f] + later[v, f] t` for
    the value x of column f, where b is the row's bump of the spot and t the length of its first
    span. One bump along the direction j of a path's derivatives adds `slopes[j, f]` to the scale;
    to spot, shift and later what the next SLOPES rows of `slopes` tell. What a path pays under
    variant v has the weight `weights[o, v PAID]` in output o, and its derivative along direction j
    the weight `weights[o, v PAID + 1 + j]`.
    """

    scale: Array
    spot: Array
    shift: Array
    later: Array
    slopes: Array
    weights: Array


class Streams(NamedTuple):
    """The random stream of each row, the purpose of the draws, the two words of the seed, and, as
    `math.sobol` has them, the nets of Sobol points and the principal components.
    """

    streams: Array
    purpose: np.uint32
    key0: np.uint32
    key1: np.uint32
    nets: Array
    rotations: Array


class Counter(NamedTuple):
    """Where a unit's draws begin: its first path (from bit 32 on the number of its net), its
    stream, its purpose, the seed; the nets and the principal components.
    """

    path: int
    stream: int
    purpose: np.uint32
    key0: np.uint32
    key1: np.uint32
    nets: Array
    rotations: Array


class Step(NamedTuple):
    """A step: its number from the start, whether it ends at a date, how many dates were before,
    the time of its end in years, and how many steps of the grid it is.
    """

    number: int
    dated: bool
    date: int
    time: float
    every: int


TYPES = (
    Sums, Variant, Path, Payment, Bridge, Drawn, Tiles, TimeGrid, Table, Variants, Streams, Counter,
    Step,
)  # fmt: skip
