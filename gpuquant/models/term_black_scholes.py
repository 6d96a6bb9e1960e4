"""Black-Scholes with term structures: rates, dividends and volatility that are constant from
date to date.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.columns import counted
from gpuquant.data.domains import Column, list_of, nonnegative, positive, real, years
from gpuquant.models.base import Model
from gpuquant.models.laws import Lognormal


@dataclass(frozen=True)
class TermBlackScholes(Model):
    """dS = (r(t) - q(t)) S dt + sigma(t) S dW, simulated exactly in log space.

    The k-th value of a list holds from the knot before it (or from today) to `knots[k]`. The last
    value holds for ever. The values are instantaneous forward rates and volatilities: the rate of a
    maturity is the average of the rates up to it. The squared volatility of a maturity is the
    average of the squared volatilities.

    Parameters
    ----------
    spot : Column, shape (n,)
        Price today, in currency units; > 0.
    knots : Column of lists, shape (n, periods)
        Years from today at which the periods end; > 0, increasing.
    rates : Column of lists, shape (n, periods)
        Continuously compounded, per year.
    dividend_yields : Column of lists, shape (n, periods)
        Continuously compounded, per year.
    volatilities : Column of lists, shape (n, periods)
        Per square root of a year; >= 0.

    Notes
    -----
    Vega and rho are of parallel shifts.

    References
    ----------
    Merton (1973), Theory of rational option pricing, section 6; Hull (2018), section 20.
    """

    spot: Column = positive(sample=100.0)
    knots: Column = list_of(years(sample=0.5), increasing=True)
    rates: Column = list_of(real())
    dividend_yields: Column = list_of(real(sample=0.0))
    volatilities: Column = list_of(nonnegative())

    normals = 1
    times = ("knots",)
    vega_column = "volatilities"
    dividend_column = "dividend_yields"
    rate_column = "rates"
    differentiable = "always"

    @staticmethod
    def begin(m, i, dt, t):
        # what each period has in common with the step from t on
        lengths = tuple(
            max(
                (min(t + dt, m.knots[i][j]) if j < len(m.knots[i]) - 1 else t + dt)
                - (max(t, m.knots[i][j - 1]) if j > 0 else t),
                0.0,
            )
            for j in range(len(m.knots[i]))
        )
        variance = sum(
            m.volatilities[i][j] * m.volatilities[i][j] * lengths[j] for j in range(len(m.knots[i]))
        )
        drift = sum(
            (m.rates[i][j] - m.dividend_yields[i][j]) * lengths[j] for j in range(len(m.knots[i]))
        )
        return (drift - 0.5 * variance, math.sqrt(variance)), (math.log(m.spot[i]),)

    @staticmethod
    def step(c, x, z, u, k):
        return (x[0] + (c[0] + c[1] * z[0]),)

    @staticmethod
    def log_spots(x):
        return x

    @staticmethod
    def discount(m, i, t):
        return math.exp(
            -sum(
                m.rates[i][j]
                * max(
                    (min(t, m.knots[i][j]) if j < len(m.knots[i]) - 1 else t)
                    - (m.knots[i][j - 1] if j > 0 else 0.0),
                    0.0,
                )
                for j in range(len(m.knots[i]))
            )
        )

    @staticmethod
    def bridge(c, x0, x1):
        return (c[1] * c[1], c[1] * c[1], 0.0)

    @staticmethod
    def growth(m: Any, t: Any, xp: Any) -> Any:
        return xp.exp(_integral(m.rates - m.dividend_yields, m.knots, t, xp))

    @staticmethod
    def discount_factor(m: Any, t: Any, xp: Any) -> Any:
        return xp.exp(-_integral(m.rates, m.knots, t, xp))

    @staticmethod
    def lognormal(m: Any, t: Any, xp: Any) -> Lognormal:
        flat = m.knots.shape[1] == 1
        return Lognormal(
            m.spot,
            t,
            lambda s: TermBlackScholes.growth(m, s, xp),
            lambda s: _integral(m.volatilities**2, m.knots, s, xp),
            lambda s: TermBlackScholes.discount_factor(m, s, xp),
            flat,
        )

    @staticmethod
    def mean_variance(m: Any, t: Any, xp: Any, special: Any) -> Any:
        return _integral(m.volatilities**2, m.knots, t, xp)

    @property
    def volatile(self) -> np.ndarray:
        return np.asarray((self.volatilities > 0.0).any(axis=1))

    @staticmethod
    def refuse(m: Any) -> np.ndarray | None:
        periods = counted(m.knots)
        out = np.full(
            max(len(m.knots), len(m.rates), len(m.dividend_yields), len(m.volatilities)),
            "",
            dtype=object,
        )
        for name in ("rates", "dividend_yields", "volatilities"):
            length = counted(getattr(m, name))
            wrong = np.broadcast_to(length != periods, out.shape) & (out == "")
            out[wrong] = (
                f"{name} has {length[np.argmax(length != periods)]} values where knots "
                f"has {periods[np.argmax(length != periods)]}"
            )
        return out


def _integral(values: Any, knots: Any, t: Any, xp: Any) -> Any:
    """The integral from today to `t` of what is constant between knots, shape (n,)."""
    time = xp.broadcast_to(xp.asarray(t, dtype=float), (max(len(values), len(knots), np.size(t)),))[
        :, None
    ]
    before = xp.concatenate([xp.zeros_like(knots[:, :1]), knots[:, :-1]], axis=1)
    after = xp.concatenate([knots[:, :-1], xp.full_like(knots[:, :1], xp.inf)], axis=1)
    return (values * (xp.clip(time, before, after) - before)).sum(axis=1)
