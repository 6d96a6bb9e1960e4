"""Quanto Black-Scholes: a foreign asset paid at a fixed rate of exchange."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpuquant.data.domains import Column, correlation, nonnegative, positive, real
from gpuquant.models.base import Model
from gpuquant.models.laws import Lognormal


@dataclass(frozen=True)
class QuantoBlackScholes(Model):
    """A lognormal foreign price under the domestic pricing measure; what it pays is converted one
    to one.

    dS = (foreign_rate - dividend_yield - correlation volatility fx_volatility) S dt + volatility S
    dW, discounted at `rate`.

    Parameters
    ----------
    spot : Column, shape (n,)
        Price today, in foreign units; > 0.
    rate : Column, shape (n,)
        Of the currency of payment, continuously compounded, per year.
    foreign_rate : Column, shape (n,)
        Of the asset's currency, continuously compounded, per year.
    dividend_yield : Column, shape (n,)
        Continuously compounded, per year.
    volatility : Column, shape (n,)
        Of the asset, per square root of a year; >= 0.
    fx_volatility : Column, shape (n,)
        Of the price of foreign currency, per square root of a year; >= 0.
    correlation : Column, shape (n,)
        Of the two; within [-1, 1].

    References
    ----------
    Reiner (1992), Quanto mechanics.
    """

    spot: Column = positive(sample=100.0)
    rate: Column = real()
    foreign_rate: Column = real()
    dividend_yield: Column = real(default=0.0)
    volatility: Column = nonnegative()
    fx_volatility: Column = nonnegative(sample=0.1)
    correlation: Column = correlation()

    normals = 1
    differentiable = "always"

    @staticmethod
    def begin(m, i, dt):
        vol = m.volatility[i]
        carry = (
            m.foreign_rate[i] - m.dividend_yield[i] - m.correlation[i] * vol * m.fx_volatility[i]
        )
        return ((carry - 0.5 * vol * vol) * dt, vol * math.sqrt(dt)), (math.log(m.spot[i]),)

    @staticmethod
    def step(c, x, z, u, k):
        drift, vol = c
        return (x[0] + (drift + vol * z[0]),)

    @staticmethod
    def log_spots(x):
        return x

    @staticmethod
    def discount(m, i, t):
        return math.exp(-m.rate[i] * t)

    @staticmethod
    def bridge(c, x0, x1):
        return (c[1] * c[1], c[1] * c[1], 0.0)

    @staticmethod
    def growth(m: Any, t: Any, xp: Any) -> Any:
        return xp.exp(
            (m.foreign_rate - m.dividend_yield - m.correlation * m.volatility * m.fx_volatility) * t
        )

    @staticmethod
    def mean_variance(m: Any, t: Any, xp: Any, special: Any) -> Any:
        return m.volatility * m.volatility * t

    @staticmethod
    def lognormal(m: Any, t: Any, xp: Any) -> Lognormal:
        square = m.volatility * m.volatility
        return Lognormal(
            m.spot,
            t,
            lambda s: QuantoBlackScholes.growth(m, s, xp),
            lambda s: square * s,
            lambda s: xp.exp(-m.rate * s),
        )
