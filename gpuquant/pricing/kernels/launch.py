"""The launch of a pricing kernel: the arrays it takes, and the merging of what its tiles give."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from gpuquant.device import launch
from gpuquant.math import sobol
from gpuquant.pricing.kernels.build import Pair, source
from gpuquant.pricing.kernels.records import (
    Streams,
    Table,
    Tiles,
    TimeGrid,
    Variants,
)
from gpuquant.pricing.time_grid import Grid

TILE = 2048  # paths of one unit of work: fixed, because the tree of sums is part of a result's bits
NETS = 32  # of Sobol points, scrambled each on its own: their means tell the error
NET = 256  # the fewest points of one: the paths of a block


def whole_nets(paths: np.ndarray) -> np.ndarray:
    """The least number of paths, not below this one, that fills all nets of Sobol points."""
    points = np.maximum(-(-np.asarray(paths) // NETS), NET)
    return np.asarray(NETS * 2 ** np.ceil(np.log2(points)).astype(np.int64))


def coordinates(steps: np.ndarray, normals: int) -> np.ndarray:
    """The coordinates of the Sobol point that draws so many steps."""
    parts = np.minimum(steps, sobol.PARTS)
    return np.asarray(normals * parts * 2 ** np.ceil(np.log2(-(-steps // parts))).astype(np.int64))


LONG = 2e7  # path-steps, a tenth of a second or more


def pack(
    columns: dict[str, np.ndarray], names: tuple[str, ...], dtype: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Columns of length 1 or n, joined end to end, with the offset of each column and the distance
    between its rows.
    """
    at = np.zeros((len(names), 2), np.int64)
    parts, offset = [], 0
    turn: dict[str, int] = {}
    for f, name in enumerate(names):
        value = columns[name]
        if value.ndim == 2:
            turn[name] = turn.get(name, -1) + 1
            value = value[:, turn[name]]
        at[f] = offset, value.size > 1
        parts.append(value)
        offset += value.size
    return np.concatenate(parts).astype(dtype), at


class Means(NamedTuple):
    """Means over paths, their standard errors, the skewness of the means, and the standard errors
    of as many independent paths of the same spread, which differ where draws are Sobol points; each
    of shape (n, outputs).
    """

    values: np.ndarray
    errors: np.ndarray
    skewness: np.ndarray
    spreads: np.ndarray


@dataclass(frozen=True)
class Rows:
    """The rows of one pair that kernels simulate. They cross to the device once.

    Parameters
    ----------
    device : Device
        Where the kernels run.
    columns : dict of arrays
        Model and payoff columns, length 1 or n.
    pair : Pair
        It has the order of a packed row, and the type of its numbers.
    grid : Grid
        When each row steps and is observed.
    streams : int64 array, shape (n,)
        Random stream of each row.
    bumps : float64 array, shape (n,)
        Relative bump of each row's spot.
    seed : int
        Of all draws.
    """

    device: Any
    columns: dict[str, np.ndarray]
    pair: Pair
    grid: Grid
    streams: np.ndarray
    bumps: np.ndarray
    seed: int = 0

    @cached_property
    def shared(self) -> tuple[TimeGrid, Table, Streams]:
        """The groups of arrays that all launches read, on the device."""
        fields, at = pack(self.columns, self.pair.names, self.pair.state)
        grid, put = self.grid, self.device.put
        return (
            TimeGrid(
                put(grid.spans, "spans", np.int64),
                put(grid.ends, "ends", np.int64),
                put(grid.dts, "dts", np.float64),
                put(grid.everies, "everies", np.int64),
            ),
            Table(
                put(fields, "fields"),
                put(at, "at"),
                put(self.bumps, "bumps of the spot", self.pair.state),
                None,
            ),
            Streams(
                put(self.streams, "streams", np.int64),
                np.uint32(0),
                np.uint32(self.seed & 0xFFFFFFFF),
                np.uint32(self.seed >> 32),
                None,
                None,
            ),
        )


