"""Variance option: an option on realised variance."""

from __future__ import annotations

from dataclasses import dataclass

from gpuquant.columns import Column, call_or_put, choice, count, positive, years
from gpuquant.payoffs.base import Payoff


@dataclass(frozen=True)
class VarianceOption(Payoff):
    """notional x max(sign (realised variance - strike), 0), per year: of the log price, or of its returns over T k/n, k = 1..n.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    strike : Column, shape (n,)
        A variance per year; > 0.
    maturity : Column, shape (n,)
        Years from today; > 0.
    notional : Column, shape (n,)
        In currency units per unit of variance; > 0.
    monitoring : Column, shape (n,)
        continuous (the integral of the variance) or discrete (the sum of squared log returns).
    observations : Column, shape (n,)
        Returns where it is discrete; a whole number >= 1.

    References
    ----------
    Carr and Lee (2009), Volatility derivatives.
    """

    option_type: Column = call_or_put()
    strike: Column = positive(sample=0.04)
    maturity: Column = years()
    notional: Column = positive(default=1.0)
    monitoring: Column = choice("continuous", "discrete", default="continuous", fixed=True)
    observations: Column = count(default=252)

    dates = "observations"

    @classmethod
    def bridged(cls, fixed: dict[str, float]) -> bool:
        return fixed["monitoring"] == 0.0

    @staticmethod
    def start(p, i, log_spots):
        return (log_spots[0], 0.0)

    @staticmethod
    def observe(p, i, acc, log_spots, k):
        move = log_spots[0] - acc[0]
        return (log_spots[0], acc[1] + move * move)

    @staticmethod
    def between(p, i, acc, log0, log1, variance):
        return (acc[0], acc[1] + variance)

    @staticmethod
    def finish(p, i, acc, log_spots):
        return p.notional[i] * max(p.option_type[i] * (acc[1] / p.maturity[i] - p.strike[i]), 0.0)
