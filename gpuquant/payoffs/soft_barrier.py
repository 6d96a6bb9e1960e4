"""Soft barrier: an option of which a share is knocked out or in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, call_or_put, choice, positive
from gpuquant.payoffs import lognormal, reflection
from gpuquant.payoffs.base import Payoff
from gpuquant.payoffs.monitoring import KINDS, alive_side, alive_sides, highest_between


@dataclass(frozen=True)
class SoftBarrier(Payoff):
    """A European option knocked out or in by the share of [lower, upper] that the price's extreme
    has reached, watched continuously.

    The value is the mean of the values of barrier options over the levels of the range.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    barrier_type : Column, shape (n,)
        down-and-out, down-and-in, up-and-out or up-and-in.
    strike : Column, shape (n,)
        In currency units; > 0.
    lower, upper : Column, shape (n,)
        Ends of the range, in currency units; > 0. Equal ends make a barrier option.
    maturity : Column, shape (n,)
        Years from today; 0 is now.

    References
    ----------
    Hart and Ross (1994).
    """

    option_type: Column = call_or_put()
    barrier_type: Column = choice(*KINDS)
    strike: Column = positive(sample=100.0)
    lower: Column = positive(sample=85.0)
    upper: Column = positive(sample=95.0)

    levels = ("lower", "upper")
    uniforms = 1
    differentiable = "watched"

    @classmethod
    def continuous_monitoring(cls, fixed: dict[str, float]) -> bool:
        return True

    @staticmethod
    def start(p, i, log_spots):
        return (log_spots[0],)

    @staticmethod
    def observe_bridge(p, i, acc, log0, log1, bridge, k, growth, w):
        side = alive_side(p.barrier_type[i])
        return (
            side * max(side * acc[0], side * highest_between(side, log0[0], log1[0], bridge, w[0])),
        )

    @staticmethod
    def finish(p, i, acc, log_spots):
        side = alive_side(p.barrier_type[i])
        level = math.exp(acc[0])
        near, far = (p.lower[i], p.upper[i]) if side > 0.0 else (p.upper[i], p.lower[i])
        reached = side * (level - near)
        share = min(max(reached / max(side * (far - near), 1e-12), 0.0), 1.0)
        knock_in = (p.barrier_type[i] == 1.0) or (p.barrier_type[i] == 3.0)
        return (share if knock_in else 1.0 - share) * max(
            p.option_type[i] * (math.exp(log_spots[0]) - p.strike[i]), 0.0
        )

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        side = alive_sides(p.barrier_type, xp)

        def out(level: Any) -> Any:
            return reflection.knock_out(
                lambda at, low, high: lognormal.vanilla_within(
                    p.option_type, p.strike, low, high, at, xp, special
                ),
                side,
                level,
                law,
                xp,
            )

        mean = lognormal.average(out, p.lower, p.upper, xp, splits=(p.strike, law.spot))
        knock_in = (p.barrier_type == 1.0) | (p.barrier_type == 3.0)
        price = xp.where(
            knock_in, lognormal.vanilla(p.option_type, p.strike, law, xp, special) - mean, mean
        )
        return xp.where((p.lower <= p.upper) & law.flat, price, xp.nan)

    @staticmethod
    def refuse(p: Any) -> np.ndarray | None:
        return np.where(
            p.lower > p.upper, "lower > upper: the range of the barrier must not be negative", ""
        )
