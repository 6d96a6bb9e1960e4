"""Double touch: a fixed amount that depends on whether and where the price leaves a corridor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, choice, positive
from gpuquant.payoffs import lognormal, reflection
from gpuquant.payoffs.base import Payoff
from gpuquant.payoffs.monitoring import already_hit, bridge_survival_probability, spared_by_both


@dataclass(frozen=True)
class DoubleTouch(Payoff):
    """Pays `cash`, depending on which of two levels the price touches; watched continuously.

    - knock-out (double no-touch): at maturity, if neither is touched; knock-in: at maturity, if
      either is;
    - kiko: at once, if `lower` is touched before `upper`; koki: at once, if `upper` is touched
      before `lower`.

    If the spot is already beyond a level, the amount due for that touch is paid today.

    Parameters
    ----------
    barrier_type : Column, shape (n,)
        knock-out, knock-in, kiko or koki.
    lower, upper : Column, shape (n,)
        In currency units; > 0.
    maturity : Column, shape (n,)
        Years from today; 0 is now.
    cash : Column, shape (n,)
        Amount paid, in currency units; > 0.

    Notes
    -----
    A simulation splits the probability of leaving the corridor within a step between the two
    levels, in proportion to the probabilities of touching each level alone.

    References
    ----------
    Hui (1996), one-touch double barrier binary options; here as sums of images, which converge for
    short maturities too.
    """

    barrier_type: Column = choice("knock-out", "knock-in", "kiko", "koki")
    lower: Column = positive(sample=80.0)
    upper: Column = positive(sample=125.0)
    cash: Column = positive(default=1.0)

    levels = ("lower", "upper")
    kinks = ()
    differentiable = "watched"

    @classmethod
    def continuous_monitoring(cls, fixed: dict[str, float]) -> bool:
        return True

    @staticmethod
    def start(p, i, log_spots, growth):
        down = log_spots[0] <= math.log(p.lower[i])
        up = log_spots[0] >= math.log(p.upper[i])
        now = down if p.barrier_type[i] == 2.0 else (up if p.barrier_type[i] == 3.0 else down or up)
        return (0.0 if down or up else 1.0, growth if now else 0.0)

    @staticmethod
    def observe_bridge(p, i, acc, log0, log1, bridge, k, growth):
        alive = acc[0] * spared_by_both(p.lower[i], p.upper[i], log0[0], log1[0], bridge)
        down = 1.0 - bridge_survival_probability(-1.0, p.lower[i], log0[0], log1[0], bridge)
        up = 1.0 - bridge_survival_probability(1.0, p.upper[i], log0[0], log1[0], bridge)
        first = down if p.barrier_type[i] == 2.0 else up
        paid = growth * first / max(down + up, 1e-30) if p.barrier_type[i] > 1.0 else 1.0
        return (alive, acc[1] + (acc[0] - alive) * paid)

    @staticmethod
    def finish(p, i, acc, log_spots):
        return p.cash[i] * (acc[0] if p.barrier_type[i] == 0.0 else acc[1])

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        alive = reflection.double_knock_out(
            lambda at: lognormal.within(lognormal.cash, p.lower, p.upper, at, xp, special),
            p.lower,
            p.upper,
            law,
            xp,
        )
        first = reflection.touch_first(
            xp.where(p.barrier_type == 2.0, -1.0, 1.0), p.lower, p.upper, law, xp, special
        )
        either = xp.where((law.spot <= p.lower) | (law.spot >= p.upper), 1.0, law.discount - alive)
        price = xp.where(
            p.barrier_type == 0.0, alive, xp.where(p.barrier_type == 1.0, either, first)
        )
        return xp.where((p.lower < p.upper) & law.flat, p.cash * price, xp.nan)

    @staticmethod
    def refuse(p: Any) -> np.ndarray | None:
        return np.where(
            p.lower >= p.upper, "lower >= upper: the lower barrier must lie below the upper", ""
        )

    @staticmethod
    def warn(p: Any) -> np.ndarray | None:
        return already_hit((p.spot <= p.lower) | (p.spot >= p.upper))
