"""The pricing engine: contracts in, prices with their errors and status out.

All calls take the same route. Rows become batches (`batching`). A batch takes its closed form where
there is one, else its Fourier price, else finite differences, else a simulation (`monte_carlo`).
Results return in the caller's order.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gpuquant._version import __version__
from gpuquant.data.market import Market
from gpuquant.device import Device, resolve_device
from gpuquant.errors import InputError, MemberError
from gpuquant.meter import Meter
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing import closed_form, finite_difference, fourier
from gpuquant.pricing.batch import Batch, all_messages
from gpuquant.pricing.batching import batches_of
from gpuquant.pricing.greeks import refuse_unknown
from gpuquant.pricing.implied_volatility import implied_by
from gpuquant.pricing.isolate import isolate
from gpuquant.pricing.monte_carlo import simulate
from gpuquant.pricing.request import DEFAULT_PATHS, Asked, Task, checked
from gpuquant.pricing.results import RESULT_COLUMNS, Priced, Solution
from gpuquant.pricing.table import Table
from gpuquant.pricing.time_grid import Grid
from gpuquant.progress import bar


# a value that is not finite gets a message in its row, whatever the caller's numpy settings are
@np.errstate(all="ignore")
def price(
    contracts: Any,
    model: Model | None = None,
    *,
    market: Market | str | Path | None = None,
    engine: str = "auto",
    paths: int = DEFAULT_PATHS,
    steps: int | None = None,
    greeks: bool | str | Sequence[str] = False,
    target_error: Any = None,
    device: str | Device = "auto",
    seed: int = 0,
    precision: str = "mixed",
    draws: str = "random",
    units: str = "raw",
    partial: bool = False,
    common_random_numbers: bool = False,
    progress: bool | None = None,
) -> Priced:
    """Price a payoff under a model, or a book of contracts in a market.

    Parameters
    ----------
    contracts : Payoff, Contracts, DataFrame or path
        What is priced. A payoff needs `model`; a book takes its models from its rows and its
        parameters from `market`.
    model : Model, optional
        The dynamics, for a payoff. Columns of the two broadcast.
    market : Market or path, optional
        Spots, rates, volatilities by underlying.
    engine : str
        auto (the first that prices a row, in this order), closed_form, fourier, finite_difference
        or monte_carlo.
    paths : int
        Paths per simulated row.
    steps : int, optional
        Time steps of a simulation over a row's life, rounded up to a multiple of its observation
        dates. By default the model's `steps_per_year`, 16 at least, and twice as many for a payoff
        that is watched between dates; one per date where the model is exact.
    greeks : bool, str or sequence of str
        Greeks with their standard errors. True: delta, gamma, vega, rho and theta. By name also
        theta_per_day, dividend_rho, vanna and volga; delta2, vega2 and gamma12 of the assets of a
        basket, 1 to 9; d_kappa, the derivative to a column of numbers of the model or the payoff;
        and implied_vol of vanilla options. Closed forms are differentiated exactly, Fourier prices
        and grids by differences; of a simulated row the message tells which are
        derivatives of its paths and which bumps.
    target_error : float or shape (n,), optional
        Largest standard error of the price, in price units. A pilot simulation with its own draws
        sets the number of paths of each row; grids of finite differences are doubled until their
        error is as small.
    device : str
        auto, cpu, cpu:THREADS, cuda, cuda:INDEX.
    seed : int
        Seed of the draws, 0 to 2^64 - 1. The stream of a row follows its `id`, or its position
        where it has no id.
    precision : str
        single, mixed (float32 draws and functions, float64 state and sums) or double. Closed forms
        are always double.
    draws : str
        random (counter-based) or sobol: scrambled Sobol points, spent on the principal components
        of a path first, 32 nets of 2^k points whose means tell the error. `paths` is rounded up to
        such a number. The error of a smooth payoff falls faster than with random draws. A scheme's
        bias is told by random draws.
    units : str
        raw (per 1.00 of volatility and rates, per year) or desk (per 1 % and per day), for Greeks.
    partial : bool
        Let totals skip failed rows.
    common_random_numbers : bool
        Give every row the same draws.
    progress : bool, optional
        Show a bar; by default where a terminal or notebook watches.

    Returns
    -------
    Priced
        Columns of shape (n,) in the caller's order, and `meta`.

    Raises
    ------
    InputError, NameUnknown
        An argument outside its domain, an unknown column. A bad *row* of a book does not raise: it
        gets a status and a message.

    Notes
    -----
    The error of finite differences is how far their extrapolated values moved when the grid was
    last doubled. The bias of a time-stepping scheme is estimated by paths on two grids and removed
    (Talay and Tubaro, 1990). The standard error holds the error of the estimate and a quarter of
    what was removed, and the message of the row tells the bias. A simulated price that depends on
    few of its paths gets a warning, because a one-sided bound of 95 or 99 % would fail more often
    than stated. A price gets a warning, too, if no path paid.
    """
    book, batches, messages, scalar = batches_of(contracts, model, market)
    n = len(messages)
    asked = Asked(seed, precision, engine, paths, steps, greeks, common_random_numbers, draws)
    task = checked(asked, target_error, n)
    if units not in ("raw", "desk"):
        raise InputError(f"units = {units!r}: must be raw or desk")
    refuse_unknown(task.greeks, [member for b in batches for member in (b.model, b.payoff)])
    chosen = resolve_device(device, work=lambda: sum(_work(b, task) for b in batches))
    task = replace(task, device=chosen)
    book_size = sum(len(b.rows) for b in batches)
    table = Table(n, task)
    with Meter(task.device) as meter, bar(book_size, "pricing", progress) as tick:
        for batch in batches:
            if book is None and len(batch.rows) == 1:  # an error is the caller's to see
                _price_batch(batch, task, table, tick)
            else:
                isolate(
                    functools.partial(_price_some, batch, task, table, tick),
                    np.arange(len(batch.rows)),
                    functools.partial(table.lose, batch.rows),
                )
    if book is not None:
        table.fail(messages)
    columns = table.columns(units)
    columns["value"] = columns["price"] * (1.0 if book is None else book.amounts())
    meta = {**_meta(task), **meter.meta(), "rows": n}
    source = (
        {}
        if book is None
        else {
            name: value
            for name, value in book.columns.items()
            if name not in RESULT_COLUMNS and name not in columns
        }
    )
    return Priced(columns, source, None if book is None else book.index, meta, scalar, partial)


def _work(batch: Batch, task: Task) -> float:
    """Path-steps of a batch if it is simulated."""
    return float(Grid.of(batch, task.steps).steps.sum()) * task.paths


def _exact(
    formula: Callable[[Model, Payoff, Device, tuple[str, ...]], np.ndarray | None],
) -> Callable[[Batch, Task], Solution | None]:
    """A formula as an engine: its values have no error."""

    def solved(batch: Batch, task: Task) -> Solution | None:
        found = formula(batch.model, batch.payoff, task.device, task.greeks)
        return None if found is None else Solution(found)

    return solved


# in the order in which they are tried; what none of them prices is simulated
SOLVERS: dict[str, Callable[[Batch, Task], Solution | None]] = {
    "closed_form": _exact(closed_form.price),
    "fourier": _exact(fourier.price),
    "finite_difference": finite_difference.price,
}


def _price_some(
    batch: Batch, task: Task, table: Table, tick: Callable[[int], None], some: np.ndarray
) -> None:
    """Price some of a batch's rows."""
    _price_batch(batch if some.size == len(batch.rows) else batch.take(some), task, table, tick)


