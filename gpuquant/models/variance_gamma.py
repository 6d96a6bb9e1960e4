"""Variance gamma: a Brownian motion run by a gamma clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.columns import Column, positive, real
from gpuquant.models.base import Model


@dataclass(frozen=True)
class VarianceGamma(Model):
    """log S_t = log forward + theta-drifted Brownian motion at the time of a gamma process of mean t and variance variance_rate t.

    Parameters
    ----------
    spot : Column, shape (n,)
        Price today, in currency units; > 0.
    rate : Column, shape (n,)
        Continuously compounded, per year.
    dividend_yield : Column, shape (n,)
        Continuously compounded, per year.
    volatility : Column, shape (n,)
        Of the Brownian motion, per square root of a year; > 0.
    variance_rate : Column, shape (n,)
        Of the gamma clock, per year; > 0.
    drift : Column, shape (n,)
        Of the Brownian motion, per year of its clock.

    Notes
    -----
    Priced by Fourier; there is no simulation.

    References
    ----------
    Madan, Carr and Chang (1998).
    """

    spot: Column = positive(sample=100.0)
    rate: Column = real()
    dividend_yield: Column = real(default=0.0)
    volatility: Column = positive(sample=0.2)
    variance_rate: Column = positive(sample=0.2)
    drift: Column = real(sample=-0.1)

    @staticmethod
    def discount(m, i, t):
        return math.exp(-m.rate[i] * t)

    @staticmethod
    def characteristic(m: Any, z: Any, t: Any, xp: Any, special: Any) -> Any:
        half = 0.5 * m.volatility * m.volatility * m.variance_rate
        shift = xp.log(1.0 - m.drift * m.variance_rate - half)
        return xp.exp(t / m.variance_rate * (1j * z * shift - xp.log(1.0 - 1j * m.drift * m.variance_rate * z + half * z * z)))

    @staticmethod
    def mean_variance(m: Any, t: Any, xp: Any, special: Any) -> Any:
        return (m.volatility * m.volatility + m.drift * m.drift * m.variance_rate) * t

    @staticmethod
    def refuse(m: Any) -> np.ndarray | None:
        room = 1.0 - m.drift * m.variance_rate - 0.5 * m.volatility * m.volatility * m.variance_rate
        return np.where(room <= 0.0, "the price has no mean: drift variance_rate + volatility^2 variance_rate / 2 must be below 1", "")
