"""Power option: on a power of the price."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, call_or_put, positive, real
from gpuquant.payoffs import lognormal
from gpuquant.payoffs.base import Payoff


@dataclass(frozen=True)
class PowerOption(Payoff):
    """max(sign (S_T^power - strike), 0).

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    strike : Column, shape (n,)
        Against the power of the price; > 0.
    power : Column, shape (n,)
        Any number but 0 makes sense.
    maturity : Column, shape (n,)
        Years from today; 0 is now.

    References
    ----------
    Heynen and Kat (1996), Pricing and hedging power options; Haug (2007), section 4.4.
    """

    option_type: Column = call_or_put()
    strike: Column = positive(sample=10_000.0)
    power: Column = real(default=2.0, sample=2.0)

    differentiable = "always"

    @classmethod
    def controls(cls, fixed: dict[str, float]) -> tuple[tuple[type[Payoff], dict[str, float]], ...]:
        return ()  # the strike is no price

    @staticmethod
    def finish(p, i, acc, log_spots):
        return max(p.option_type[i] * (math.exp(p.power[i] * log_spots[0]) - p.strike[i]), 0.0)

    @staticmethod
    def moment(p: Any) -> np.ndarray:
        return np.where(p.option_type > 0.0, p.power, 1.0)

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        # a power of a lognormal price is lognormal
        forward = law.forward**p.power * xp.exp(0.5 * p.power * (p.power - 1.0) * law.variance)
        return lognormal.black(
            p.option_type,
            forward,
            p.strike,
            p.power * p.power * law.variance,
            law.discount,
            xp,
            special,
        )
