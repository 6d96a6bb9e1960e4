"""Simulated paths as arrays: what the pricing engine walks, written down for those who ask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpuquant.data.columns import affordable, domains
from gpuquant.device import Device, resolve_device
from gpuquant.errors import InputError
from gpuquant.math import rng
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.batching import batches_of
from gpuquant.pricing.bumps import SIMULATED
from gpuquant.pricing.greeks import plan
from gpuquant.pricing.kernels.launch import Launch, Rows
from gpuquant.pricing.request import Asked, Task, checked
from gpuquant.pricing.simulation import pair_of
from gpuquant.pricing.time_grid import Grid
from gpuquant.shown import Shown

OTHER_CARRY = {"dividends", "foreign_rate"}  # what a share earns is not its yield alone


@dataclass(frozen=True)
class SimulatedPaths(Shown):
    """Paths of a model, and what a payoff pays on each; arrays on the device that made them.

    Attributes
    ----------
    times : array, shape (steps + 1,)
        In years from today.
    spots : array, shape (paths, steps + 1), or (paths, steps + 1, assets) of several assets
        The price at each time, today's first.
    payments : array, shape (paths,)
        What each path pays, at its value today; their mean is the price.
    discounts : array, shape (steps + 1,)
        The value today of 1 at each time.
    carry : array, shape (steps + 1,), or (steps + 1, assets) of several assets
        The shares that one share of today has become by reinvesting its dividend yield.
    """

    times: Any
    spots: Any
    payments: Any
    discounts: Any
    carry: Any

    @property
    def gains(self) -> Any:
        """What one share held over each step earns, with its dividends, at its value today; shape
        (paths, steps) or (paths, steps, assets). Its mean is zero: prices are risk-neutral.
        """
        held = self.spots * (self.discounts * self.carry.T).T
        return (held[:, 1:] - held[:, :-1]) / self.carry[:-1]


def simulate(
    payoff: Payoff,
    model: Model,
    *,
    paths: int,
    steps: int | None = None,
    seed: int = 0,
    precision: str = "mixed",
    device: str | Device = "auto",
) -> SimulatedPaths:
    """The paths on which `gpuquant.price` simulates a payoff, with the same draws.

    Parameters
    ----------
    payoff : Payoff
        One row.
    model : Model
        One row, of prices in their own currency, with one rate and constant dividend yields.
    paths : int
    steps : int, optional
        As of `price`.
    seed : int
    precision : str
        single, mixed or double.
    device : str

    Returns
    -------
    SimulatedPaths
        8 bytes x paths x (steps + 2) x assets.

    Raises
    ------
    InputError
        More than one row; a maturity of today; or a model of rates, of dividends in cash, or of
        prices of another currency.

    Examples
    --------
    >>> import gpuquant as gq
    >>> call = gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0)
    >>> model = gq.models.BlackScholes(spot=100.0, volatility=0.2, rate=0.02)
    >>> made = gq.simulate(call, model, paths=10_000, steps=12)
    >>> made.spots.shape, made.gains.shape
    ((10000, 13), (10000, 12))
    >>> priced = gq.price(call, model, engine="monte_carlo", paths=10_000, steps=12)
    >>> bool(abs(made.payments.mean() - priced.price) < 1e-9)
    True
    """
    _, batches, messages, _ = batches_of(payoff, model, None)
    name = type(model).__name__
    if (np.ravel(payoff.maturity) == 0.0).any():
        raise InputError("maturity = 0: there is no path; price tells what is paid today")
    if len(messages) != 1 or len(batches) != 1:
        raise InputError(f"{len(messages)} rows: simulate takes one payoff under one model")
    batch = batches[0]
    own = domains(type(model))
    yields = own.keys() & {"dividend_yield", "dividend_yields"}
    if "rate" not in own or not yields or own.keys() & OTHER_CARRY or hasattr(model, "deflator"):
        raise InputError(
            f"model = {name}: must be a model of prices in their own currency, with one rate and "
            "dividend yields"
        )
    if not (batch.payoff.simulated() and batch.model.simulated()):
        raise InputError(f"{type(payoff).__name__} under {name} has no simulation")
    task = checked(Asked(seed, precision, "monte_carlo", paths, steps), None, 1)
    grid = Grid.of(batch, steps)
    count = int(grid.steps[0])
    affordable(int(paths) * batch.together().assets, count + 2, "steps")
    rng.check(int(paths), count * batch.draws, 0)
    where = resolve_device(device, work=float(count) * paths)
    out = _recorded(batch, replace(task, device=where), grid)
    lengths = np.repeat(grid.dts, np.diff(grid.ends, prepend=0))
    times = np.concatenate([[0.0], np.cumsum(lengths)])
    dividend_yields = np.ravel(vars(batch.model)[yields.pop()])
    discounts = np.array([batch.model.discount(batch.model, 0, t) for t in times])
    carry = np.exp(times[:, None] * dividend_yields)
    spots = where.xp.exp(out[:-1], out=out[:-1]).T.reshape(int(paths), count + 1, -1)
    one = spots.shape[2] == 1
    return SimulatedPaths(
        where.put(times, "times"),
        spots[..., 0] if one else spots,
        out[-1],
        where.put(discounts, "discounts"),
        where.put(carry[:, 0] if one else carry, "carry"),
    )


def _recorded(batch: Batch, task: Task, grid: Grid) -> Any:
    """The log prices of one row after every step, and its payments; see `Launch.record`."""
    pair = replace(pair_of(batch, task.precision), recorded=True)
    columns = {**batch.model.columns(), **batch.payoff.columns()}
    rows = Rows(task.device, columns, pair, grid, batch.streams, np.zeros(1), task.seed)
    bumps = plan(pair.names, pair.model, pair.payoff, SIMULATED, ())
    return Launch(pair, rows, bumps).record(task.paths)
