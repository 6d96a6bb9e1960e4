"""Simulation of a batch: its time grid, its number of paths, launches of bounded memory, and
messages about errors that the standard error does not include.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gpuquant.data.columns import domains
from gpuquant.device.device import HOST
from gpuquant.math import rng
from gpuquant.models.base import Lognormals
from gpuquant.pricing import greeks
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.kernels.build import Pair
from gpuquant.pricing.kernels.launch import TILE, Launch
from gpuquant.pricing.request import Task
from gpuquant.pricing.table import Table
from gpuquant.pricing.time_grid import Grid

PILOT = 4096
SKEWED = 0.1  # skewness of a mean above which one-sided bounds of 95 and 99 % do not hold
ASSET_SKEWED = 0.07  # the same limit for the mean of the asset's price, whose skewness is computed
# A payoff is judged by ASSET_SKEWED if its own skewness is above this share of the asset's. A
# bounded payoff has a smaller skewness.
SEEN = 0.25
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
    n = len(batch.rows)
    if not n:
        return
    paths = np.full(n, task.paths)
    if task.target_error is not None:
        pilot = replace(task, greeks=False, purpose=rng.PURPOSES["pilot"])
        paths = _enough(
            launch(batch, pilot, np.full(n, PILOT))[1][:, 0], np.full(n, PILOT), task, batch.rows
        )
    rng.check(int(paths.max()), int(steps.max()) * batch.draws, int(batch.streams.max()))
    values, errors, skewness = _launched(batch, task, paths, tick)
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
            batch.take(late), task, paths[late], None
        )
    message, warned = _messages_of(batch, task, values, errors, notes, paths, skewness[:, 0])
    table.put(batch.rows, values, errors, "monte_carlo", paths, message, warned)


def _enough(errors: np.ndarray, paths: np.ndarray, task: Task, rows: np.ndarray) -> np.ndarray:
    """Paths that bring these errors to the target; a tenth more, since a pilot's spread is an
    estimate.
    """
    assert task.target_error is not None
    wanted = np.nan_to_num((errors / task.target_error[rows]) ** 2 * paths * 1.1, nan=PILOT)
    return np.clip(np.ceil(wanted / 256) * 256, PILOT, MOST_PATHS).astype(np.int64)


def _launched(
    batch: Batch, task: Task, paths: np.ndarray, tick: Callable[[int], None] | None
) -> tuple[np.ndarray, ...]:
    """Values, errors and skewness of a batch, in launches of at most UNITS units."""
    units = np.cumsum(-(-paths // TILE))
    group = (units - 1) // UNITS
    cuts = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(paths)]
    parts = []
    for begin, end in itertools.pairwise(cuts):
        part = batch.take(np.arange(begin, end)) if end - begin < len(paths) else batch
        parts.append(launch(part, task, paths[begin:end], tick))
    return tuple(np.concatenate(one) for one in zip(*parts, strict=True))


def launch(
    batch: Batch, task: Task, paths: np.ndarray, tick: Callable[[int], None] | None = None
) -> tuple[np.ndarray, ...]:
    """Values of a batch by simulation, their standard errors and their skewness, each of shape (n,
    outputs); Greeks in their own units.
    """
    pair = Pair(
        type(batch.model),
        type(batch.payoff),
        batch.fixed,
        task.precision,
        9 if task.greeks else 1,
        task.outputs,
        batch.lengths,
    )
    streams = np.zeros_like(batch.streams) if task.common_random_numbers else batch.streams
    columns = {**batch.model.columns(), **batch.payoff.columns()}
    units_per_row = np.ceil(paths / TILE).sum() / len(paths)
    counted = _Fraction(tick, units_per_row) if tick else None
    grid = Grid.of(batch, task.steps)
    run = Launch(
        pair, columns, grid, streams, paths, greeks.variants(pair), task.seed, task.purpose
    )
    values, errors, skewness = run.run(task.device, counted)
    if task.greeks:
        sizes = greeks.units(batch.model, batch.payoff, greeks.SIMULATED, grid.first)
        for o, unit in enumerate(sizes):
            with np.errstate(divide="ignore", invalid="ignore"):
                values[:, o] /= unit
                errors[:, o] /= unit
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


def _of_scheme(batch: Batch, task: Task, message: np.ndarray) -> np.ndarray:
    """The messages, with the bias of the model's scheme where it has one."""
    if not np.isfinite(batch.model.weak_order):
        return message
    order = f"{batch.model.weak_order:g}"
    scheme = np.array(
        [
            f"{k} steps of weak order {order}: their bias is not in std_error"
            for k in Grid.of(batch, task.steps).steps
        ],
        dtype=object,
    )
    return np.where(message == "", scheme, message + "; " + scheme)


