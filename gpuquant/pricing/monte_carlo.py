"""Monte Carlo of a batch: its control variate, the number of paths that its target error takes, and
launches of bounded memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from gpuquant.math import rng, sobol
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.control_variate import Control, controls_of
from gpuquant.pricing.kernels.launch import coordinates, whole_nets
from gpuquant.pricing.request import Task
from gpuquant.pricing.simulated_messages import SKEWED, messages_of
from gpuquant.pricing.simulation import Simulated, Simulation, pair_of
from gpuquant.pricing.table import Table
from gpuquant.pricing.time_grid import Grid

PILOT = 4096
CONTROLLED_PILOT = 1024  # enough for a control that serves a row, which its skewness decides
ROWS = 1 << 14  # of one pilot: bounds the memory of its partial sums
PILOT_SHARE, PILOT_LEAST = 16, 256  # paths that tell a beta: a share of all, and the fewest
MOST_PATHS = 1 << 28
RATES = {"random": 0.5, "sobol": 0.75}  # power of the number of paths by which an error falls
ROUNDS = 8  # of runs with more paths, until a target is reached
MOST_STEPS = 1 << 18  # of a row: a thousand a day for a year
UNITS = 1 << 17  # of one launch: bounds the memory of partial sums


def simulate(
    batch: Batch, task: Task, table: Table, notes: np.ndarray, tick: Callable[[int], None]
) -> None:
    """Simulate a batch in launches of bounded memory. With a target error, rows whose error is
    above the target are simulated again.
    """
    steps = Grid.of(batch, task.steps).steps
    most = MOST_STEPS if task.draws == "random" else _most_of_sobol(batch)
    long = steps > most
    if long.any():
        for row, k in zip(batch.rows[long], steps[long], strict=True):
            table.message[row] = f"{k} steps: must be at most {most}"
            if most < MOST_STEPS:
                table.message[row] += ' with draws="sobol"'
        batch, notes, steps = batch.take(np.flatnonzero(~long)), notes[~long], steps[~long]
        tick(int(long.sum()))
    if not len(batch.rows):
        return
    rng.check(0, int(steps.max()) * batch.draws, int(batch.streams.max()))
    for which, simulation, paths in planned(batch, task):
        _simulate(simulation, paths, table, notes[which], tick)


def _most_of_sobol(batch: Batch) -> int:
    """The most steps that Sobol points have coordinates for."""
    normals = pair_of(batch, "mixed").number(batch.model.normals)
    steps = 1 << np.arange(MOST_STEPS.bit_length())
    return int(steps[coordinates(steps, normals) <= sobol.MOST_DIMENSIONS].max())


def planned(batch: Batch, task: Task) -> Iterator[tuple[np.ndarray, Simulation, np.ndarray]]:
    """The rows of a batch that share a kernel, their simulation with the betas of its control, and
    how many paths each row takes: what was asked for, or what a pilot tells of its target error.
    """
    restless = batch.restless & bool(task.greeks)  # their Greeks have another kernel
    if restless.any() and not restless.all():
        for alike in (np.flatnonzero(~restless), np.flatnonzero(restless)):
            for which, simulation, paths in planned(batch.take(alike), task):
                yield alike[which], simulation, paths
        return
    for which, control in controls_of(batch, task):
        for some in np.array_split(np.arange(len(which)), -(-len(which) // ROWS)):
            part = batch if len(some) == len(batch.rows) else batch.take(which[some])
            own = None if control is None else control.take(some)
            for rows, simulation, paths in _planned(part, task, own):
                rng.check(int(paths.max()), 0, 0)
                yield which[some[rows]], simulation, paths


def _planned(
    batch: Batch, task: Task, control: Control | None
) -> Iterator[tuple[np.ndarray, Simulation, np.ndarray]]:
    """The same for rows that may have one control: those that it serves, and the others."""
    every = np.arange(len(batch.rows))
    simulation, paths = Simulation.of(batch, task, control), np.full(len(every), task.paths)
    sized = task.target_error is not None and task.draws == "random"  # by the pilot
    if task.target_error is not None and not sized:
        paths = whole_nets(np.ones_like(paths))  # the error itself tells how many more
    if control is None:
        if sized:
            few = np.full(len(every), PILOT)
            by_chance = simulation.run(few, purpose="pilot").by_chance
            paths = _enough(by_chance, few, task, batch.rows)
        yield every, simulation, paths
        return
    count = max(min(PILOT, task.paths // PILOT_SHARE), PILOT_LEAST)
    count = count if task.target_error is None else CONTROLLED_PILOT
    simulation, errors, serves = simulation.fitted(count)
    if not serves.all():
        for rows, plain, own in _planned(batch.take(every[~serves]), task, None):
            yield every[~serves][rows], plain, own
        every, simulation = every[serves], simulation.take(np.flatnonzero(serves))
    if len(every):
        if sized:
            few = np.full(len(every), count)
            paths = _enough(errors[every, 0], few, task, batch.rows[every])
        yield every, simulation, paths[: len(every)]


def _simulate(
    simulation: Simulation,
    paths: np.ndarray,
    table: Table,
    notes: np.ndarray,
    tick: Callable[[int], None],
) -> None:
    """Simulate rows that share a kernel."""
    batch, task = simulation.batch, simulation.task
    found = _launched(simulation, paths, tick)
    target_error = (
        np.full(len(paths), np.inf) if task.target_error is None else task.target_error[batch.rows]
    )
    for _ in range(ROUNDS):
        # If almost no path of the pilot paid, its spread is too small. Such rows run again, with
        # the number of paths that their own error requires. So do rows whose mean is skewed while
        # it has fewer paths than a plain pilot.
        by_chance, paths = found.by_chance, found.paths
        above = by_chance > 1.1 * target_error
        skewness = np.abs(found.skewness[:, 0])
        skewed = (skewness > SKEWED) & (paths < PILOT) & np.isfinite(target_error)
        late = np.flatnonzero((above | skewed) & (paths < MOST_PATHS))
        if not late.size:
            break
        wanted = _enough(by_chance[late], paths[late], task, batch.rows[late])
        # the skewness of a mean falls as its error does
        even = paths[late] * np.maximum(1.1 * skewness[late] / SKEWED, 1.0) ** 2
        even = np.minimum(np.ceil(np.nan_to_num(even, nan=PILOT) / 256) * 256, PILOT)
        wanted = np.maximum(np.where(skewed[late], even.astype(np.int64), paths[late]), wanted)
        found.put(late, _launched(simulation.take(late), wanted, None))
    message, warned = messages_of(simulation, found, notes)
    table.put(batch.rows, found.values, found.errors, "monte_carlo", found.paths, message, warned)


def _enough(errors: np.ndarray, paths: np.ndarray, task: Task, rows: np.ndarray) -> np.ndarray:
    """Paths that bring these errors to the target; a tenth more, since a pilot's spread is an
    estimate.
    """
    assert task.target_error is not None
    more = (errors / task.target_error[rows]) ** (1.0 / RATES[task.draws])
    wanted = np.nan_to_num(more * paths * 1.1, nan=PILOT)
    return np.clip(np.ceil(wanted / 256) * 256, paths, MOST_PATHS).astype(np.int64)


def _launched(
    simulation: Simulation, paths: np.ndarray, tick: Callable[[int], None] | None
) -> Simulated:
    """What is found for rows, in launches of at most UNITS units."""
    units = np.cumsum(simulation.launch.tiles(paths))
    group = (units - 1) // UNITS
    cuts = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(paths)]
    if len(cuts) == 2:
        return simulation.run(paths, tick=tick)
    parts = [
        simulation.take(np.arange(begin, end)).run(paths[begin:end], tick=tick)
        for begin, end in itertools.pairwise(cuts)
    ]
    return Simulated.joined(parts)
