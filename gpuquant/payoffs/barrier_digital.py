"""Barrier digital: a digital option that is knocked in or out when the price touches a level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, call_or_put, choice, positive
from gpuquant.payoffs import lognormal, reflection
from gpuquant.payoffs.base import Watched
from gpuquant.payoffs.monitoring import (
    KINDS,
    alive_side,
    alive_sides,
    already_hit,
    bridge_survival_probability,
    survival_at,
)


@dataclass(frozen=True)
class BarrierDigital(Watched):
    """`cash`, or S_T, where S_T ends beyond the strike and the barrier has been touched (in) or not
    (out).

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    barrier_type : Column, shape (n,)
        down-and-out, down-and-in, up-and-out or up-and-in.
    strike : Column, shape (n,)
        In currency units; > 0.
    barrier : Column, shape (n,)
        In currency units; > 0.
    maturity : Column, shape (n,)
        Years from today; 0 is now.
    pays : Column, shape (n,)
        cash or asset.
    cash : Column, shape (n,)
        Amount paid where `pays` is cash, in currency units; > 0.
    monitoring : Column, shape (n,)
        continuous or discrete.
    observations : Column, shape (n,)
        Dates of discrete monitoring; a whole number >= 1.

    References
    ----------
    Reiner and Rubinstein (1991), binary barriers.
    """

    option_type: Column = call_or_put()
    barrier_type: Column = choice(*KINDS)
    strike: Column = positive(sample=100.0)
    barrier: Column = positive(sample=80.0)
    pays: Column = choice("cash", "asset", default="cash")
    cash: Column = positive(default=1.0)

    levels = ("barrier",)
    kinks = ("strike",)

    @classmethod
    def jumps(cls, fixed: dict[str, float]) -> bool:
        return True

    @staticmethod
    def start(p, i):
        return (1.0,)

    @staticmethod
    def observe(p, i, acc, log_spots, k):
        return (acc[0] * survival_at(alive_side(p.barrier_type[i]), p.barrier[i], log_spots[0]),)

    @staticmethod
    def observe_bridge(p, i, acc, log0, log1, bridge):
        return (
            acc[0]
            * bridge_survival_probability(
                alive_side(p.barrier_type[i]), p.barrier[i], log0[0], log1[0], bridge
            ),
        )

    @staticmethod
    def finish(p, i, acc, log_spots):
        spot = math.exp(log_spots[0])
        amount = p.cash[i] if p.pays[i] == 0.0 else spot
        knock_in = (p.barrier_type[i] == 1.0) or (p.barrier_type[i] == 3.0)
        alive = 1.0 - acc[0] if knock_in else acc[0]
        return alive * amount if p.option_type[i] * (spot - p.strike[i]) > 0.0 else 0.0

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        def paid(kind: Any) -> Any:
            def between(at: Any, low: Any, high: Any) -> Any:
                low = xp.where(p.option_type > 0.0, xp.maximum(low, p.strike), low)
                high = xp.where(p.option_type > 0.0, high, xp.minimum(high, p.strike))
                return lognormal.within(kind, low, high, at, xp, special)

            out = reflection.knock_out(between, alive_sides(p.barrier_type, xp), p.barrier, law, xp)
            knock_in = (p.barrier_type == 1.0) | (p.barrier_type == 3.0)
            return xp.where(knock_in, kind(p.option_type, p.strike, law, xp, special) - out, out)

        price = xp.where(p.pays == 0.0, p.cash * paid(lognormal.cash), paid(lognormal.asset))
        return xp.where((p.monitoring == 0.0) & law.flat, price, xp.nan)

    @staticmethod
    def warn(p: Any) -> np.ndarray | None:
        return already_hit(alive_sides(p.barrier_type, np) * (p.spot - p.barrier) >= 0.0)
