"""Simulation of a batch: its time grid, its number of paths, launches of bounded memory, and
messages about errors that the standard error does not include.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gpuquant.math import rng
from gpuquant.pricing import greeks
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.control_variate import Control, controls_of
from gpuquant.pricing.kernels.build import Pair
from gpuquant.pricing.kernels.launch import TILE, Launch
from gpuquant.pricing.request import Task
from gpuquant.pricing.simulated_messages import Simulated, messages_of
from gpuquant.pricing.table import Table
from gpuquant.pricing.time_grid import Grid

PILOT = 4096
PILOT_SHARE, PILOT_LEAST = 16, 256  # paths that tell a beta: a share of all, and the fewest
MOST_PATHS = 1 << 28
MOST_STEPS = 1 << 18  # of a row: a thousand a day for a year
UNITS = 1 << 17  # of one launch: bounds the memory of partial sums


def simulate(
    batch: Batch, task: Task, table: Table, notes: np.ndarray, tick: Callable[[int], None]
) -> None:
    """Simulate a batch in launches of bounded memory. With a target error, rows whose error is
    above the target are simulated again.
    """
    steps = Grid.of(batch, task.steps).steps
    long = steps > MOST_STEPS
    if long.any():
        for row, k in zip(batch.rows[long], steps[long], strict=True):
            table.message[row] = f"{k} steps: must be at most {MOST_STEPS}"
        batch, notes, steps = batch.take(np.flatnonzero(~long)), notes[~long], steps[~long]
        tick(int(long.sum()))
    if not len(batch.rows):
        return
    rng.check(0, int(steps.max()) * batch.draws, int(batch.streams.max()))
    for which, control in controls_of(batch, task):
        part = batch if len(which) == len(batch.rows) else batch.take(which)
        _simulate(part, task, control and _fitted(part, task, control), table, notes[which], tick)


def _fitted(batch: Batch, task: Task, control: Control) -> Control:
    """The control with the betas that a pilot tells."""
    n, paths = len(batch.rows), max(min(PILOT, task.paths // PILOT_SHARE), PILOT_LEAST)
    pilot = replace(task, purpose=rng.PURPOSES["pilot"])
    errors = [
        launch(batch, pilot, np.full(n, paths), control.times(beta))[1] for beta in (0.0, 1.0, -1.0)
    ]
    return control.fitted(*errors)


def _simulate(
    batch: Batch,
    task: Task,
    control: Control | None,
    table: Table,
    notes: np.ndarray,
    tick: Callable[[int], None],
) -> None:
    """Simulate rows that have one kind of control variate, or none."""
    n = len(batch.rows)
    paths = np.full(n, task.paths)
    if task.target_error is not None:
        pilot = replace(task, purpose=rng.PURPOSES["pilot"])
        errors = launch(batch, pilot, np.full(n, PILOT), control)[1]
        paths = _enough(errors[:, 0], np.full(n, PILOT), task, batch.rows)
    rng.check(int(paths.max()), 0, 0)
    values, errors, skewness = _launched(batch, task, paths, control, tick)
    target_error = (
        np.full(n, np.inf) if task.target_error is None else task.target_error[batch.rows]
    )
    for _ in range(3):
        # If almost no path of the pilot paid, its spread is too small. Such rows run again, with
        # the number of paths that their own error requires.
        late = np.flatnonzero((errors[:, 0] > 1.1 * target_error) & (paths < MOST_PATHS))
        if not late.size:
            break
        paths[late] = np.maximum(
            _enough(errors[late, 0], paths[late], task, batch.rows[late]), paths[late]
        )
        values[late], errors[late], skewness[late] = _launched(
            batch.take(late), task, paths[late], control and control.take(late), None
        )
    found = Simulated(values, errors, skewness, paths)
    message, warned = messages_of(batch, task, found, notes, control)
    table.put(batch.rows, values, errors, "monte_carlo", paths, message, warned)


def _enough(errors: np.ndarray, paths: np.ndarray, task: Task, rows: np.ndarray) -> np.ndarray:
    """Paths that bring these errors to the target; a tenth more, since a pilot's spread is an
    estimate.
    """
    assert task.target_error is not None
    wanted = np.nan_to_num((errors / task.target_error[rows]) ** 2 * paths * 1.1, nan=PILOT)
    return np.clip(np.ceil(wanted / 256) * 256, PILOT, MOST_PATHS).astype(np.int64)


def _launched(
    batch: Batch,
    task: Task,
    paths: np.ndarray,
    control: Control | None,
    tick: Callable[[int], None] | None,
) -> tuple[np.ndarray, ...]:
    """Values, errors and skewness of a batch, in launches of at most UNITS units."""
    units = np.cumsum(-(-paths // TILE))
    group = (units - 1) // UNITS
    cuts = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(paths)]
    parts = []
    for begin, end in itertools.pairwise(cuts):
        part, some = batch, control
        if end - begin < len(paths):
            rows = np.arange(begin, end)
            part, some = batch.take(rows), control and control.take(rows)
        parts.append(launch(part, task, paths[begin:end], some, tick))
    return tuple(np.concatenate(one) for one in zip(*parts, strict=True))


def launch(
    batch: Batch,
    task: Task,
    paths: np.ndarray,
    control: Control | None = None,
    tick: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, ...]:
    """Values of a batch by simulation, their standard errors and their skewness, each of shape (n,
    outputs); Greeks in their own units.
    """
    n = len(batch.rows)
    pair = Pair(
        type(batch.model),
        type(batch.payoff),
        batch.fixed,
        task.precision,
        9 if task.greeks else 1,
        task.outputs,
        batch.lengths,
        control=None if control is None else type(control.payoff),
        control_fixed=() if control is None else control.fixed,
    )
    streams = np.zeros_like(batch.streams) if task.common_random_numbers else batch.streams
    columns = {**batch.model.columns(), **batch.payoff.columns()}
    units_per_row = np.ceil(paths / TILE).sum() / len(paths)
    counted = _Fraction(tick, units_per_row) if tick else None
    grid = Grid.of(batch, task.steps)
    bumps = greeks.simulated(batch) if task.greeks else greeks.SIMULATED
    run = Launch(
        pair,
        columns,
        grid,
        streams,
        paths,
        greeks.variants(pair),
        np.broadcast_to(bumps.spot, n),
        np.zeros((n, task.outputs)) if control is None else control.betas,
        task.seed,
        task.purpose,
    )
    values, errors, skewness = run.run(task.device, counted)
    if task.greeks:
        sizes = greeks.units(batch.model, batch.payoff, bumps, grid.first)
        for o, unit in enumerate(sizes):
            with np.errstate(divide="ignore", invalid="ignore"):
                values[:, o] /= unit
                errors[:, o] /= unit
        at_kink = greeks.distance_to_level(batch) < greeks.AT_LEVEL
        values[at_kink, 1 + greeks.NAMES.index("gamma")] = np.nan
    if control is not None:
        values = values + control.betas * control.expected
    return values, errors, skewness


class _Fraction:
    """Turns finished units into finished rows for the progress bar."""

    def __init__(self, tick: Callable[[int], None], units_per_row: float) -> None:
        self.tick, self.units_per_row, self.units, self.rows = tick, units_per_row, 0, 0

    def __call__(self, units: int) -> None:
        self.units += units
        rows = int(self.units / self.units_per_row)
        self.tick(rows - self.rows)
        self.rows = rows
