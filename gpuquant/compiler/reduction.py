"""The word `combine`: the lanes of a unit of work merged in a fixed tree, so that a sum has the
same bits wherever it is made.

Two lanes become one as Chan, Golub and LeVeque (1979) say, and for cubes Pebay (2008), equation
1.4. It is kernel source: Python runs it as it stands.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

import ast

from gpuquant.compiler.flatten import Flatten
from gpuquant.compiler.functions import parse
from gpuquant.compiler.records import Record, layout


class Sums(Record):
    """How many numbers there are, their mean, and the sums of squares and cubes about it."""

    count: float
    mean: float
    squares: float
    cubes: float


def combine(sums: list[Sums], output, width):
    """Merge the lanes of `sums[output]` into lane 0; `width`, a power of two, is how many."""
    while width > 1:
        width //= 2
        for lane in range(width):
            merge(sums[output, lane], sums[output, lane + width])


def combine_threads(sums: list[Sums], output, width):
    """The same in the same tree, where a lane is a thread, which has its own `sums[output]`; thread
    0 has the result.

    All threads of a block come here, also those without paths: a barrier waits for every one.
    `table` has a row for each number of `Sums`; the last barrier lets the next output use it.
    """
    table = view(Sums, shared((4, WIDTH), f64))
    lane = thread_number()
    copy_sums(table[lane], sums[output, 0])
    barrier()
    half = width
    while half > 1:
        half //= 2
        if lane < half:
            merge(table[lane], table[lane + half])
        barrier()
    copy_sums(sums[output, 0], table[lane])
    barrier()


def copy_sums(one: Sums, other: Sums):
    """Give one the numbers of the other."""
    one.count = other.count
    one.mean = other.mean
    one.squares = other.squares
    one.cubes = other.cubes


def merge(one: Sums, other: Sums):
    """Add the numbers of another lane.

    With n and m numbers, and delta the difference of the means, the squares become
    S + S' + delta^2 n m / (n + m).
    """
    n = one.count
    total = n + other.count
    share = other.count / max(total, 1.0)
    delta = other.mean - one.mean
    square = one.squares
    one.count = total
    one.mean += delta * share
    one.squares += other.squares + delta * delta * n * share
    cubes = delta * delta * (n - other.count) * n * share / max(total, 1.0) + 3.0 * (
        n * other.squares - other.count * square
    ) / max(total, 1.0)
    one.cubes += other.cubes + delta * cubes


def source(threads: bool) -> dict[str, ast.FunctionDef]:
    """`combine` and what it calls as kernel source, where lanes are threads, or a loop."""
    trees = {
        "combine": parse(combine_threads if threads else combine),
        "copy_sums": parse(copy_sums),
        "merge": parse(merge),
    }
    trees["combine"].name = "combine"
    flatten = Flatten({"Sums": layout(Sums, {})}, [], trees)
    return {name: flatten.function(tree) for name, tree in trees.items()}
