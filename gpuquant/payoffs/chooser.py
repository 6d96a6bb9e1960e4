"""Chooser: the right to choose, at a later date, between a call and a put."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, optional, positive, years
from gpuquant.payoffs import lognormal
from gpuquant.payoffs.base import Payoff


@dataclass(frozen=True)
class Chooser(Payoff):
    """max(call, put) at `choice_time`, of a call (strike, maturity) and a put (put_strike,
    put_maturity).

    Parameters
    ----------
    strike : Column, shape (n,)
        Of the call, in currency units; > 0.
    maturity : Column, shape (n,)
        Of the call, years from today; > 0.
    choice_time : Column, shape (n,)
        Years from today; > 0 and before both maturities.
    put_strike : Column, shape (n,)
        Of the put, in currency units; the call's where it is not given.
    put_maturity : Column, shape (n,)
        Of the put, years from today; the call's where it is not given.

    Notes
    -----
    The choice is between option prices, which a path does not hold. So there is no simulation, only
    the formula for a lognormal price.

    References
    ----------
    Rubinstein (1991), Options for the undecided. The price here is the expectation of the larger
    option value over the price at `choice_time`.
    """

    strike: Column = positive(sample=100.0)
    choice_time: Column = years(sample=0.5)
    put_strike: Column = optional()
    put_maturity: Column = optional(sample=1.0, is_time=True)

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        put_strike = xp.where(xp.isnan(p.put_strike), p.strike, p.put_strike)
        put_law = law.until(xp.where(xp.isnan(p.put_maturity), p.maturity, p.put_maturity))

        def call(spot: Any) -> Any:
            return lognormal.vanilla(1.0, p.strike, law.after(p.choice_time, spot), xp, special)

        def put(spot: Any) -> Any:
            return lognormal.vanilla(
                -1.0, put_strike, put_law.after(p.choice_time, spot), xp, special
            )

        early = law.until(p.choice_time)
        even = lognormal.crossing(
            lambda spot: call(spot) - put(spot), *lognormal.reach(early, xp), xp
        )
        return lognormal.expected(
            lambda spot: xp.maximum(call(spot), put(spot)), early, xp, splits=(even,)
        )

    @staticmethod
    def refuse(p: Any) -> np.ndarray | None:
        return np.where(
            (p.choice_time >= p.maturity) | (p.choice_time >= p.put_maturity),
            "choice_time is not before the maturity",
            "",
        )
