"""One-touch: a fixed amount if the price reaches a level."""

from __future__ import annotations

from dataclasses import dataclass

from gpuquant.columns import Column, choice, count, positive
from gpuquant.payoffs.base import Payoff, spared_at, spared_between


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
        return (acc[0] * spared_at(p.direction[i], p.barrier[i], log_spots[0]),)

    @staticmethod
    def between(p, i, acc, log0, log1, variance):
        return (acc[0] * spared_between(p.direction[i], p.barrier[i], log0[0], log1[0], variance),)

    @staticmethod
    def finish(p, i, acc, log_spots):
        return (1.0 - acc[0]) * p.cash[i]
