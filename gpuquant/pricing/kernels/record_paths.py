"""Paths of one row, written down: the log prices after every step, and what each path pays.

Kernel source, with the functions of the path loop and the names that `build.py` adds. The draws of
a path are those of the pricing kernel.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.pricing.kernels.path_loop import read_row, walk_paths
from gpuquant.pricing.kernels.payments import payment_today
from gpuquant.pricing.kernels.records import (
    Bridge,
    Counter,
    Drawn,
    Path,
    Streams,
    Table,
    Tiles,
    TimeGrid,
    Variant,
    Variants,
)


def record_paths(
    unit,
    lane0,
    tiles: Tiles,
    grid: TimeGrid,
    table: Table,
    variants: Variants,
    streams: Streams,
    stop,
    out,
):
    """Write one tile's paths: `out[n * ASSETS + asset, path]` becomes the log price after n steps,
    and the last row what each path pays, at its value today.
    """
    rows = records(Variant, 1)
    paths = records(Path, (1, LANES))
    brownian = Bridge()
    none = array((1, LANES), F)
    drawn = Drawn(array((KEPT, LANES), F), none, none, array((1,), i64), array((1,), i64))
    read_row(rows[0], table, variants, grid, 0, 0)
    row = rows[0].row
    worth = discount(row, 0, row[MATURITY])
    for block in range(0, tiles.count[unit], WIDTH):
        path = tiles.first[unit] + block + lane0
        begin_at = Counter(
            path, streams.streams[0], streams.purpose, streams.key0, streams.key1,
            streams.nets, streams.rotations,
        )  # fmt: skip
        walk_paths(rows, paths, brownian, drawn, grid, 0, begin_at, stop, out)
        for lane in lanes():
            if path + lane < out.shape[1]:
                out[out.shape[0] - 1, path + lane] = payment_today(row, paths[0, lane], worth)
