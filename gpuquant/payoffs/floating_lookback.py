"""Floating lookback: the asset against its lowest or highest price."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpuquant.data.domains import Column, call_or_put, optional
from gpuquant.payoffs import reflection
from gpuquant.payoffs.base import Watched
from gpuquant.payoffs.monitoring import highest_between


@dataclass(frozen=True)
class FloatingLookback(Watched):
    """S_T - m for a call, m the lowest price; M - S_T for a put, M the highest.

    Watched at T k/n, k = 1..n, or continuously: then the extreme between two steps is drawn from
    its Brownian bridge.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call (against the lowest price) or put (against the highest).
    maturity : Column, shape (n,)
        Years from today; 0 is now.
    running_extreme : Column, shape (n,)
        Lowest (highest) price so far, in currency units; today's where it is not given.
    monitoring : Column, shape (n,)
        continuous or discrete.
    observations : Column, shape (n,)
        Dates of discrete monitoring; a whole number >= 1.

    References
    ----------
    Goldman, Sosin and Gatto (1979).
    """

    option_type: Column = call_or_put()
    running_extreme: Column = optional()

    levels = ("running_extreme",)
    uniforms = 1
    differentiable = "always"

    @staticmethod
    def start(p, i, log_spots):
        side = -p.option_type[i]
        seen = side * math.log(p.running_extreme[i]) if p.running_extreme[i] > 0.0 else -1e4
        return (max(seen, side * log_spots[0]) if p.monitoring[i] == 0.0 else seen,)

    @staticmethod
    def observe(p, i, acc, log_spots, k):
        return (max(acc[0], -p.option_type[i] * log_spots[0]),)

    @staticmethod
    def observe_bridge(p, i, acc, log0, log1, bridge, k, growth, w):
        side = -p.option_type[i]
        return (max(acc[0], side * highest_between(side, log0[0], log1[0], bridge, w[0])),)

    @staticmethod
    def finish(p, i, acc, log_spots):
        return p.option_type[i] * (math.exp(log_spots[0]) - math.exp(-p.option_type[i] * acc[0]))

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        seen = reflection.running(-p.option_type, p.running_extreme, law, xp)
        price = p.option_type * law.discount * (law.forward - seen) + reflection.extreme(
            -p.option_type, seen, law, xp, special
        )
        return xp.where((p.monitoring == 0.0) & law.flat, price, xp.nan)
