"""Rainbow: an option on the highest or lowest of several prices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpuquant.data.domains import Column, call_or_put, choice, positive
from gpuquant.payoffs import lognormal
from gpuquant.payoffs.base import Payoff


@dataclass(frozen=True)
class Rainbow(Payoff):
    """max(sign (B - strike), 0), B the highest or lowest price at maturity.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    best : Column, shape (n,)
        highest or lowest.
    strike : Column, shape (n,)
        In currency units; > 0.
    maturity : Column, shape (n,)
        Years from today; 0 is now.

    Notes
    -----
    For two assets the price is a quadrature over the first price, with formulas for the options on
    the second.

    References
    ----------
    Stulz (1982).
    """

    option_type: Column = call_or_put()
    best: Column = choice("highest", "lowest", codes=(1.0, -1.0))
    strike: Column = positive(sample=100.0)

    assets = 0
    differentiable = "always"

    @staticmethod
    def finish(p, i, acc, log_spots):
        best = p.best[i] * log_spots[0]
        for j in range(len(log_spots)):
            best = max(best, p.best[i] * log_spots[j])
        return max(p.option_type[i] * (math.exp(p.best[i] * best) - p.strike[i]), 0.0)

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        if law.spots.shape[1] != 2:
            return xp.full(len(law.discount), xp.nan)
        call = p.option_type > 0.0

        def left(price: Any) -> Any:
            second = law.second_given(price, xp)

            def option(strike: Any) -> Any:
                return lognormal.black(
                    p.option_type, second.forward, strike, second.variance, 1.0, xp, special
                )

            # A call on the highest price and a put on the lowest pay the larger of the two payoffs
            # on one asset. The other two options pay the smaller.
            either = xp.maximum(p.option_type * (price - p.strike), 0.0) + option(
                xp.where(call, xp.maximum(price, p.strike), xp.minimum(price, p.strike))
            )
            both = xp.where(
                p.option_type * (price - p.strike) > 0.0, option(p.strike) - option(price), 0.0
            )
            return xp.where(p.option_type == p.best, either, both)

        return lognormal.expected(left, law.first(xp), xp, splits=(p.strike,))
