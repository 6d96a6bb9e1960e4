"""How far the bumps of Greeks go, in formulas and in simulations, and what moves as time passes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpuquant.data.columns import domains
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.batch import Batch


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
UNIT = Bumps(1.0, 1.0, 1.0, 1.0)  # of derivatives, per unit of each bump
SIMULATED = Bumps(0.01, 0.02, 1e-3, 0.01)
FORMULA = Bumps(5e-4, 5e-4, 5e-5, 1e-4)
SHARE = 0.1  # of the deviation of the log price: a wider bump of the spot spans a bend of the value
NEAREST = 0.5  # of the distance to a level where the value has a kink
AT_LEVEL = 2e-4  # of the spot: a nearer level counts as one at this distance
STILL = 1e-3  # of the spot: the bump of a row without variance


def simulated(batch: Batch) -> Bumps:
    """The bumps of simulated rows. A bump of the spot is small beside the deviation of the price at
    maturity, and does not reach a level where the value has a kink today.
    """
    bump = np.full(len(batch.rows), SIMULATED.spot)
    variance = batch.log_variance()
    if variance is not None:
        bump = np.where(variance > 0.0, np.minimum(bump, SHARE * np.sqrt(variance)), STILL)
    bump = np.minimum(bump, NEAREST * np.maximum(distance_to_level(batch), AT_LEVEL))
    return replace(SIMULATED, spot=bump)


def without_gamma(batch: Batch) -> np.ndarray:
    """Where a second difference tells of a kink: at a level, and without variance, shape (n,)."""
    variance = batch.log_variance()
    at_level = distance_to_level(batch) < AT_LEVEL
    return at_level if variance is None else at_level | (variance == 0.0)


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
