"""Partial barrier: a barrier that lives in a part of the option's life."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, call_or_put, choice, positive, years
from gpuquant.payoffs import lognormal, reflection
from gpuquant.payoffs.base import Payoff
from gpuquant.payoffs.monitoring import KINDS, alive_side, alive_sides, bridge_survival_probability


@dataclass(frozen=True)
class PartialBarrier(Payoff):
    """A European option knocked out or in by a barrier that is live in a window, watched
    continuously.

    - start: live over [0, window_time];
    - end: live over [window_time, T]; a price beyond the barrier at `window_time` has touched it;
    - crossing: live over [window_time, T]; it is touched from the side on which the price stands at
      `window_time`.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    barrier_type : Column, shape (n,)
        down-and-out, down-and-in, up-and-out or up-and-in; in a crossing window down and up are the
        same.
    window : Column, shape (n,)
        start, end or crossing.
    window_time : Column, shape (n,)
        Years from today; > 0 and at most the maturity.
    strike : Column, shape (n,)
        In currency units; > 0.
    barrier : Column, shape (n,)
        In currency units; > 0.
    maturity : Column, shape (n,)
        Years from today; 0 is now.

    References
    ----------
    Heynen and Kat (1994), types A, B2 and B1. The price here is the expectation, over the
    price at `window_time`, of the value of the remaining option.
    """

    option_type: Column = call_or_put()
    barrier_type: Column = choice(*KINDS)
    window: Column = choice("start", "end", "crossing")
    window_time: Column = years(sample=0.5)
    strike: Column = positive(sample=100.0)
    barrier: Column = positive(sample=80.0)

    levels = ("barrier",)

    times = ("window_time",)
    differentiable = "watched"

    @classmethod
    def continuous_monitoring(cls, fixed: dict[str, float]) -> bool:
        return True

    @staticmethod
    def start(p, i):
        return (1.0, alive_side(p.barrier_type[i]))

    @staticmethod
    def observe(p, i, acc, log_spots, k):
        above = log_spots[0] > math.log(p.barrier[i])
        return (acc[0], (-1.0 if above else 1.0) if p.window[i] == 2.0 else acc[1])

    @staticmethod
    def observe_bridge(p, i, acc, log0, log1, bridge, k):
        live = (k == 0.0) if p.window[i] == 0.0 else (k > 0.0)
        return (
            acc[0]
            * (
                bridge_survival_probability(acc[1], p.barrier[i], log0[0], log1[0], bridge)
                if live
                else 1.0
            ),
            acc[1],
        )

    @staticmethod
    def finish(p, i, acc, log_spots):
        vanilla = max(p.option_type[i] * (math.exp(log_spots[0]) - p.strike[i]), 0.0)
        knock_in = (p.barrier_type[i] == 1.0) or (p.barrier_type[i] == 3.0)
        return (1.0 - acc[0] if knock_in else acc[0]) * vanilla

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        side = alive_sides(p.barrier_type, xp)
        early = law.until(p.window_time)

        def spared(spot: Any, side: Any) -> Any:
            rest = law.after(p.window_time, spot)
            return reflection.knock_out(
                lambda at, low, high: lognormal.vanilla_within(
                    p.option_type, p.strike, low, high, at, xp, special
                ),
                side,
                p.barrier,
                rest,
                xp,
            )

        def end(spot: Any) -> Any:
            here = xp.where(spot > p.barrier, -1.0, 1.0)
            return spared(spot, xp.where(p.window == 2.0, here, side))

        def start(at: Any, low: Any, high: Any) -> Any:
            def left(spot: Any) -> Any:
                return lognormal.vanilla(
                    p.option_type, p.strike, law.after(p.window_time, spot), xp, special
                )

            return lognormal.expected(left, at, xp, splits=(p.strike,), low=low, high=high)

        later = lognormal.expected(end, early, xp, splits=(p.strike, p.barrier))
        out = xp.where(
            p.window == 0.0, reflection.knock_out(start, side, p.barrier, early, xp), later
        )
        knock_in = (p.barrier_type == 1.0) | (p.barrier_type == 3.0)
        price = xp.where(
            knock_in, lognormal.vanilla(p.option_type, p.strike, law, xp, special) - out, out
        )
        return xp.where(
            (p.window_time < p.maturity) & (law.variance > 0.0) & law.flat, price, xp.nan
        )

    @staticmethod
    def refuse(p: Any) -> np.ndarray | None:
        return np.where(
            p.window_time > p.maturity,
            "window_time > maturity: the window must begin or end before the option does",
            "",
        )
