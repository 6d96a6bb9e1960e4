"""Asian: an option on the average price over fixing dates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpuquant.columns import Column, call_or_put, choice, count, positive
from gpuquant.payoffs.base import Payoff, black


@dataclass(frozen=True)
class Asian(Payoff):
    """A call or put on the average A of the prices at T k/n, k = 1..n: max(A - strike, 0) or max(strike - A, 0).

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    strike : Column, shape (n,)
        In currency units; > 0.
    maturity : Column, shape (n,)
        Years from today; > 0.
    fixings : Column, shape (n,)
        Number of fixing dates; a whole number >= 1.
    average : Column, shape (n,)
        arithmetic or geometric.

    References
    ----------
    Kemna and Vorst (1990) for the geometric average; Glasserman (2003), section 3.2.2.
    """

    option_type: Column = call_or_put()
    strike: Column = positive(sample=100.0)
    maturity: Column = positive()
    fixings: Column = count()
    average: Column = choice("arithmetic", "geometric", default="arithmetic", fixed=True)

    dates = "fixings"

    @staticmethod
    def start(p, i):
        return (0.0,)

    @staticmethod
    def observe(p, i, acc, log_spots, k):
        return (acc[0] + (math.exp(log_spots[0]) if p.average[i] == 0.0 else log_spots[0]),)

    @staticmethod
    def finish(p, i, acc, log_spots):
        mean = acc[0] / p.fixings[i]
        mean = mean if p.average[i] == 0.0 else math.exp(mean)
        return max(p.option_type[i] * (mean - p.strike[i]), 0.0)

    @staticmethod
    def closed(p: Any, facts: Any, xp: Any, special: Any) -> Any:
        # log of the geometric mean is normal: its mean and variance are sums over the n fixings
        n = p.fixings
        carry = xp.log(facts.forward / facts.spot)
        mean = xp.log(facts.spot) + (carry - 0.5 * facts.variance) * (n + 1.0) / (2.0 * n)
        variance = facts.variance * (n + 1.0) * (2.0 * n + 1.0) / (6.0 * n * n)
        price = black(p.option_type, xp.exp(mean + 0.5 * variance), p.strike, variance, facts.discount, xp, special)
        return xp.where((p.average == 1.0) | (n == 1.0), price, xp.nan)
