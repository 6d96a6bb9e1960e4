"""Gap: an option with one level for the exercise and another for the amount paid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpuquant.data.domains import Column, call_or_put, positive
from gpuquant.payoffs import lognormal
from gpuquant.payoffs.base import Payoff


@dataclass(frozen=True)
class Gap(Payoff):
    """S_T - strike where S_T > trigger for a call, strike - S_T where S_T < trigger for a put; may
    be negative.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    strike : Column, shape (n,)
        What is paid for the asset, in currency units; > 0.
    trigger : Column, shape (n,)
        The level that decides, in currency units; > 0.
    maturity : Column, shape (n,)
        Years from today; 0 is now.

    References
    ----------
    Reiner and Rubinstein (1991), binary options.
    """

    option_type: Column = call_or_put()
    strike: Column = positive(sample=100.0)
    trigger: Column = positive(sample=105.0)

    kinks = ("trigger",)

    @staticmethod
    def finish(p, i, acc, log_spots):
        spot = math.exp(log_spots[0])
        return (
            p.option_type[i] * (spot - p.strike[i])
            if p.option_type[i] * (spot - p.trigger[i]) > 0.0
            else 0.0
        )

    @staticmethod
    def transform(p: Any, u: Any, forward: Any, xp: Any) -> Any:
        wave = xp.exp((0.5 + 1j * u) * xp.log(forward / p.trigger))
        return -wave * (p.trigger / (0.5 - 1j * u) + p.strike / (0.5 + 1j * u))

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        asset = lognormal.asset(p.option_type, p.trigger, law, xp, special)
        return p.option_type * (
            asset - p.strike * lognormal.cash(p.option_type, p.trigger, law, xp, special)
        )
