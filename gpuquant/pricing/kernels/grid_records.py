"""What the grid walk reads and keeps: its arguments, the slots of its memory, and the properties of
a pair that decide its code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

Array = Any

SLOTS = (
    "ALIVE", "AFTER", "NOW", "NEXT", "ALONG", "ACROSS", "MIXED", "SLOPE", "LOWER", "UPPER",
    "TOGETHER", "PIVOT", "SHARE",
)  # fmt: skip
LINES = ("NODE", "BELOW", "ABOVE", "PIVOTS", "SHARES", "DOWN", "UP")
MARKS = ("TODAY", "FIRST", "LAST", "HAS_LOW", "HAS_HIGH", "IS_AMOUNT")
DAMPED = 4  # half steps at maturity
PARTS = 8  # of half the cell of a node, in the mean of what is paid
TINY = 1e-20  # the variance of a bridge that stays where it is


@dataclass(frozen=True)
class Flags:
    """What decides the code of a kernel.

    Parameters
    ----------
    watched : bool
        The payoff is watched between dates.
    factor : bool
        The model has a second factor.
    moving : bool
        The model's law changes with time.
    """

    watched: bool = False
    factor: bool = False
    moving: bool = False


flags = Flags()  # stands for the pair's own


class Grid(NamedTuple):
    """The grids of all rows.

    Parameters
    ----------
    xs : shape (rows, nodes)
        Log prices.
    left : shape (rows, steps)
        Time to maturity after each step.
    lines : shape (rows, LINES, pitch)
        Per node of the factor: its value, and what `set_weights` finds.
    marks : shape (rows, MARKS)
        Per row the log price today, the first and the last node where it is alive, whether these
        are levels, and whether it is worth an amount after a touch.
    work : shape (rows, SLOTS, nodes x pitch)
        What the walk keeps; `work[row, ALIVE]` is the result.
    """

    xs: Array
    left: Array
    lines: Array
    marks: Array
    work: Array
    nodes: int
    factors: int
    pitch: int
    steps: int
