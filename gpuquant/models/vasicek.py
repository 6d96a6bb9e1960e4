"""Vasicek: a short rate that returns to its mean; its assets are zero-coupon bonds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, list_of, nonnegative, positive, real, years
from gpuquant.models.laws import Lognormal, Lognormals
from gpuquant.models.short_rate import (
    ShortRate,
    gaussian,
    integral_variance,
    integrated,
    loading,
    reversion,
)


@dataclass(frozen=True)
class Vasicek(ShortRate):
    """dr = kappa (long_rate - r) dt + rate_volatility dW, simulated exactly together with its
    integral.

    The assets are the zero-coupon bonds that pay 1 at each of `bond_maturities`: an option on a
    bond is a European under this model, a swaption an option on several of them.

    Parameters
    ----------
    short_rate : Column, shape (n,)
        r today, continuously compounded, per year.
    kappa : Column, shape (n,)
        Speed of mean reversion, per year; > 0.
    long_rate : Column, shape (n,)
        r in the long run, per year.
    rate_volatility : Column, shape (n,)
        Of r, per year and square root of a year; >= 0.
    bond_maturities : Column of lists, shape (n, bonds)
        Years from today; not before the maturity of what is priced.

    References
    ----------
    Vasicek (1977); Jamshidian (1989); Brigo and Mercurio (2006), section 3.2.1; Glasserman (2003),
    section 3.3.
    """

    short_rate: Column = real(sample=0.03)
    kappa: Column = positive(sample=0.3)
    long_rate: Column = real(sample=0.04)
    rate_volatility: Column = nonnegative(sample=0.01)
    bond_maturities: Column = list_of(years(sample=2.0), increasing=True)

    normals = 2
    rate_column = "short_rate"
    vega_column = "rate_volatility"
    differentiable = "always"

    @staticmethod
    def begin(m, i, dt):
        decay, part, spread, own, both = gaussian(m.kappa[i], m.rate_volatility[i], dt)
        moves = (m.long_rate[i], decay, part, spread, own, both, dt)
        law = (m.kappa[i], m.long_rate[i], m.rate_volatility[i])
        ends = tuple(m.bond_maturities[i][j] for j in range(len(m.bond_maturities[i])))
        bonds = tuple(
            bond_price(
                m.short_rate[i],
                m.kappa[i],
                m.long_rate[i],
                m.rate_volatility[i],
                m.bond_maturities[i][j],
            )
            for j in range(len(m.bond_maturities[i]))
        )
        now = (m.short_rate[i], 0.0, 0.0)
        return moves + law + ends, now + bonds

    @staticmethod
    def step(c, x, z, u, k):
        above = x[0] - c[0]
        rate = c[0] + above * c[1] + c[3] * z[0]
        earned = x[1] + (c[0] * c[6] + above * c[2] + c[5] * z[0] + c[4] * z[1])
        now = (rate, earned, x[2] + c[6])
        return now + tuple(
            bond_price(rate, c[7], c[8], c[9], c[10 + j] - x[2] - c[6]) for j in range(len(x) - 3)
        )

    @staticmethod
    def discount(m, i, t):
        return math.exp(
            bond_price(m.short_rate[i], m.kappa[i], m.long_rate[i], m.rate_volatility[i], t)
        )

    @staticmethod
    def discount_factor(m: Any, t: Any, xp: Any) -> Any:
        b = reversion(m.kappa, t, xp)
        return xp.exp(
            0.5 * integral_variance(m.kappa, m.rate_volatility, t, xp)
            - m.long_rate * (t - b)
            - b * m.short_rate
        )

    @staticmethod
    def lognormal(m: Any, t: Any, xp: Any) -> Lognormal | Lognormals:
        return Vasicek.bonds(m, t, xp)

    @property
    def volatile(self) -> np.ndarray:
        return np.asarray(self.rate_volatility > 0.0)


def bond_price(rate: Any, kappa: Any, long_rate: Any, volatility: Any, time: Any) -> Any:
    """The log price of a zero-coupon bond `time` before its end, 0 after it: minus the mean of
    the rate's integral, plus half its variance.
    """
    left = max(time, 0.0)
    b = loading(kappa, left)
    return 0.5 * integrated(kappa, volatility, left) - long_rate * (left - b) - b * rate
