"""Partial floating lookback: the asset against its extreme over the first part of its life."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, call_or_put, optional, positive, years
from gpuquant.payoffs import lognormal, reflection
from gpuquant.payoffs.base import Payoff
from gpuquant.payoffs.monitoring import highest_between


@dataclass(frozen=True)
class PartialFloatingLookback(Payoff):
    """max(S_T - share m, 0) for a call, max(share M - S_T, 0) for a put: m and M over [0,
    window_time], watched continuously.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call (against the lowest price) or put (against the highest).
    maturity : Column, shape (n,)
        Years from today; 0 is now.
    window_time : Column, shape (n,)
        When the watch ends, years from today; > 0 and at most the maturity.
    share : Column, shape (n,)
        Of the extreme, that is the strike; > 0.
    running_extreme : Column, shape (n,)
        Lowest (highest) price so far, in currency units; today's where it is not given.

    References
    ----------
    Heynen and Kat (1994). The price here is the expectation, over the extreme and the price at
    `window_time`, of the value of the remaining vanilla option.
    """

    option_type: Column = call_or_put()
    window_time: Column = years(sample=0.5)
    share: Column = positive(default=1.0)
    running_extreme: Column = optional()

    times = ("window_time",)
    uniforms = 1
    differentiable = "always"

    @classmethod
    def continuous_monitoring(cls, fixed: dict[str, float]) -> bool:
        return True

    @staticmethod
    def start(p, i, log_spots):
        side = -p.option_type[i]
        seen = side * math.log(p.running_extreme[i]) if p.running_extreme[i] > 0.0 else -1e4
        return (max(seen, side * log_spots[0]),)

    @staticmethod
    def observe_bridge(p, i, acc, log0, log1, bridge, k, growth, w):
        side = -p.option_type[i]
        return (
            max(acc[0], side * highest_between(side, log0[0], log1[0], bridge, w[0]))
            if k == 0.0
            else acc[0],
        )

    @staticmethod
    def finish(p, i, acc, log_spots):
        return max(
            p.option_type[i]
            * (math.exp(log_spots[0]) - p.share[i] * math.exp(-p.option_type[i] * acc[0])),
            0.0,
        )

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        side = -p.option_type
        seen = reflection.running(side, p.running_extreme, law, xp)
        early = law.until(p.window_time)

        def left(spot: Any, level: Any) -> Any:
            return lognormal.vanilla(
                p.option_type, p.share * level, law.after(p.window_time, spot), xp, special
            )

        price = lognormal.expected_with_extreme(left, side, seen, early, xp)
        return xp.where((p.window_time < p.maturity) & law.flat, price, xp.nan)

    @staticmethod
    def refuse(p: Any) -> np.ndarray | None:
        return np.where(
            p.window_time > p.maturity,
            "window_time > maturity: the watch must end before the option does",
            "",
        )
