"""Lookback: an option on the highest or lowest price of its life."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpuquant.data.domains import Column, call_or_put, optional, positive
from gpuquant.payoffs import reflection
from gpuquant.payoffs.base import Watched
from gpuquant.payoffs.monitoring import highest_between


@dataclass(frozen=True)
class Lookback(Watched):
    """Fixed strike: max(M - strike, 0) for a call, M the highest price; max(strike - m, 0) for a
    put, m the lowest.

    Watched at T k/n, k = 1..n, or continuously: then the extreme between two steps is drawn from
    its Brownian bridge.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call (on the highest price) or put (on the lowest).
    strike : Column, shape (n,)
        In currency units; > 0.
    maturity : Column, shape (n,)
        Years from today; 0 is now.
    running_extreme : Column, shape (n,)
        Highest (lowest) price so far, in currency units; today's where it is not given.
    monitoring : Column, shape (n,)
        continuous or discrete.
    observations : Column, shape (n,)
        Dates of discrete monitoring; a whole number >= 1.

    References
    ----------
    Conze and Viswanathan (1991).
    """

    option_type: Column = call_or_put()
    strike: Column = positive(sample=100.0)
    running_extreme: Column = optional()

    levels = ("running_extreme", "strike")
    uniforms = 1
    differentiable = "always"

    @staticmethod
    def start(p, i, log_spots):
        side = p.option_type[i]
        seen = side * math.log(p.running_extreme[i]) if p.running_extreme[i] > 0.0 else -1e4
        return (max(seen, side * log_spots[0]) if p.monitoring[i] == 0.0 else seen,)

    @staticmethod
    def observe(p, i, acc, log_spots, k):
        return (max(acc[0], p.option_type[i] * log_spots[0]),)

    @staticmethod
    def observe_bridge(p, i, acc, log0, log1, bridge, k, growth, w):
        side = p.option_type[i]
        return (max(acc[0], side * highest_between(side, log0[0], log1[0], bridge, w[0])),)

    @staticmethod
    def finish(p, i, acc, log_spots):
        return max(p.option_type[i] * (math.exp(p.option_type[i] * acc[0]) - p.strike[i]), 0.0)

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        side = p.option_type
        seen = reflection.running(side, p.running_extreme, law, xp)
        owed = law.discount * xp.maximum(side * (seen - p.strike), 0.0)
        price = owed + reflection.extreme(
            side,
            xp.where(side > 0.0, xp.maximum(seen, p.strike), xp.minimum(seen, p.strike)),
            law,
            xp,
            special,
        )
        return xp.where((p.monitoring == 0.0) & law.flat, price, xp.nan)
