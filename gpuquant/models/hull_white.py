"""Hull-White with one factor: a Gaussian short rate fitted to a curve; its assets are
zero-coupon bonds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, list_of, nonnegative, positive, real, years
from gpuquant.models.laws import Lognormal, Lognormals
from gpuquant.models.short_rate import ShortRate, gaussian, integrated, loading


@dataclass(frozen=True)
class HullWhite(ShortRate):
    """r = x + alpha(t), dx = -kappa x dt + rate_volatility dW, alpha such that bonds cost today
    what the curve says; simulated exactly.

    The assets are the zero-coupon bonds that pay 1 at each of `bond_maturities`: an option on a
    bond is a European under this model, a swaption an option on several of them.

    Parameters
    ----------
    rate : Column, shape (n,)
        The curve, flat, continuously compounded, per year.
    kappa : Column, shape (n,)
        Speed of mean reversion, per year; > 0.
    rate_volatility : Column, shape (n,)
        Of r, per year and square root of a year; >= 0.
    bond_maturities : Column of lists, shape (n, bonds)
        Years from today; not before the maturity of what is priced.

    References
    ----------
    Hull and White (1990); Brigo and Mercurio (2006), sections 3.3.2 and 3.8.
    """

    rate: Column = real()
    kappa: Column = positive(sample=0.1)
    rate_volatility: Column = nonnegative(sample=0.01)
    bond_maturities: Column = list_of(years(sample=2.0), increasing=True)

    normals = 2
    vega_column = "rate_volatility"
    sample_lengths = {"bond_maturities": 1}  # noqa: RUF012
    differentiable = "always"

    @staticmethod
    def begin(m, i, dt):
        decay, part, spread, own, both = gaussian(m.kappa[i], m.rate_volatility[i], dt)
        moves = (decay, part, spread, own, both, dt, m.rate[i], m.kappa[i], m.rate_volatility[i])
        ends = tuple(m.bond_maturities[i][j] for j in range(len(m.bond_maturities[i])))
        now = (0.0, 0.0, 0.0)
        return moves + ends, now + tuple(
            -m.rate[i] * m.bond_maturities[i][j] for j in range(len(m.bond_maturities[i]))
        )

    @staticmethod
    def step(c, x, z, u, k):
        # The state begins with x = r - alpha, the integral of r, and the time. The integral of
        # alpha is rate t + V(0, t) / 2.
        now = x[2] + c[5]
        factor = x[0] * c[0] + c[2] * z[0]
        gone = c[6] * c[5] + 0.5 * (integrated(c[7], c[8], now) - integrated(c[7], c[8], x[2]))
        earned = x[1] + (gone + x[0] * c[1] + c[4] * z[0] + c[3] * z[1])
        state = (factor, earned, now)
        return state + tuple(
            fitted(factor, c[6], c[7], c[8], now, c[9 + j]) for j in range(len(x) - 3)
        )

    @staticmethod
    def discount(m, i, t):
        return math.exp(-m.rate[i] * t)

    @staticmethod
    def lognormal(m: Any, t: Any, xp: Any) -> Lognormal | Lognormals:
        return HullWhite.bonds(m, t, xp)

    @property
    def volatile(self) -> np.ndarray:
        return np.asarray(self.rate_volatility > 0.0)


def fitted(factor: Any, rate: Any, kappa: Any, volatility: Any, now: Any, end: Any) -> Any:
    """The log price at `now` of the bond that ends at `end`, 0 after it: Brigo and Mercurio
    (2006), equation 3.39, in x.
    """
    left = max(end - now, 0.0)
    b, gone = loading(kappa, left), loading(kappa, now)
    square = volatility * volatility
    return (
        -rate * left
        - b * (factor + 0.5 * square * gone * gone)
        - 0.5 * b * b * square * loading(2.0 * kappa, now)
    )
