"""Compound: an option on an option."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, call_or_put, positive, years
from gpuquant.payoffs import lognormal
from gpuquant.payoffs.base import Payoff


@dataclass(frozen=True)
class Compound(Payoff):
    """The right to buy (call) or sell (put), at `exercise_time` for `strike`, a vanilla option that
    ends at `maturity`.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put, of the right.
    strike : Column, shape (n,)
        Of the right, in currency units; > 0.
    exercise_time : Column, shape (n,)
        Of the right, years from today; > 0 and before the maturity.
    underlying_type : Column, shape (n,)
        call or put, of the option it is on.
    underlying_strike : Column, shape (n,)
        Of the option it is on, in currency units; > 0.
    maturity : Column, shape (n,)
        Of the option it is on, years from today; > 0.

    Notes
    -----
    The right is on an option price, which a path does not hold. So there is no simulation, only the
    formula for a lognormal price.

    References
    ----------
    Geske (1979). The price here is the expectation of the right's value over the price at
    `exercise_time`.
    """

    option_type: Column = call_or_put()
    strike: Column = positive(sample=5.0)
    exercise_time: Column = years(sample=0.5)
    underlying_type: Column = call_or_put()
    underlying_strike: Column = positive(sample=100.0)

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        def gain(spot: Any) -> Any:
            return p.option_type * (
                lognormal.vanilla(
                    p.underlying_type,
                    p.underlying_strike,
                    law.after(p.exercise_time, spot),
                    xp,
                    special,
                )
                - p.strike
            )

        early = law.until(p.exercise_time)
        even = lognormal.crossing(gain, *lognormal.reach(early, xp), xp)
        return lognormal.expected(
            lambda spot: xp.maximum(gain(spot), 0.0), early, xp, splits=(even,)
        )

    @staticmethod
    def refuse(p: Any) -> np.ndarray | None:
        return np.where(
            p.exercise_time >= p.maturity,
            "exercise_time >= maturity: the right must end before the option it is on",
            "",
        )
