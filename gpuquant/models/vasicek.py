"""Vasicek: a short rate that returns to its mean; its assets are zero-coupon bonds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.columns import Column, many, nonnegative, positive, real
from gpuquant.models.base import Lognormal, Lognormals
from gpuquant.models.short_rate import ShortRate, gaussian, reversion


@dataclass(frozen=True)
class Vasicek(ShortRate):
    """dr = kappa (long_rate - r) dt + volatility dW, simulated exactly together with its integral.

    The assets are the zero-coupon bonds that pay 1 at each of `bond_maturities`: an option on a bond is a European under this model, a
    swaption an option on several of them.

    Parameters
    ----------
    short_rate : Column, shape (n,)
        r today, continuously compounded, per year.
    kappa : Column, shape (n,)
        Speed of mean reversion, per year; > 0.
    long_rate : Column, shape (n,)
        r in the long run, per year.
    volatility : Column, shape (n,)
        Of r, per year and square root of a year; >= 0.
    bond_maturities : Column of lists, shape (n, bonds)
        Years from today; not before the maturity of what is priced.

    References
    ----------
    Vasicek (1977); Jamshidian (1989); Brigo and Mercurio (2006), section 3.2.1; Glasserman (2003), section 3.3.
    """

    short_rate: Column = real(sample=0.03)
    kappa: Column = positive(sample=0.3)
    long_rate: Column = real(sample=0.04)
    volatility: Column = nonnegative(sample=0.01)
    bond_maturities: Column = many(positive(sample=2.0))

    normals = 2
    rate_column = "short_rate"

    @staticmethod
    def begin(m, i, dt):
        decay, part, spread, own, both = gaussian(m.kappa[i], m.volatility[i], dt)
        moves = (m.long_rate[i], decay, part, spread, own, both, dt)
        square = m.volatility[i] * m.volatility[i]
        law = (m.kappa[i], m.long_rate[i] - 0.5 * square / (m.kappa[i] * m.kappa[i]), 0.25 * square / m.kappa[i])
        ends = tuple(m.bond_maturities[i][j] for j in range(len(m.bond_maturities[i])))
        bonds = tuple(bond_price(m.short_rate[i], m.kappa[i], law[1], law[2], m.bond_maturities[i][j]) for j in range(len(m.bond_maturities[i])))
        now = (m.short_rate[i], 0.0, 0.0)
        return moves + law + ends, now + bonds

    @staticmethod
    def step(c, x, z, u, k):
        above = x[0] - c[0]
        rate = c[0] + above * c[1] + c[3] * z[0]
        earned = x[1] + (c[0] * c[6] + above * c[2] + c[5] * z[0] + c[4] * z[1])
        now = (rate, earned, x[2] + c[6])
        return now + tuple(bond_price(rate, c[7], c[8], c[9], c[10 + j] - x[2] - c[6]) for j in range(len(x) - 3))

    @staticmethod
    def discount(m, i, t):
        square = m.volatility[i] * m.volatility[i]
        level = m.long_rate[i] - 0.5 * square / (m.kappa[i] * m.kappa[i])
        return math.exp(bond_price(m.short_rate[i], m.kappa[i], level, 0.25 * square / m.kappa[i], t))

    @staticmethod
    def bond(m: Any, t: Any, xp: Any) -> Any:
        square = m.volatility * m.volatility
        b = reversion(m.kappa, t, xp)
        return xp.exp(-b * m.short_rate + (m.long_rate - 0.5 * square / (m.kappa * m.kappa)) * (b - t) - 0.25 * square / m.kappa * b * b)

    @staticmethod
    def lognormal(m: Any, t: Any, xp: Any) -> Lognormal | Lognormals:
        return ShortRate.bonds(Vasicek, m, t, xp, m.kappa)

    @property
    def volatile(self) -> np.ndarray:
        return np.asarray(self.volatility > 0.0)


def bond_price(rate: Any, kappa: Any, level: Any, curvature: Any, time: Any) -> Any:
    """The log price of a zero-coupon bond `time` before its end; 0 after it."""
    left = max(time, 0.0)
    b = (1.0 - math.exp(-kappa * left)) / kappa
    return level * (b - left) - curvature * b * b - b * rate
