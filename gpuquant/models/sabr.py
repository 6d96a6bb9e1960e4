"""SABR: a power of the forward, with lognormal volatility."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, correlation, nonnegative, positive, probability, real
from gpuquant.models.base import Model


@dataclass(frozen=True)
class SABR(Model):
    """dX = a X^beta dW1, da = vol_of_vol a dW2, d<W1, W2> = correlation dt, S_t = X_t exp((rate -
    dividend_yield) t); zero absorbs.

    The volatility is simulated exactly. Within a step X is a Brownian motion with the variance at
    the start of the step. X is absorbed with the probability that its bridge touches zero. So X is
    a martingale on any grid.

    Parameters
    ----------
    spot : Column, shape (n,)
        Price today, in currency units; > 0.
    rate : Column, shape (n,)
        Continuously compounded, per year.
    dividend_yield : Column, shape (n,)
        Continuously compounded, per year.
    alpha : Column, shape (n,)
        a today, per square root of a year and in units of X^(1 - beta); > 0.
    beta : Column, shape (n,)
        Within [0, 1].
    vol_of_vol : Column, shape (n,)
        Of a, per square root of a year; >= 0.
    correlation : Column, shape (n,)
        Within [-1, 1].

    References
    ----------
    Hagan, Kumar, Lesniewski and Woodward (2002), Managing smile risk.
    """

    spot: Column = positive(sample=100.0)
    rate: Column = real()
    dividend_yield: Column = real(default=0.0)
    alpha: Column = positive(sample=0.2)
    beta: Column = probability(sample=1.0)
    vol_of_vol: Column = nonnegative(sample=0.4)
    correlation: Column = correlation()

    normals = 2
    uniforms = 1
    steps_per_year = 50
    weak_order = 1.0
    vega_column = "alpha"
    differentiable = "always"

    @staticmethod
    def explosion(m: Any, order: np.ndarray) -> np.ndarray:
        # With beta = 1 a moment is infinite for every maturity if the correlation is too high for
        # its order (Lions and Musiela, 2007, theorem 2.3).
        with np.errstate(divide="ignore", invalid="ignore"):
            lost = (
                (m.beta == 1.0)
                & (m.vol_of_vol > 0.0)
                & (order > 1.0)
                & (m.correlation > -np.sqrt((order - 1.0) / order))
            )
        return np.where(lost, 0.0, np.inf)

    @staticmethod
    def warn(m: Any) -> np.ndarray | None:
        lost = (m.beta == 1.0) & (m.correlation > 0.0) & (m.vol_of_vol > 0.0)
        if not np.any(lost):
            return None
        return np.where(
            lost,
            (
                "beta 1 with a positive correlation: the price is no martingale, and its "
                "mean is below the forward (Jourdain, 2004)"
            ),
            "",
        )

    @staticmethod
    def begin(m, i, dt):
        root = math.sqrt(dt)
        nu = m.vol_of_vol[i]
        carry = (m.rate[i] - m.dividend_yield[i]) * dt
        rho = m.correlation[i]
        own = math.sqrt(max(1.0 - rho * rho, 0.0))
        return (m.beta[i], carry, root, nu * root, -0.5 * nu * nu * dt, rho, own), (
            m.spot[i],
            math.log(m.alpha[i]),
            0.0,
        )

    @staticmethod
    def step(c, x, z, u, k):
        beta, carry, root, nu, drift, rho, own = c
        price = max(x[0], 1e-30)
        spread = math.exp(x[1] + beta * math.log(price)) * root
        after = x[0] + spread * (rho * z[1] + own * z[0])
        met = math.exp(-2.0 * price * max(after, 0.0) / max(spread * spread, 1e-30))
        alive = x[0] > 0.0 and after > 0.0 and u[0] > met
        return (after if alive else 0.0, x[1] + (drift + nu * z[1]), x[2] + carry)

    @staticmethod
    def log_spots(x):
        return (math.log(max(x[0], 1e-30)) + x[2],)

    @staticmethod
    def discount(m, i, t):
        return math.exp(-m.rate[i] * t)

    @property
    def volatile(self) -> np.ndarray:
        return np.ones(self.rows, dtype=bool)
