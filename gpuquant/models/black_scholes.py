"""Black-Scholes: geometric Brownian motion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, nonnegative, positive, real
from gpuquant.models.base import Model
from gpuquant.models.laws import Lognormal
from gpuquant.models.windows import rolling_mean


@dataclass(frozen=True)
class BlackScholes(Model):
    """Lognormal spot under the pricing measure.

    dS = (rate - dividend_yield) S dt + volatility S dW, simulated exactly in log space.

    Parameters
    ----------
    spot : Column, shape (n,)
        Price today, in currency units; > 0.
    rate : Column, shape (n,)
        Continuously compounded, per year.
    dividend_yield : Column, shape (n,)
        Continuously compounded, per year.
    volatility : Column, shape (n,)
        Per square root of a year; >= 0.

    References
    ----------
    Black and Scholes (1973); Glasserman (2003), section 3.2.
    """

    spot: Column = positive(sample=100.0)
    rate: Column = real()
    dividend_yield: Column = real(default=0.0)
    volatility: Column = nonnegative()

    normals = 1
    differentiable = "always"

    @staticmethod
    def begin(m, i, dt):
        vol = m.volatility[i]
        drift = (m.rate[i] - m.dividend_yield[i] - 0.5 * vol * vol) * dt
        return (drift, vol * math.sqrt(dt)), (math.log(m.spot[i]),)

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
    def diffusion(m, i, t, x):
        square = m.volatility[i] * m.volatility[i]
        return (m.rate[i] - m.dividend_yield[i] - 0.5 * square, square)

    @staticmethod
    def lognormal(m: Any, t: Any, xp: Any) -> Lognormal:
        carry, square = m.rate - m.dividend_yield, m.volatility * m.volatility
        return Lognormal(
            m.spot,
            t,
            lambda s: xp.exp(carry * s),
            lambda s: square * s,
            lambda s: xp.exp(-m.rate * s),
        )

    @staticmethod
    def mean_variance(m: Any, t: Any, xp: Any, special: Any) -> Any:
        return m.volatility * m.volatility * t

    @staticmethod
    def calibrate_rolling(
        returns: np.ndarray, window: int, periods: float
    ) -> dict[str, np.ndarray]:
        return {"volatility": np.sqrt(rolling_mean(returns * returns, window) * periods)}
