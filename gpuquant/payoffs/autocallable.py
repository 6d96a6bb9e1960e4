"""Autocallable: a note that ends early, with its coupons, when the price stands high enough at a
date.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from gpuquant.data.domains import Column, choice, integer, nonnegative, positive
from gpuquant.payoffs.base import Payoff
from gpuquant.payoffs.monitoring import bridge_survival_probability, survival_at


@dataclass(frozen=True)
class Autocallable(Payoff):
    """notional x (1 + coupon k) at the first date T k/n with S >= autocall x initial.

    If there is no such date, the note pays at maturity. It pays notional x S_T / initial if the
    price has reached protection x initial and S_T is below initial, else the notional.

    Parameters
    ----------
    maturity : Column, shape (n,)
        Years from today; 0 is now.
    observations : Column, shape (n,)
        Dates T k/n at which it may be called; a whole number >= 1.
    initial : Column, shape (n,)
        Reference price of the levels, in currency units; > 0.
    autocall, protection : Column, shape (n,)
        Shares of the initial price; > 0.
    coupon : Column, shape (n,)
        Share of the notional that is paid with it for each date so far; >= 0.
    notional : Column, shape (n,)
        In currency units; > 0.
    protection_monitoring : Column, shape (n,)
        When the protection is watched: maturity, dates or continuous.

    References
    ----------
    Bouzoubaa and Osseiran (2010), Exotic Options and Hybrids, chapter 12.
    """

    observations: Column = integer(default=4)
    initial: Column = positive(sample=100.0)
    autocall: Column = positive(default=1.0)
    protection: Column = positive(default=0.7)
    coupon: Column = nonnegative(default=0.05)
    notional: Column = positive(default=1.0)
    protection_monitoring: Column = choice(
        "maturity", "dates", "continuous", default="maturity", compile_time_constant=True
    )

    dates: ClassVar[str] = "observations"

    @classmethod
    def continuous_monitoring(cls, fixed: dict[str, float]) -> bool:
        return fixed["protection_monitoring"] == 2.0

    @classmethod
    def discrete_dates(cls, fixed: dict[str, float]) -> bool:
        return True

    @staticmethod
    def start(p, i, log_spots):
        # alive; probability that the protection level was not reached; value at maturity of the
        # amount paid early
        return (1.0, 1.0, 0.0)

    @staticmethod
    def observe(p, i, acc, log_spots, k, growth):
        called = acc[0] > 0.0 and math.exp(log_spots[0]) >= p.autocall[i] * p.initial[i]
        paid = p.notional[i] * (1.0 + p.coupon[i] * (k + 1.0)) * growth
        spared = (
            acc[1] * survival_at(-1.0, p.protection[i] * p.initial[i], log_spots[0])
            if p.protection_monitoring[i] == 1.0
            else acc[1]
        )
        return (0.0 if called else acc[0], spared, paid if called else acc[2])

    @staticmethod
    def observe_bridge(p, i, acc, log0, log1, bridge):
        return (
            acc[0],
            acc[1]
            * bridge_survival_probability(
                -1.0, p.protection[i] * p.initial[i], log0[0], log1[0], bridge
            ),
            acc[2],
        )

    @staticmethod
    def finish(p, i, acc, log_spots):
        share = math.exp(log_spots[0]) / p.initial[i]
        met = 1.0 - acc[1]
        if p.protection_monitoring[i] == 0.0:
            met = 1.0 if share < p.protection[i] else 0.0
        left = p.notional[i] * (1.0 - met + met * min(share, 1.0))
        return acc[2] + acc[0] * left
