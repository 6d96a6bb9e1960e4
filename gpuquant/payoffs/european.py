"""European: a call or a put at maturity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from gpuquant.data.domains import Column, call_or_put, positive
from gpuquant.payoffs import lognormal
from gpuquant.payoffs.base import Payoff


@dataclass(frozen=True)
class European(Payoff):
    """max(S_T - strike, 0) for a call, max(strike - S_T, 0) for a put.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    strike : Column, shape (n,)
        In currency units; > 0.
    maturity : Column, shape (n,)
        Years from today; 0 is now.

    References
    ----------
    Black and Scholes (1973); Black (1976).
    """

    option_type: Column = call_or_put()
    strike: Column = positive(sample=100.0)

    vanilla: ClassVar[bool] = True

    @staticmethod
    def finish(p, i, acc, log_spots):
        return max(p.option_type[i] * (math.exp(log_spots[0]) - p.strike[i]), 0.0)

    @staticmethod
    def transform(p: Any, u: Any, forward: Any, xp: Any) -> Any:
        return (
            -xp.sqrt(forward * p.strike)
            * xp.exp(1j * u * xp.log(forward / p.strike))
            / (u * u + 0.25)
        )

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        return lognormal.vanilla(p.option_type, p.strike, law, xp, special)
