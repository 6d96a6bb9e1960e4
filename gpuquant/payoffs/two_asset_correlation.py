"""Two-asset correlation: an option on one asset if another ends beyond a level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpuquant.data.domains import Column, call_or_put, positive
from gpuquant.payoffs import lognormal
from gpuquant.payoffs.base import Payoff


@dataclass(frozen=True)
class TwoAssetCorrelation(Payoff):
    """max(sign (S_2 - strike), 0) where sign (S_1 - trigger) > 0.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put, of both.
    trigger : Column, shape (n,)
        Of the first asset, in currency units; > 0.
    strike : Column, shape (n,)
        Of the second asset, in currency units; > 0.
    maturity : Column, shape (n,)
        Years from today; 0 is now.

    References
    ----------
    Zhang (1995). Here by quadrature over the first asset.
    """

    option_type: Column = call_or_put()
    trigger: Column = positive(sample=100.0)
    strike: Column = positive(sample=100.0)

    assets = 2

    @staticmethod
    def finish(p, i, acc, log_spots):
        pays = p.option_type[i] * (math.exp(log_spots[0]) - p.trigger[i]) > 0.0
        return max(p.option_type[i] * (math.exp(log_spots[1]) - p.strike[i]), 0.0) if pays else 0.0

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        low, high = (
            xp.where(p.option_type > 0.0, p.trigger, 0.0),
            xp.where(p.option_type > 0.0, xp.inf, p.trigger),
        )

        def left(price: Any) -> Any:
            return lognormal.vanilla(
                p.option_type, p.strike, law.second_given(price, xp), xp, special
            )

        return lognormal.expected(left, law.first(xp), xp, low=low, high=high)
