"""Greeks by bumps on common random numbers: the variants of a row, and how their values combine.

Every variant of a row uses the same draws. So a difference is averaged path by path and has its own
standard error. Delta, vega and theta are central differences with a relative bump; that of the spot
follows the row. The bump of rho
is absolute. So is the bump of the vega of a list of volatilities: the whole list is shifted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpuquant.data.columns import domains
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.kernels.build import Pair
from gpuquant.pricing.kernels.records import Variants

NAMES = ("delta", "gamma", "vega", "rho", "theta")
DESK = {"vega": 0.01, "rho": 0.01, "theta": 1.0 / 365.0}  # per 1 % of volatility and rate, per day


@dataclass(frozen=True)
class Bumps:
    """Sizes of the bumps.

    Simulated values need wide bumps, because the noise is divided by the bump. Formulas need narrow
    bumps, because the error from curvature grows with the bump. The bump of the spot may differ by
    row, shape (n,).
    """

    spot: Any
    volatility: float
    rate: float
    maturity: float

    def twice(self) -> Bumps:
        """Bumps of twice the size."""
        return Bumps(2.0 * self.spot, 2.0 * self.volatility, 2.0 * self.rate, 2.0 * self.maturity)


TYPICAL = 0.2  # a volatility, of which a list's shift is a share
SIMULATED = Bumps(0.01, 0.02, 1e-3, 0.01)
FORMULA = Bumps(5e-4, 5e-4, 5e-5, 1e-4)
SHARE = 0.1  # of the deviation of the log price: a wider bump of the spot spans a bend of the value
NEAREST = 0.5  # of the distance to a level where the value has a kink
AT_LEVEL = 2e-4  # of the spot: a nearer level counts as one at this distance


def simulated(batch: Batch) -> Bumps:
    """The bumps of simulated rows. A bump of the spot is small beside the deviation of the price at
    maturity, and does not reach a level where the value has a kink today.
    """
    bump = np.full(len(batch.rows), SIMULATED.spot)
    variance = batch.log_variance()
    if variance is not None:
        spread = SHARE * np.sqrt(variance)
        bump = np.where(spread > 0.0, np.minimum(bump, spread), bump)
    bump = np.minimum(bump, NEAREST * np.maximum(distance_to_level(batch), AT_LEVEL))
    return replace(SIMULATED, spot=bump)


def distance_to_level(batch: Batch) -> np.ndarray:
    """Distance of the log price from the nearest level where the value has a kink today, shape
    (n,); infinite where there is none.
    """
    nearest = np.full(len(batch.rows), np.inf)
    spot = getattr(batch.model, "spot", None)
    if spot is not None and batch.payoff.continuous_monitoring(dict(batch.fixed)):
        for name in batch.payoff.levels:
            nearest = np.fmin(nearest, np.abs(np.log(getattr(batch.payoff, name) / spot)))
    return nearest


def plan(
    names: tuple[str, ...], model: type[Model], payoff: type[Payoff], bumps: Bumps
) -> Variants:
    """The variants of a row, and their weights in the price and the five Greeks, in bump units.
    The spot moves by a share that is the row's own.
    """
    columns: dict[str, list[int]] = {}
    for f, name in enumerate(names):
        columns.setdefault(name, []).append(f)
    scale, spot, shift, later = (np.full((9, len(names)), value) for value in (1.0, 0.0, 0.0, 0.0))
    for v, sign in enumerate((1.0, -1.0), start=1):
        # a model of several assets has no such column: each asset has a Greek of its own
        if "spot" in columns:
            spot[v, columns["spot"]] = sign
        for name in model.variance_columns or (model.vega_column,):  # variances move in proportion
            if name in columns and not domains(model)[name].listed:
                scale[2 + v, columns[name]] += sign * bumps.volatility
            elif name in columns:
                shift[2 + v, columns[name]] += sign * bumps.volatility * TYPICAL
        shift[4 + v, columns[model.rate_column]] += sign * bumps.rate
        for name in clocks_of(model, payoff):  # all dates move by the same time
            later[6 + v, columns.get(name, [])] += sign * bumps.maturity
    weights = np.zeros((6, 9))
    weights[0, 0] = 1.0
    weights[1, 1:3] = 0.5, -0.5
    weights[2, 0:3] = -2.0, 1.0, 1.0
    weights[3, 3:5] = 0.5, -0.5
    weights[4, 5:7] = 0.5, -0.5
    weights[5, 7:9] = -0.5, 0.5
    return Variants(scale, spot, shift, later, weights)


def clocks_of(model: type[Model], payoff: type[Payoff]) -> list[str]:
    """The columns that are times from today: they all come nearer as time passes."""
    every = {**domains(model), **domains(payoff)}
    stated = {"maturity", *model.times, *payoff.times}
    return [name for name, domain in every.items() if domain.is_time or name in stated]


def first_dates(model: Model, payoff: Payoff) -> np.ndarray:
    """Years to the first date of each row, shape (1,) or (n,)."""
    columns = {**model.columns(), **payoff.columns()}
    fixed = {
        name: float(columns[name][0])
        for name, domain in domains(type(payoff)).items()
        if domain.compile_time_constant
    }
    first = np.full(1, np.inf)
    for name in clocks_of(type(model), type(payoff)):
        times = np.where(columns[name] > 0.0, columns[name], np.inf)
        first = np.minimum(first, times if times.ndim == 1 else times.min(axis=1))
    if payoff.dates and payoff.discrete_dates(fixed):
        even = np.minimum(first, payoff.maturity / columns[payoff.dates])
        for name in payoff.times:  # a row with a list of times has those dates instead
            times = columns[name].reshape(len(columns[name]), -1)
            even = np.where(np.isfinite(times).any(axis=1), first, even)
        first = even
    return np.where(np.isfinite(first), first, 0.0)


def units(model: Model, payoff: Payoff, bumps: Bumps, first: np.ndarray) -> list[Any]:
    """The divisor of each output, per row: the size of the bump in the unit of its column."""
    level = getattr(model, model.vega_column, np.zeros(1))
    level = np.full(1, TYPICAL) if level.ndim == 2 else level
    # a bump r of a variance is r sqrt(variance) / 2 of its volatility
    vega = (
        0.5 * bumps.volatility * np.sqrt(level)
        if model.vega_is_variance
        else bumps.volatility * level
    )
    spot = bumps.spot * getattr(model, "spot", np.zeros(1))
    return [1.0, spot, spot * spot, vega, bumps.rate, bumps.maturity * first]


def variants(pair: Pair) -> Variants:
    """The plan of a pair's kernel: Greeks when it has their outputs, else the price alone."""
    if pair.outputs == 1:
        n = len(pair.names)
        none = np.zeros((1, n))
        return Variants(np.ones((1, n)), none, none, none, np.ones((1, 1)))
    return plan(pair.names, pair.model, pair.payoff, SIMULATED)
