"""Digital: a fixed amount, or the asset itself, if the price ends beyond the strike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpuquant.data.domains import Column, call_or_put, choice, positive
from gpuquant.payoffs import lognormal
from gpuquant.payoffs.base import Payoff


@dataclass(frozen=True)
class Digital(Payoff):
    """`cash`, or S_T, where S_T > strike for a call, S_T < strike for a put.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    strike : Column, shape (n,)
        In currency units; > 0.
    maturity : Column, shape (n,)
        Years from today; 0 is now.
    pays : Column, shape (n,)
        cash or asset.
    cash : Column, shape (n,)
        Amount paid where `pays` is cash, in currency units; > 0.

    References
    ----------
    Reiner and Rubinstein (1991), binary options.
    """

    option_type: Column = call_or_put()
    strike: Column = positive(sample=100.0)
    pays: Column = choice("cash", "asset", default="cash")
    cash: Column = positive(default=1.0)

    kinks = ("strike",)

    @staticmethod
    def finish(p, i, acc, log_spots):
        spot = math.exp(log_spots[0])
        amount = p.cash[i] if p.pays[i] == 0.0 else spot
        return amount if p.option_type[i] * (spot - p.strike[i]) > 0.0 else 0.0

    @staticmethod
    def transform(p: Any, u: Any, forward: Any, xp: Any) -> Any:
        wave = xp.exp((0.5 + 1j * u) * xp.log(forward / p.strike))
        fixed = p.cash * wave / (0.5 + 1j * u)
        return p.option_type * xp.where(p.pays == 0.0, fixed, -p.strike * wave / (0.5 - 1j * u))

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        fixed = p.cash * lognormal.cash(p.option_type, p.strike, law, xp, special)
        return xp.where(
            p.pays == 0.0, fixed, lognormal.asset(p.option_type, p.strike, law, xp, special)
        )
