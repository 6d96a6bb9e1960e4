"""Forward start: an option whose strike is set by the price at a later date."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, call_or_put, positive, years
from gpuquant.payoffs import lognormal
from gpuquant.payoffs.base import Payoff


@dataclass(frozen=True)
class ForwardStart(Payoff):
    """A call or put at maturity with strike = moneyness x the price at `reset_time`.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    moneyness : Column, shape (n,)
        Strike over the price at the reset; > 0.
    reset_time : Column, shape (n,)
        Years from today; > 0 and before the maturity.
    maturity : Column, shape (n,)
        Years from today; 0 is now.

    References
    ----------
    Rubinstein (1990).
    """

    option_type: Column = call_or_put()
    moneyness: Column = positive(default=1.0)
    reset_time: Column = years(sample=0.5)

    times = ("reset_time",)
    differentiable = "always"

    @staticmethod
    def observe(p, i, acc, log_spots, k):
        return (log_spots[0] if k == 0.0 else acc[0],)

    @staticmethod
    def finish(p, i, acc, log_spots):
        return max(
            p.option_type[i] * (math.exp(log_spots[0]) - p.moneyness[i] * math.exp(acc[0])), 0.0
        )

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        reset = law.until(p.reset_time)
        return (
            reset.discount
            * reset.forward
            * lognormal.vanilla(
                p.option_type, p.moneyness, law.after(p.reset_time, 1.0), xp, special
            )
        )

    @staticmethod
    def refuse(p: Any) -> np.ndarray | None:
        return np.where(
            p.reset_time >= p.maturity,
            "reset_time >= maturity: the strike must be set before the option ends",
            "",
        )
