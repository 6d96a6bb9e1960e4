"""Variance swap: realised variance against a fixed one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpuquant.data.domains import Column, nonnegative, positive
from gpuquant.payoffs.base import Realised


@dataclass(frozen=True)
class VarianceSwap(Realised):
    """notional x (realised variance - strike), with the variance per year of the log price, or of
    its returns over T k/n, k = 1..n.

    With strike 0 the price over the discount is the fair variance.

    Parameters
    ----------
    strike : Column, shape (n,)
        A variance per year; >= 0.
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
    Demeterfi, Derman, Kamal and Zou (1999).
    """

    strike: Column = nonnegative(default=0.0, sample=0.04)
    notional: Column = positive(default=1.0)

    differentiable = "always"

    @staticmethod
    def finish(p, i, acc, log_spots):
        return p.notional[i] * (acc[1] / p.maturity[i] - p.strike[i])

    @staticmethod
    def of_variance(p: Any, mean: Any, discount: Any, xp: Any) -> Any:
        return xp.where(
            p.monitoring == 0.0, p.notional * discount * (mean / p.maturity - p.strike), xp.nan
        )