@dataclass(frozen=True)
class Launch:
    """Launches of one kernel over rows of its pair.

    Parameters
    ----------
    pair : Pair
        Which kernel.
    rows : Rows
        What it simulates.
    variants : Variants
        Bumps, of shape (variants, columns), and the weight of each variant in each averaged output.
    """

    pair: Pair
    rows: Rows
    variants: Variants

    @property
    def device(self) -> Any:
        """Where it runs."""
        return self.rows.device

    @property
    def grid(self) -> Grid:
        """When each row steps and is observed."""
        return self.rows.grid

    def tiles(self, paths: np.ndarray) -> np.ndarray:
        """How many tiles the paths of each row are, shape (n,)."""
        nets = NETS if self.pair.sobol else 1
        return np.asarray(-(-(paths // nets) // TILE) * nets)

    def run(
        self,
        paths: np.ndarray,
        betas: np.ndarray,
        purpose: int = 0,
        progress: Any = None,
        *,
        chunk: int | None = None,
        random_draws: bool = False,
    ) -> Means:
        """Means over `paths` paths per row, counted from path 0. `betas`, of shape (n, outputs),
        tell how much of the control variate is subtracted from each output. With k times as many
        columns, the outputs are computed k times, each time with their own betas. With
        `random_draws` the draws are not of Sobol points, whatever those of the pair are.
        """
        pair = replace(self.pair, sobol=self.pair.sobol and not random_draws)
        nets = NETS if pair.sobol else 1
        begin, part, first, count = _tiles(np.repeat(paths // nets, nets))
        unit_row, net = part // nets, part % nets
        out = self.device.xp.empty((len(part), betas.shape[1], 4))
        self._launch(pair, (unit_row, first, count, net), betas, purpose, out, progress, chunk)
        sums = self.device.get(out, "sums")
        means, spreads, skewness = merge(sums, begin[::nets], unit_row)
        errors = spreads
        if nets > 1:
            by_net = merge(sums, begin, part)[0].reshape(len(paths), nets, -1)
            errors = by_net.std(axis=1, ddof=1) / np.sqrt(nets)
        return Means(means, errors, skewness, spreads)

    def record(self, paths: int) -> Any:
        """The log prices of the one row after every step, then what each path pays; shape
        ((steps + 1) x assets + 1, paths), on the device.
        """
        _, row, first, count = _tiles(np.array([paths]))
        assets = self.pair.number(self.pair.model.assets)
        out = self.device.xp.empty(((int(self.grid.steps[0]) + 1) * assets + 1, paths))
        self._launch(self.pair, (row, first, count, row), np.zeros((1, 1)), 0, out, None, None)
        return out

    def _launch(
        self,
        pair: Pair,
        tiles: tuple[np.ndarray, ...],
        betas: np.ndarray,
        purpose: int,
        out: Any,
        progress: Any,
        chunk: int | None,
    ) -> None:
        """Run a kernel over tiles (row, first path, paths, net), into `out`."""
        weights = np.tile(self.variants.weights, (betas.shape[1] // pair.outputs, 1))
        pair, put = replace(pair, outputs=betas.shape[1]), self.device.put
        unit_row, first, unit_count, _ = tiles
        stop = np.zeros(1, np.int64)
        grid, table, streams = self.rows.shared
        names = "unit_row", "unit_first", "unit_count", "unit_net"
        arguments = (
            Tiles(*(put(one, name) for one, name in zip(tiles, names, strict=True))),
            grid,
            table._replace(betas=put(betas, "betas", np.float64)),
            self._bumped._replace(weights=put(weights, "weights", np.float64)),
            streams._replace(
                purpose=np.uint32(purpose),
                nets=put(self._nets(pair, int((first + unit_count).max())), "nets"),
                rotations=self._rotations,
            ),
            put(stop, "stop"),
            out,
        )
        work = self.grid.steps[unit_row].astype(np.float64) * unit_count * pair.variants
        # A chunk takes a tenth of a second at most. Each thread has sixteen chunks at least, so
        # that no thread waits long at the end.
        most = len(unit_row) // (16 * self.device.threads)
        launch.run(
            partial(source, pair),
            self.device,
            len(unit_row),
            arguments,
            name=f"{'record' if pair.recorded else 'price'} {pair.model.__name__} "
            f"{pair.payoff.__name__}",
            chunk=chunk or max(1, min(int(LONG / work.max()), most)),
            progress=progress,
            halt=stop if work.sum() > 0.1 * LONG else None,  # a step of many assets takes longer
        )

    def _nets(self, pair: Pair, points: int) -> np.ndarray:
        """The nets of Sobol points, of so many points each."""
        if not pair.sobol:
            return np.zeros((1, 1, 1), np.uint32)
        normals = pair.number(pair.model.normals)
        dimensions = int(coordinates(self.grid.steps, normals).max())
        return sobol.scrambled(NETS, dimensions, (points - 1).bit_length(), self.rows.seed)

    @cached_property
    def _bumped(self) -> Variants:
        """The bumps, on the device; without the weights."""
        put, state, one = self.device.put, self.pair.state, self.variants
        return Variants(
            put(one.scale, "scale", state),
            put(one.spot, "moves of the spot", state),
            put(one.shift, "shift", state),
            put(one.later, "later", state),
            put(one.slopes, "slopes", state),
            None,
        )

    @cached_property
    def _rotations(self) -> Any:
        """The principal components of Sobol points, on the device."""
        rotations = sobol.components() if self.pair.sobol else np.zeros((1, 1, 1))
        return self.device.put(rotations, "rotations")


def _tiles(paths: np.ndarray) -> tuple[np.ndarray, ...]:
    """Each row's first tile; the row of each tile, its first path, and how many it has."""
    tiles = (paths + TILE - 1) // TILE
    row = np.repeat(np.arange(len(tiles)), tiles)
    begin = np.concatenate([[0], np.cumsum(tiles)[:-1]])
    first = (np.arange(len(row)) - begin[row]) * TILE
    return begin, row, first, np.minimum(paths[row] - first, TILE)


def merge(
    out: np.ndarray, begin: np.ndarray, unit_row: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tiles to rows, in index order: means, standard errors, and the skewness of the means, of
    shape (rows, outputs).

    The skewness of a mean is the skewness of one path divided by the root of the number of paths.
    The larger the skewness, the more often a one-sided bound fails, compared with a normal mean.
    """
    n, mean, spread, cubes = (out[..., part] for part in range(4))
    total = np.add.reduceat(n, begin, axis=0)
    pivot = mean[begin]
    centre = pivot + np.add.reduceat(n * (mean - pivot[unit_row]), begin, axis=0) / total
    delta = mean - centre[unit_row]
    squares = np.add.reduceat(spread + n * delta**2, begin, axis=0)
    third = np.add.reduceat(cubes + 3.0 * delta * spread + n * delta**3, begin, axis=0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        error = np.sqrt(squares / (total - 1.0) / total)
        skewness = np.where(squares > 0.0, third / squares**1.5, 0.0)
    return centre, np.where(total > 1, error, np.nan), skewness
