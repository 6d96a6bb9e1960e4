"""Partial lookback: an option on the highest or lowest price of the last part of its life."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, call_or_put, positive, years
from gpuquant.payoffs import lognormal, reflection
from gpuquant.payoffs.base import Payoff
from gpuquant.payoffs.monitoring import highest_between


@dataclass(frozen=True)
class PartialLookback(Payoff):
    """max(M - strike, 0) for a call, max(strike - m, 0) for a put: M and m over [window_time, T],
    watched continuously.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call (on the highest price) or put (on the lowest).
    strike : Column, shape (n,)
        In currency units; > 0.
    maturity : Column, shape (n,)
        Years from today; 0 is now.
    window_time : Column, shape (n,)
        When the watch begins, years from today; > 0 and at most the maturity.

    References
    ----------
    Heynen and Kat (1994). The price here is the expectation, over the price at `window_time`, of
    the value of the remaining lookback.
    """

    option_type: Column = call_or_put()
    strike: Column = positive(sample=100.0)
    window_time: Column = years(sample=0.5)

    times = ("window_time",)
    uniforms = 1
    differentiable = "always"

    @classmethod
    def continuous_monitoring(cls, fixed: dict[str, float]) -> bool:
        return True

    @staticmethod
    def start(p, i):
        return (-1e4,)

    @staticmethod
    def observe(p, i, acc, log_spots, k):
        return (max(acc[0], p.option_type[i] * log_spots[0]),)

    @staticmethod
    def observe_bridge(p, i, acc, log0, log1, bridge, k, growth, w):
        side = p.option_type[i]
        return (
            max(acc[0], side * highest_between(side, log0[0], log1[0], bridge, w[0]))
            if k > 0.0
            else acc[0],
        )

    @staticmethod
    def finish(p, i, acc, log_spots):
        return max(p.option_type[i] * (math.exp(p.option_type[i] * acc[0]) - p.strike[i]), 0.0)

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        side = p.option_type

        def left(spot: Any) -> Any:
            rest = law.after(p.window_time, spot)
            owed = rest.discount * xp.maximum(side * (spot - p.strike), 0.0)
            return owed + reflection.extreme(
                side,
                xp.where(side > 0.0, xp.maximum(spot, p.strike), xp.minimum(spot, p.strike)),
                rest,
                xp,
                special,
            )

        price = lognormal.expected(left, law.until(p.window_time), xp, splits=(p.strike,))
        return xp.where((p.window_time < p.maturity) & law.flat, price, xp.nan)

    @staticmethod
    def refuse(p: Any) -> np.ndarray | None:
        return np.where(
            p.window_time > p.maturity,
            "window_time > maturity: the watch must begin before the option ends",
            "",
        )
