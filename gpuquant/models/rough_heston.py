"""Rough Heston: stochastic variance with memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, correlation, nonnegative, positive, real, within
from gpuquant.models.base import Model

STEPS = 160  # of the fractional equation


@dataclass(frozen=True)
class RoughHeston(Model):
    """Heston's variance driven through the kernel t^(a - 1) / Gamma(a), a = hurst + 1/2.

    v_t = v0 + I^a [kappa (long_variance - v) dt + vol_of_vol sqrt(v) dW2], I^a the fractional
    integral; hurst = 1/2 is Heston.

    Parameters
    ----------
    spot : Column, shape (n,)
        Price today, in currency units; > 0.
    rate : Column, shape (n,)
        Continuously compounded, per year.
    dividend_yield : Column, shape (n,)
        Continuously compounded, per year.
    v0 : Column, shape (n,)
        Variance today, per year; >= 0.
    kappa : Column, shape (n,)
        Speed of mean reversion; > 0.
    long_variance : Column, shape (n,)
        Variance in the long run, per year; >= 0.
    vol_of_vol : Column, shape (n,)
        Of the variance; > 0.
    correlation : Column, shape (n,)
        Between spot and variance; within [-1, 1].
    hurst : Column, shape (n,)
        Roughness; within (0, 1/2].

    Notes
    -----
    Priced by Fourier; there is no simulation. The fractional Riccati equation is solved in 160
    Adams steps. Prices are accurate to about 1e-4 of the spot at hurst = 0.1, and better for a
    larger hurst. A row takes some milliseconds.

    References
    ----------
    El Euch and Rosenbaum (2019), theorem 4.1; Diethelm, Ford and Freed (2004) for the Adams scheme.
    """

    spot: Column = positive(sample=100.0)
    rate: Column = real()
    dividend_yield: Column = real(default=0.0)
    v0: Column = nonnegative(sample=0.04)
    kappa: Column = positive(sample=0.5)
    long_variance: Column = nonnegative(sample=0.04)
    vol_of_vol: Column = positive(sample=0.3)
    correlation: Column = correlation()
    hurst: Column = within(0.0, 0.5, sample=0.1)

    vega_column = "v0"
    vega_is_variance = True
    variance_columns = ("v0", "long_variance")

    @staticmethod
    def discount(m, i, t):
        return math.exp(-m.rate[i] * t)

    @staticmethod
    def characteristic(m: Any, z: Any, t: Any, xp: Any, special: Any) -> Any:
        power = m.hurst + 0.5
        step = t / STEPS
        constant = -0.5 * (z * z + 1j * z)
        linear = 1j * z * m.correlation * m.vol_of_vol - m.kappa
        quadratic = 0.5 * m.vol_of_vol * m.vol_of_vol
        last = step**power / special.gamma(power + 2.0)
        # D^a h = constant + linear h + quadratic h^2; the newest slope is taken implicitly, as the
        # root that tends to h = 0 with the step
        slopes = xp.zeros((STEPS + 1, *(constant + linear).shape), dtype=complex)
        slopes[0] = constant
        whole = 0.5 * slopes[0] * 0.0
        h = whole
        for n in range(STEPS):
            ago = (n - np.arange(1, n + 1, dtype=float)).reshape(-1, *(1,) * slopes[0].ndim)
            weights = (
                (ago + 2.0) ** (power + 1.0)
                + ago ** (power + 1.0)
                - 2.0 * (ago + 1.0) ** (power + 1.0)
            )
            known = (n ** (power + 1.0) - (n - power) * (n + 1.0) ** power) * slopes[0] + (
                weights * slopes[1 : n + 1]
            ).sum(axis=0)
            two_a, b, c = 2.0 * last * quadratic, last * linear - 1.0, last * (known + constant)
            h = 2.0 * c / (xp.sqrt(b * b - 2.0 * two_a * c) - b)
            slopes[n + 1] = constant + (linear + quadratic * h) * h
            whole = whole + h
        memory = step * (slopes.sum(axis=0) - 0.5 * (slopes[0] + slopes[-1]))
        return xp.exp(m.kappa * m.long_variance * step * (whole - 0.5 * h) + m.v0 * memory)

    @staticmethod
    def mean_variance(m: Any, t: Any, xp: Any, special: Any) -> Any:
        # E[v] relaxes by a Mittag-Leffler function. The integral of that function is
        # t E_(a,2)(-kappa t^a). Its series loses its digits where kappa t^a is above about 10.
        x = -m.kappa * t ** (m.hurst + 0.5)
        total, term = 0.0, xp.ones_like(x)
        for k in range(80):
            total = total + term / special.gamma((m.hurst + 0.5) * k + 2.0)
            term = term * x
        return xp.where(
            x > -10.0, m.long_variance * t + (m.v0 - m.long_variance) * t * total, xp.nan
        )
