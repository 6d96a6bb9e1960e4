"""Barrier: a vanilla option that is born or dies when the price touches a level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.columns import Column, call_or_put, choice, count, nonnegative, positive
from gpuquant.payoffs.base import Payoff, black, spared_at, spared_between


@dataclass(frozen=True)
class Barrier(Payoff):
    """A European option that is knocked out or in when the price touches `barrier`; `rebate` is paid at maturity in its stead.

    Watched at T k/n, k = 1..n, or continuously: then each path carries the probability that a Brownian bridge between its
    steps survives, which leaves no discretisation error under Black-Scholes.

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
        Years from today; > 0.
    rebate : Column, shape (n,)
        Paid at maturity when the option is dead, in currency units; >= 0.
    monitoring : Column, shape (n,)
        continuous or discrete.
    observations : Column, shape (n,)
        Dates of discrete monitoring; a whole number >= 1.

    References
    ----------
    Reiner and Rubinstein (1991); Glasserman (2003), section 6.4 for the bridge.
    """

    option_type: Column = call_or_put()
    barrier_type: Column = choice("down-and-out", "down-and-in", "up-and-out", "up-and-in")
    strike: Column = positive(sample=100.0)
    barrier: Column = positive(sample=80.0)
    maturity: Column = positive()
    rebate: Column = nonnegative(default=0.0)
    monitoring: Column = choice("continuous", "discrete", default="continuous", fixed=True)
    observations: Column = count(default=252)

    dates = "observations"

    @classmethod
    def bridged(cls, fixed: dict[str, float]) -> bool:
        return fixed["monitoring"] == 0.0

    @staticmethod
    def start(p, i):
        return (1.0,)

    @staticmethod
    def observe(p, i, acc, log_spots, k):
        side = 1.0 if p.barrier_type[i] >= 2.0 else -1.0
        return (acc[0] * spared_at(side, p.barrier[i], log_spots[0]),)

    @staticmethod
    def between(p, i, acc, log0, log1, variance):
        side = 1.0 if p.barrier_type[i] >= 2.0 else -1.0
        return (acc[0] * spared_between(side, p.barrier[i], log0[0], log1[0], variance),)

    @staticmethod
    def finish(p, i, acc, log_spots):
        vanilla = max(p.option_type[i] * (math.exp(log_spots[0]) - p.strike[i]), 0.0)
        knock_in = (p.barrier_type[i] == 1.0) or (p.barrier_type[i] == 3.0)
        alive = 1.0 - acc[0] if knock_in else acc[0]
        return alive * vanilla + (1.0 - alive) * p.rebate[i]

    @staticmethod
    def closed(p: Any, facts: Any, xp: Any, special: Any) -> Any:
        price = _reflection(p, facts, xp, special)
        return xp.where(p.monitoring == 0.0, price, xp.nan)

    @staticmethod
    def warn(p: Any) -> np.ndarray | None:
        return None


def _reflection(p: Any, facts: Any, xp: Any, special: Any) -> Any:
    """Continuously watched barrier by the reflection principle (Reiner and Rubinstein, 1991), rebate at maturity.

    With the image price S' = H^2/S and weight (H/S)^(2 mu), an in-the-region claim f is worth V_f(S) - weight V_f(S'), where f pays
    only beyond the barrier on the living side.
    """
    side = xp.where(p.barrier_type >= 2.0, 1.0, -1.0)  # +1: the living side is below the barrier
    level, strike, sign = p.barrier, p.strike, p.option_type
    carry = xp.log(facts.forward / facts.spot)
    image = level * level / facts.spot
    safe = xp.where(facts.variance > 0.0, facts.variance, 1.0)
    weight = xp.exp(xp.log(level / facts.spot) * (2.0 * carry / safe - 1.0))
    outside = side * (facts.spot - level) >= 0.0

    def inside(spot: Any) -> Any:
        """Value of the vanilla payoff where S_T is on the living side."""
        forward = spot * xp.exp(carry)
        return _truncated(sign, side, forward, strike, level, facts, xp, special)

    out = inside(facts.spot) - weight * inside(image)
    alive = _beyond(-side, facts.spot * xp.exp(carry), level, facts, xp, special) - weight * _beyond(-side, image * xp.exp(carry), level, facts, xp, special)
    out = xp.where(outside, 0.0, out)
    alive = xp.where(outside, 0.0, alive)
    # zero variance: the price moves along the forward curve and touches the barrier or does not
    still = facts.variance <= 0.0
    intrinsic = facts.discount * xp.maximum(sign * (facts.forward - strike), 0.0)
    reached = outside | (side * (facts.forward - level) >= 0.0)
    out = xp.where(still, xp.where(reached, 0.0, intrinsic), out)
    alive = xp.where(still, xp.where(reached, 0.0, facts.discount), alive)
    vanilla = black(sign, facts.forward, strike, facts.variance, facts.discount, xp, special)
    knock_in = (p.barrier_type == 1.0) | (p.barrier_type == 3.0)
    return xp.where(knock_in, vanilla - out + p.rebate * alive, out + p.rebate * (facts.discount - alive))


def _beyond(side: Any, forward: Any, level: Any, facts: Any, xp: Any, special: Any) -> Any:
    """Value of 1 paid where side (S_T - level) > 0."""
    deviation = xp.sqrt(xp.where(facts.variance > 0.0, facts.variance, 1.0))
    return facts.discount * special.ndtr(side * (xp.log(forward / level) / deviation - 0.5 * deviation))


def _truncated(sign: Any, side: Any, forward: Any, strike: Any, level: Any, facts: Any, xp: Any, special: Any) -> Any:
    """Value of max(sign (S_T - strike), 0) paid where S_T is below the level (side = 1) or above it (side = -1)."""
    deviation = xp.sqrt(xp.where(facts.variance > 0.0, facts.variance, 1.0))

    def spread(bound: Any, direction: Any) -> Any:
        """Value of S_T - strike paid where direction (S_T - bound) > 0."""
        d1 = xp.log(forward / bound) / deviation + 0.5 * deviation
        return facts.discount * (forward * special.ndtr(direction * d1) - strike * special.ndtr(direction * (d1 - deviation)))

    # exercised where sign (S - K) > 0, alive where side (H - S) > 0: one interval, possibly empty, possibly with two ends
    same = sign == -side  # both conditions bound S from the same side
    tighter = xp.where(sign > 0.0, xp.maximum(strike, level), xp.minimum(strike, level))
    one_end = sign * spread(tighter, sign)
    two_ends = xp.where(sign * (level - strike) > 0.0, sign * (spread(strike, sign) - spread(level, sign)), 0.0)
    return xp.where(same, one_end, two_ends)