def _price_batch(batch: Batch, task: Task, table: Table, tick: Callable[[int], None]) -> None:
    """Price rows, and tell their implied volatilities where they are asked for."""
    _price_rows(batch, task, table, tick)
    if task.implied_vol and batch.payoff.vanilla:
        value, error = table.values[batch.rows, 0], table.errors[batch.rows, 0]
        middle, high, low = (implied_by(batch, value + k * error) for k in (0.0, 1.0, -1.0))
        width = 0.5 * (high - low)
        middle = np.where(np.isfinite(width), middle, np.nan)
        table.implied[batch.rows] = np.stack([middle, width], axis=1)
        lost = batch.rows[np.isnan(middle) & np.isfinite(value)]
        table.note(
            lost, "implied_vol undefined: the price, or the price less its error, carries none"
        )


def _price_rows(batch: Batch, task: Task, table: Table, tick: Callable[[int], None]) -> None:
    """Price rows by the first engine that can, among those allowed. Simulate the other rows."""
    notes = batch.warned()
    for engine, solved in SOLVERS.items():
        if task.engine not in ("auto", engine) or not len(batch.rows):
            continue
        solution = solved(batch, task)
        if solution is not None:
            done = np.isfinite(solution.values[:, 0])
            if done.all():
                told = all_messages([notes, solution.notes], len(done))
                table.put(batch.rows, solution.values, solution.errors, engine, 0, told)
                tick(len(done))
                return
            rows, some = batch.rows[done], solution.take(done)
            left = np.flatnonzero(~done)
            told = all_messages([None if notes is None else notes[done], some.notes], len(rows))
            table.put(rows, some.values, some.errors, engine, 0, told)
            tick(len(rows))
            batch, notes = batch.take(left), None if notes is None else notes[left]
    if not len(batch.rows):
        return
    pair = f"{type(batch.payoff).__name__} under {type(batch.model).__name__}"
    lost = None
    if task.engine in SOLVERS:
        lost = (
            f"no {task.engine.replace('_', ' ')} of {pair}, or none that is near enough; "
            "engine='auto' takes what there is"
        )
    elif not batch.payoff.simulated():
        lost = f"no engine prices {pair}: its amount rests on prices at a later date"
    elif not batch.model.simulated():
        lost = f"no engine prices {pair}: the model has no simulation"
    else:
        try:
            simulate(
                batch,
                task,
                table,
                np.full(len(batch.rows), "", dtype=object) if notes is None else notes,
                tick,
            )
        except MemberError as failure:
            lost = str(failure)
    if lost:
        table.message[batch.rows] = lost
        tick(len(batch.rows))


def _meta(task: Task) -> dict[str, Any]:
    return {
        "device": task.device.name,
        "device_reason": task.device.reason,
        "threads": task.device.threads,
        "precision": task.precision,
        "seed": task.seed,
        "draws": task.draws,
        "paths": task.paths,
        "engine": task.engine,
        "version": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
