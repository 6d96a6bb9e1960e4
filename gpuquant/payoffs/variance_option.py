"""Variance option: an option on realised variance."""

from __future__ import annotations

from dataclasses import dataclass

from gpuquant.data.domains import Column, call_or_put, positive
from gpuquant.payoffs.base import Payoff, Realised


@dataclass(frozen=True)
class VarianceOption(Realised):
    """notional x max(sign (realised variance - strike), 0), with the variance per year of the log
    price, or of its returns over T k/n, k = 1..n.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    strike : Column, shape (n,)
        A variance per year; > 0.
    maturity : Column, shape (n,)
        Years from today; 0 is now.
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
    notional: Column = positive(default=1.0)

    differentiable = "always"

    @classmethod
    def controls(cls, fixed: dict[str, float]) -> tuple[tuple[type[Payoff], dict[str, float]], ...]:
        return ()  # the strike is no price

    @staticmethod
    def finish(p, i, acc, log_spots):
        return p.notional[i] * max(p.option_type[i] * (acc[1] / p.maturity[i] - p.strike[i]), 0.0)
