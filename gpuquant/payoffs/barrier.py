"""Barrier: a vanilla option that is knocked in or out when the price touches a level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, call_or_put, choice, nonnegative, positive
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
class Barrier(Watched):
    """A European option that is knocked out or in when the price touches `barrier`; a dead option
    pays its `rebate`.

    Watched at T k/n, k = 1..n, or continuously: then each path carries the probability that the
    Brownian bridges between its steps do not touch the barrier. So there is no discretisation error
    under Black-Scholes.

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
    rebate : Column, shape (n,)
        Paid when the option is dead, in currency units; >= 0.
    rebate_timing : Column, shape (n,)
        maturity or hit: when an option that is knocked out pays its rebate. One that was never
        knocked in pays at maturity.
    monitoring : Column, shape (n,)
        continuous or discrete.
    observations : Column, shape (n,)
        Dates of discrete monitoring; a whole number >= 1.

    References
    ----------
    Reiner and Rubinstein (1991); Glasserman (2003), section 6.4 for the bridge.
    """

    option_type: Column = call_or_put()
    barrier_type: Column = choice(*KINDS)
    strike: Column = positive(sample=100.0)
    barrier: Column = positive(sample=80.0)
    rebate: Column = nonnegative(default=0.0)
    rebate_timing: Column = choice("maturity", "hit", default="maturity")

    levels = ("barrier",)
    kinks = ("strike",)
    differentiable = "watched"

    @staticmethod
    def start(p, i, log_spots, growth):
        side = alive_side(p.barrier_type[i])
        touched = side * (log_spots[0] - math.log(p.barrier[i])) >= 0.0 and p.monitoring[i] == 0.0
        return (0.0 if touched else 1.0, growth if touched else 0.0)

    @staticmethod
    def observe(p, i, acc, log_spots, k, growth):
        alive = acc[0] * survival_at(alive_side(p.barrier_type[i]), p.barrier[i], log_spots[0])
        return (alive, acc[1] + (acc[0] - alive) * growth)

    @staticmethod
    def observe_bridge(p, i, acc, log0, log1, bridge, k, growth):
        alive = acc[0] * bridge_survival_probability(
            alive_side(p.barrier_type[i]), p.barrier[i], log0[0], log1[0], bridge
        )
        return (alive, acc[1] + (acc[0] - alive) * growth)

    @staticmethod
    def finish(p, i, acc, log_spots):
        vanilla = max(p.option_type[i] * (math.exp(log_spots[0]) - p.strike[i]), 0.0)
        knock_in = (p.barrier_type[i] == 1.0) or (p.barrier_type[i] == 3.0)
        late = (p.rebate_timing[i] == 0.0) or knock_in
        alive = 1.0 - acc[0] if knock_in else acc[0]
        return alive * vanilla + (1.0 - alive if late else acc[1]) * p.rebate[i]

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        side = alive_sides(p.barrier_type, xp)
        out = reflection.knock_out(
            lambda at, low, high: lognormal.vanilla_within(
                p.option_type, p.strike, low, high, at, xp, special
            ),
            side,
            p.barrier,
            law,
            xp,
        )
        alive = reflection.knock_out(
            lambda at, low, high: lognormal.within(lognormal.cash, low, high, at, xp, special),
            side,
            p.barrier,
            law,
            xp,
        )
        knock_in = (p.barrier_type == 1.0) | (p.barrier_type == 3.0)
        dead = xp.where(
            p.rebate_timing == 0.0,
            law.discount - alive,
            reflection.touch(side, p.barrier, law, xp, special),
        )
        dead = xp.where(p.rebate == 0.0, 0.0, p.rebate * dead)
        price = xp.where(
            knock_in,
            lognormal.vanilla(p.option_type, p.strike, law, xp, special) - out + p.rebate * alive,
            out + dead,
        )
        return xp.where((p.monitoring == 0.0) & law.flat, price, xp.nan)

    @staticmethod
    def warn(p: Any) -> np.ndarray | None:
        return already_hit(alive_sides(p.barrier_type, np) * (p.spot - p.barrier) >= 0.0)
