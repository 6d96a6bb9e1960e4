"""The intrinsic `combine` merges the lanes of a unit of work in a fixed tree, so that a sum has the
same bits wherever it is computed.

Two lanes are merged as in Chan, Golub and LeVeque (1979), and their cubes as in Pebay (2008),
equation 1.4. The functions are kernel source, which Python can run unchanged.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

import ast

from gpuquant.compiler.flatten import Flatten
from gpuquant.compiler.functions import parse
from gpuquant.compiler.records import Record, layout


class Sums(Record):
    """The count of the numbers, their mean, and the sums of squares and cubes about the mean."""

    count: float
    mean: float
    squares: float
    cubes: float


def combine(sums: list[Sums], output, width):
    """Merge the lanes of `sums[output]` into lane 0; their number is `width`, a power of two."""
    while width > 1:
        width //= 2
        for lane in range(width):
            merge(sums[output, lane], sums[output, lane + width])


def combine_threads(sums: list[Sums], output, width):
    """Do the same merge, in the same tree, where each lane is a thread that has its own
    `sums[output]`. Thread 0 gets the result.

    All threads of a block must call this function, also threads without paths, since a barrier
    waits for every thread. `table` has a row for each number of `Sums`. After the last barrier the
    next output may use `table`.
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
    """Copy the numbers of `other` to `one`."""
    one.count = other.count
    one.mean = other.mean
    one.squares = other.squares
    one.cubes = other.cubes


def merge(one: Sums, other: Sums):
    """Merge the sums `other` of another lane into `one`.

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
    """`combine` and the functions that it calls, as kernel source; each lane is a thread where
    `threads` is True, else an iteration of a loop.
    """
    trees = {
        "combine": parse(combine_threads if threads else combine),
        "copy_sums": parse(copy_sums),
        "merge": parse(merge),
    }
    trees["combine"].name = "combine"
    flatten = Flatten({"Sums": layout(Sums, {})}, [], trees)
    return {name: flatten.function(tree) for name, tree in trees.items()}