def _messages_of(
    batch: Batch,
    task: Task,
    values: np.ndarray,
    errors: np.ndarray,
    notes: np.ndarray,
    paths: np.ndarray,
    skewness: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Message and warning of each simulated row."""
    message = _of_scheme(batch, task, notes.astype(object))
    warned = notes != ""
    # If none of n paths pays, the probability of a payment is below 3/n at 95 % confidence (the
    # rule of three).
    moves = np.broadcast_to(batch.model.volatile, len(values))
    empty = (values[:, 0] == 0.0) & (errors[:, 0] == 0.0) & moves
    for row in np.flatnonzero(empty):
        errors[row, 0] = 3.0 / paths[row] * _amount(batch, int(row))
        message[row] = (
            f"no path of {paths[row]} paid: the chance of paying is under "
            f"{3 / paths[row]:.1g}, and the price under some {errors[row, 0]:.2g}, its "
            "std_error"
        )
    same = (values[:, 0] != 0.0) & (errors[:, 0] == 0.0) & moves
    same &= "cash" in domains(type(batch.payoff))
    for row in np.flatnonzero(same):
        errors[row, 0] = 3.0 / paths[row] * _amount(batch, int(row))
        message[row] = (
            f"each of {paths[row]} paths paid the same: the chance of another end is "
            f"under {3 / paths[row]:.1g}, and std_error some {errors[row, 0]:.2g}"
        )
    few = ~empty & ~same & _rests_on_few(batch, task, paths, skewness)
    for row in np.flatnonzero(few):
        tail = (
            f"the price rests on few of {paths[row]} paths (skewness of its mean "
            f"{skewness[row]:.2g}): its std_error may be far too small"
        )
        message[row] = f"{message[row]}; {tail}" if message[row] else tail
    short = np.zeros(len(values), bool)
    if task.target_error is not None:
        short = errors[:, 0] > 1.2 * task.target_error[batch.rows]
        message[short] = [
            f"target_error was not reached{'; ' + text if text else ''}" for text in message[short]
        ]
    return message, warned | empty | same | few | short


def _rests_on_few(batch: Batch, task: Task, paths: np.ndarray, skewness: np.ndarray) -> np.ndarray:
    """Where a mean is so skewed that one-sided bounds of 95 and 99 % do not hold.

    By Edgeworth's expansion a bound of z standard errors fails more often than for a normal mean,
    by skewness (2 z^2 + 1) phi(z) / 6: half a percent at 99 % where the skewness is 0.1. A sample
    underestimates the skewness of a heavy tail, because the largest values are missing. So a price
    with some skewness in the sample is also judged by the skewness of the asset's own price. That
    price is taken as lognormal with the model's variance.
    """
    result = np.abs(skewness) > SKEWED
    variance = _log_variance(batch, task)
    if variance is None:
        return np.asarray(result)
    with np.errstate(over="ignore", invalid="ignore"):
        asset = (np.exp(variance) + 2.0) * np.sqrt(np.expm1(variance)) / np.sqrt(paths)
    return np.asarray(
        result | ((asset > ASSET_SKEWED) & (skewness > SEEN * np.minimum(asset, 0.2)))
    )


def _log_variance(batch: Batch, task: Task) -> np.ndarray | None:
    """Variance of the log price at maturity of each row; of several assets the largest variance.
    None where the model does not state the variance.
    """
    model, maturity = batch.model, batch.payoff.maturity
    known = model.mean_variance(model, maturity, np, HOST.special)  # rows are on the host
    if known is None:
        law = model.lognormal(model, maturity, np)
        known = (
            np.einsum("njj->nj", law.covariance).max(axis=1)
            if isinstance(law, Lognormals)
            else law and law.variance
        )
    return (
        None
        if known is None
        else np.broadcast_to(np.asarray(known, dtype=np.float64), len(batch.rows))
    )


def _amount(batch: Batch, row: int) -> float:
    """The order of magnitude of a row's payment: its cash, its notional, or its spot."""
    columns = vars(batch.together())
    value = next(
        (columns[name] for name in ("cash", "notional", "spots", "spot") if name in columns),
        np.ones(1),
    )
    return float(np.nanmax(value[row if len(value) > 1 else 0]))
