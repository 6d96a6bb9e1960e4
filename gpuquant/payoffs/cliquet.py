"""Cliquet: the sum of the returns of equal periods, each and all between a floor and a cap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, integer, positive, real
from gpuquant.payoffs import lognormal
from gpuquant.payoffs.base import Payoff

MOST_PERIODS = 10_000  # the formula goes through them one by one


@dataclass(frozen=True)
class Cliquet(Payoff):
    """notional x clamp(sum over k of clamp(S_k / S_(k-1) - 1, local), global), with S_k the price
    at T k/n.

    Parameters
    ----------
    maturity : Column, shape (n,)
        Years from today; 0 is now.
    periods : Column, shape (n,)
        Number of returns; a whole number >= 1.
    local_floor, local_cap : Column, shape (n,)
        Of each return; -1 and 1e6 mean none.
    global_floor, global_cap : Column, shape (n,)
        Of their sum; -1e6 and 1e6 mean none.
    notional : Column, shape (n,)
        In currency units; > 0.

    References
    ----------
    Wilmott (2002), Cliquet options and volatility models. Without global bounds: a sum of
    forward-starting spreads.
    """

    periods: Column = integer(default=12)
    local_floor: Column = real(default=0.0, sample=0.0)
    local_cap: Column = real(default=1e6, sample=0.1)
    global_floor: Column = real(default=-1e6, sample=0.0)
    global_cap: Column = real(default=1e6, sample=0.5)
    notional: Column = positive(default=1.0)

    dates = "periods"
    differentiable = "always"

    @staticmethod
    def start(p, i, log_spots):
        return (log_spots[0], 0.0)

    @staticmethod
    def observe(p, i, acc, log_spots, k):
        earned = math.exp(log_spots[0] - acc[0]) - 1.0
        return (log_spots[0], acc[1] + min(max(earned, p.local_floor[i]), p.local_cap[i]))

    @staticmethod
    def finish(p, i, acc, log_spots):
        return p.notional[i] * min(max(acc[1], p.global_floor[i]), p.global_cap[i])

    @staticmethod
    def refuse(p: Any) -> np.ndarray | None:
        return np.where(p.periods > MOST_PERIODS, f"periods must be at most {MOST_PERIODS}", "")

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        total = 0.0
        for k in range(int(p.periods.max())):
            begin, end = (
                (p.maturity + p.passed) * number / p.periods - p.passed for number in (k, k + 1)
            )
            period = law.after(begin if k else 0.0 * begin, 1.0).until(end)  # the first has begun

            def beyond(level: Any, period: Any = period) -> Any:
                strike = xp.maximum(1.0 + level, 1e-12)
                return lognormal.black(
                    1.0, period.forward, strike, period.variance, 1.0, xp, special
                )

            earned = xp.maximum(p.local_floor, -1.0) + beyond(p.local_floor) - beyond(p.local_cap)
            total = total + xp.where(k < p.periods, earned, 0.0)
        free = (p.global_floor <= xp.maximum(p.local_floor, -1.0) * p.periods) & (
            p.global_cap >= p.local_cap * p.periods
        )
        free |= (p.global_floor == -1e6) & (p.global_cap == 1e6)
        return xp.where(free, p.notional * law.discount * total, xp.nan)
