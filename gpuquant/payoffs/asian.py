"""Asian: an option on an average price."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from gpuquant.data.columns import counted
from gpuquant.data.domains import (
    Column,
    call_or_put,
    choice,
    derived,
    integer,
    list_of,
    nonnegative,
    optional,
)
from gpuquant.payoffs.base import Payoff
from gpuquant.payoffs.lognormal import black


@dataclass(frozen=True)
class Asian(Payoff):
    """A call or put on the average A of the prices at T k/n, k = 1..n: max(sign (A - strike), 0),
    or max(sign (S_T - A), 0) for a floating strike.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    strike : Column, shape (n,)
        In currency units; > 0. Not needed for a floating strike.
    maturity : Column, shape (n,)
        Years from today; 0 is now.
    fixings : Column, shape (n,)
        Number of fixing dates; a whole number >= 1. For a continuous average: the number of points
        of the trapezoidal rule.
    fixing_times : Column of lists, shape (n, fixings)
        The fixing dates in years from today, if they are not T k/n; from 0 to the maturity.
    average : Column, shape (n,)
        arithmetic or geometric.
    averaging : Column, shape (n,)
        discrete or continuous.
    strike_type : Column, shape (n,)
        fixed or floating.
    past_fixings : Column, shape (n,)
        Number of fixings before today that are part of the average; a whole number >= 0.
    past_average : Column, shape (n,)
        Average of the past fixings, in currency units; > 0. Needed if there are past fixings.

    References
    ----------
    Kemna and Vorst (1990) for the geometric average; Glasserman (2003), section 3.2.2.
    """

    option_type: Column = call_or_put()
    strike: Column = optional(sample=100.0)
    fixings: Column = integer(default=252)
    fixing_times: Column = list_of(nonnegative(sample=np.nan), default=np.nan, host_only=True)
    average: Column = choice(
        "arithmetic", "geometric", default="arithmetic", compile_time_constant=True
    )
    averaging: Column = choice(
        "discrete", "continuous", default="discrete", compile_time_constant=True
    )
    strike_type: Column = choice("fixed", "floating", default="fixed", compile_time_constant=True)
    past_fixings: Column = integer(default=0, low=0, sample=0.0)
    past_average: Column = optional()
    today: Column = derived()

    dates = "fixings"
    times = ("fixing_times",)
    differentiable = "always"

    @staticmethod
    def start(p, i, log_spots):
        weight = 0.5 if p.averaging[i] == 1.0 else p.today[i]
        before = weight * (math.exp(log_spots[0]) if p.average[i] == 0.0 else log_spots[0])
        known = p.past_average[i] if p.past_fixings[i] > 0.0 else 1.0
        return (before + p.past_fixings[i] * (known if p.average[i] == 0.0 else math.log(known)),)

    @staticmethod
    def observe(p, i, acc, log_spots, k):
        return (acc[0] + (math.exp(log_spots[0]) if p.average[i] == 0.0 else log_spots[0]),)

    @staticmethod
    def finish(p, i, acc, log_spots):
        spot = math.exp(log_spots[0])
        total = acc[0]
        if p.averaging[i] == 1.0:
            total = total - 0.5 * (spot if p.average[i] == 0.0 else log_spots[0])
        mean = total / (p.fixings[i] + p.past_fixings[i])
        mean = mean if p.average[i] == 0.0 else math.exp(mean)
        gain = mean - p.strike[i] if p.strike_type[i] == 0.0 else spot - mean
        return max(p.option_type[i] * gain, 0.0)

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        # log of the geometric mean is normal: its mean and variance are sums over the n fixings, or
        # integrals
        n = p.fixings
        carry = xp.log(law.forward / law.spot)
        continuous = p.averaging == 1.0
        times = xp.sort(xp.nan_to_num(p.fixing_times), axis=1)
        listed = xp.isfinite(p.fixing_times).any(axis=1)
        # the covariance of two log prices is the variance at the earlier date
        place = xp.arange(1, times.shape[1] + 1)
        sums = (
            times.sum(axis=1) / (n * p.maturity),
            (times * (2.0 * (times.shape[1] - place) + 1.0)).sum(axis=1) / (n * n * p.maturity),
        )
        passed = p.passed / p.maturity  # even dates are T ((1 + passed) k/n - passed)
        even = (
            (1.0 + passed) * (n + 1.0) / (2.0 * n) - passed,
            (1.0 + passed) * (n + 1.0) * (2.0 * n + 1.0) / (6.0 * n * n) - passed,
        )
        middle = xp.where(continuous, 0.5, xp.where(listed, sums[0], even[0]))
        third = xp.where(continuous, 1.0 / 3.0, xp.where(listed, sums[1], even[1]))
        share = n / (n + p.past_fixings)
        known = xp.where(p.past_fixings > 0.0, p.past_average, 1.0)
        mean = share * (xp.log(law.spot) + (carry - 0.5 * law.variance) * middle) + (
            1.0 - share
        ) * xp.log(known)
        variance = share * share * law.variance * third
        price = black(
            p.option_type,
            xp.exp(mean + 0.5 * variance),
            p.strike,
            variance,
            law.discount,
            xp,
            special,
        )
        single = (n == 1.0) & (p.past_fixings == 0.0) & ~continuous & ~listed
        return xp.where(
            ((p.average == 1.0) | single) & (p.strike_type == 0.0) & law.flat, price, xp.nan
        )

    @staticmethod
    def log_mean(p: Any, xp: Any) -> tuple[Any, Any, Any]:
        fixings, maturity, passed = p.fixings[:, None], p.maturity[:, None], p.passed[:, None]
        number = xp.arange(1, int(fixings.max()) + 1)
        there = number <= fixings  # shorter lists end with dates of no weight
        listed = xp.isfinite(p.fixing_times).any(axis=1)[:, None]
        even = (maturity + passed) * xp.minimum(number / fixings, 1.0) - passed
        given = xp.nan_to_num(p.fixing_times)[:, : len(number)]
        given = xp.concatenate(
            [given, xp.zeros((len(given), len(number) - given.shape[1]))], axis=1
        )
        dates = xp.sort(xp.where(there, xp.where(listed, given, even), maturity), axis=1)
        every = p.fixings + p.past_fixings
        known = xp.where(p.past_fixings > 0.0, p.past_average, 1.0)
        plain = (p.average == 1.0) & (p.averaging == 0.0) & (p.strike_type == 0.0)
        constant = xp.where(plain, p.past_fixings / every * xp.log(known), xp.nan)
        return constant, dates, xp.where(there, 1.0 / every[:, None], 0.0)

    @classmethod
    def controls(cls, fixed: dict[str, float]) -> tuple[tuple[type[Payoff], dict[str, float]], ...]:
        # the formula of a continuous mean is that of the integral, not of its trapezoidal rule
        discrete = fixed["averaging"] == 0.0
        return (*(((Asian, {"average": 1.0}),) if discrete else ()), *super().controls(fixed))

    def with_derived_columns(self) -> Self:
        listed = np.isfinite(self.fixing_times).any(axis=1)
        columns = self.columns()
        columns["fixings"] = np.where(listed, counted(self.fixing_times), self.fixings)
        columns["today"] = (self.fixing_times == 0.0).sum(axis=1).astype(float)
        return type(self).from_columns(columns)

    @staticmethod
    def refuse(p: Any) -> np.ndarray | None:
        lost = np.where(
            (p.past_fixings > 0.0) & np.isnan(p.past_average),
            "past_average is missing: past fixings need their values",
            "",
        )
        late = (np.nan_to_num(p.fixing_times) > p.maturity[:, None] * (1.0 + 1e-12)).any(axis=1)
        lost = np.where(late, "fixing_times go beyond the maturity", lost)
        return np.where(
            (p.strike_type == 0.0) & np.isnan(p.strike),
            "strike is missing: must be finite and > 0",
            lost,
        )
