"""Lookback: an option on the highest or lowest price of its life."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpuquant.columns import Column, call_or_put, count, positive
from gpuquant.payoffs.base import Payoff


@dataclass(frozen=True)
class Lookback(Payoff):
    """Fixed strike: max(highest - strike, 0) for a call, max(strike - lowest, 0) for a put, over the prices at T k/n, k = 1..n.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call (on the highest price) or put (on the lowest).
    strike : Column, shape (n,)
        In currency units; > 0.
    maturity : Column, shape (n,)
        Years from today; > 0.
    observations : Column, shape (n,)
        Number of dates; a whole number >= 1.

    References
    ----------
    Conze and Viswanathan (1991).
    """

    option_type: Column = call_or_put()
    strike: Column = positive(sample=100.0)
    maturity: Column = positive()
    observations: Column = count(default=252)

    dates = "observations"

    @staticmethod
    def start(p, i):
        return (-1e4,)

    @staticmethod
    def observe(p, i, acc, log_spots, k):
        return (max(acc[0], p.option_type[i] * log_spots[0]),)

    @staticmethod
    def finish(p, i, acc, log_spots):
        extreme = math.exp(p.option_type[i] * acc[0])
        return max(p.option_type[i] * (extreme - p.strike[i]), 0.0)
