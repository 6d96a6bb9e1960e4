"""One-touch: a fixed amount if the price reaches a level."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpuquant.columns import Column, choice, count, positive
from gpuquant.payoffs.base import Payoff


@dataclass(frozen=True)
class OneTouch(Payoff):
    """`cash` at maturity if the price has touched `barrier`, watched at T k/n, k = 1..n, or continuously by a Brownian bridge.

    Parameters
    ----------
    barrier : Column, shape (n,)
        In currency units; > 0.
    direction : Column, shape (n,)
        down or up: the side from which the barrier is reached.
    maturity : Column, shape (n,)
        Years from today; > 0.
    cash : Column, shape (n,)
        Amount paid, in currency units; > 0.
    monitoring : Column, shape (n,)
        continuous or discrete.
    observations : Column, shape (n,)
        Dates of discrete monitoring; a whole number >= 1.

    References
    ----------
    Reiner and Rubinstein (1991), binary barriers; Glasserman (2003), section 6.4 for the bridge.
    """

    barrier: Column = positive(sample=80.0)
    direction: Column = choice("down", "up", codes=(-1.0, 1.0))
    maturity: Column = positive()
    cash: Column = positive(default=1.0)
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
        gap = p.direction[i] * (math.log(p.barrier[i]) - log_spots[0])
        return (acc[0] if gap > 0.0 else 0.0,)

    @staticmethod
    def between(p, i, acc, log0, log1, variance):
        level = math.log(p.barrier[i])
        before = max(p.direction[i] * (level - log0[0]), 0.0)
        after = max(p.direction[i] * (level - log1[0]), 0.0)
        return (acc[0] * (1.0 - math.exp(-2.0 * before * after / max(variance, 1e-30))),)

    @staticmethod
    def finish(p, i, acc, log_spots):
        return (1.0 - acc[0]) * p.cash[i]
