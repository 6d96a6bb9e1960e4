"""Double barrier: a vanilla option that is knocked in or out when the price touches either of two
levels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, call_or_put, choice, nonnegative, positive
from gpuquant.payoffs import lognormal, reflection
from gpuquant.payoffs.base import Watched
from gpuquant.payoffs.monitoring import already_hit, spared_by_both, survival_at


@dataclass(frozen=True)
class DoubleBarrier(Watched):
    """A European option that is knocked out or in when the price touches `lower` or `upper`; a dead
    option pays `rebate` at maturity.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    barrier_type : Column, shape (n,)
        knock-out or knock-in.
    strike : Column, shape (n,)
        In currency units; > 0.
    lower, upper : Column, shape (n,)
        In currency units; > 0.
    maturity : Column, shape (n,)
        Years from today; 0 is now.
    rebate : Column, shape (n,)
        Paid at maturity when the option is dead, in currency units; >= 0.
    monitoring : Column, shape (n,)
        continuous or discrete.
    observations : Column, shape (n,)
        Dates of discrete monitoring; a whole number >= 1.

    References
    ----------
    Kunitomo and Ikeda (1992).
    """

    option_type: Column = call_or_put()
    barrier_type: Column = choice("knock-out", "knock-in")
    strike: Column = positive(sample=100.0)
    lower: Column = positive(sample=80.0)
    upper: Column = positive(sample=125.0)
    rebate: Column = nonnegative(default=0.0)

    levels = ("lower", "upper")
    kinks = ("strike",)
    differentiable = "watched"

    @staticmethod
    def start(p, i):
        return (1.0,)

    @staticmethod
    def observe(p, i, acc, log_spots, k):
        return (
            acc[0]
            * survival_at(-1.0, p.lower[i], log_spots[0])
            * survival_at(1.0, p.upper[i], log_spots[0]),
        )

    @staticmethod
    def observe_bridge(p, i, acc, log0, log1, bridge):
        return (acc[0] * spared_by_both(p.lower[i], p.upper[i], log0[0], log1[0], bridge),)

    @staticmethod
    def finish(p, i, acc, log_spots):
        vanilla = max(p.option_type[i] * (math.exp(log_spots[0]) - p.strike[i]), 0.0)
        alive = acc[0] if p.barrier_type[i] == 0.0 else 1.0 - acc[0]
        return alive * vanilla + (1.0 - alive) * p.rebate[i]

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        def option(at: Any) -> Any:
            return lognormal.vanilla_within(
                p.option_type, p.strike, p.lower, p.upper, at, xp, special
            )

        def bond(at: Any) -> Any:
            return lognormal.within(lognormal.cash, p.lower, p.upper, at, xp, special)

        out = reflection.double_knock_out(option, p.lower, p.upper, law, xp)
        alive = reflection.double_knock_out(bond, p.lower, p.upper, law, xp)
        knock_in = (
            lognormal.vanilla(p.option_type, p.strike, law, xp, special) - out + p.rebate * alive
        )
        price = xp.where(p.barrier_type == 0.0, out + p.rebate * (law.discount - alive), knock_in)
        return xp.where((p.monitoring == 0.0) & (p.lower < p.upper) & law.flat, price, xp.nan)

    @staticmethod
    def refuse(p: Any) -> np.ndarray | None:
        return np.where(
            p.lower >= p.upper, "lower >= upper: the lower barrier must lie below the upper", ""
        )

    @staticmethod
    def warn(p: Any) -> np.ndarray | None:
        return already_hit((p.spot <= p.lower) | (p.spot >= p.upper))
