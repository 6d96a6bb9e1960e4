"""Bates: Heston's stochastic variance with lognormal jumps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, at_least, correlation, nonnegative, positive, real
from gpuquant.models.base import Model
from gpuquant.models.heston import Heston, diffuse, scheme
from gpuquant.models.merton import Merton, jumps_by


@dataclass(frozen=True)
class Bates(Model):
    """Heston's square-root variance, and compound-Poisson jumps J ~ N(jump_mean, jump_volatility^2)
    in the log price, independent of it.

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
        Speed of mean reversion, per year; > 0.
    long_variance : Column, shape (n,)
        Variance in the long run, per year; >= 0.
    vol_of_vol : Column, shape (n,)
        Of the variance, per square root of a year; >= 0.001: below it the scheme divides rounding
        errors by it.
    correlation : Column, shape (n,)
        Between spot and variance; within [-1, 1].
    intensity : Column, shape (n,)
        Expected jumps per year; >= 0.
    jump_mean : Column, shape (n,)
        Mean of a jump's log size.
    jump_volatility : Column, shape (n,)
        Standard deviation of a jump's log size; >= 0.

    References
    ----------
    Bates (1996); Andersen (2008) for the scheme of the variance.
    """

    spot: Column = positive(sample=100.0)
    rate: Column = real()
    dividend_yield: Column = real(default=0.0)
    v0: Column = nonnegative(sample=0.04)
    kappa: Column = positive(sample=1.5)
    long_variance: Column = nonnegative(sample=0.04)
    vol_of_vol: Column = at_least(0.001, sample=0.5)
    correlation: Column = correlation()
    intensity: Column = nonnegative(sample=1.0)
    jump_mean: Column = real(sample=-0.1)
    jump_volatility: Column = nonnegative(sample=0.15)

    normals = 3
    uniforms = 1
    steps_per_year = 50
    weak_order = 2.0
    vega_column = "v0"
    vega_is_variance = True
    variance_columns = ("v0", "long_variance")
    differentiable = "always"
    discrete = ("intensity",)

    @staticmethod
    def begin(m, i, dt):
        expected = m.intensity[i] * dt
        kappa = math.exp(m.jump_mean[i] + 0.5 * m.jump_volatility[i] ** 2) - 1.0
        drift = (m.rate[i] - m.dividend_yield[i] - m.intensity[i] * kappa) * dt
        variance = scheme(
            m.kappa[i], m.long_variance[i], m.vol_of_vol[i], m.correlation[i], drift, dt
        )
        jumps = expected, math.exp(-expected), m.jump_mean[i], m.jump_volatility[i]
        return variance + jumps, (math.log(m.spot[i]), m.v0[i])

    @staticmethod
    def step(c, x, z, u, k):
        log_spot, variance = diffuse(c[:12], x, z)
        jumps = jumps_by(u[0], c[12], c[13])
        return (log_spot + jumps * c[14] + math.sqrt(jumps) * c[15] * z[2], variance)

    @staticmethod
    def log_spots(x):
        return (x[0],)

    @staticmethod
    def discount(m, i, t):
        return math.exp(-m.rate[i] * t)

    @staticmethod
    def characteristic(m: Any, z: Any, t: Any, xp: Any, special: Any) -> Any:
        jumps = Merton.jumps(m, z, xp)
        return Heston.characteristic(m, z, t, xp, special) * xp.exp(t * m.intensity * jumps)

    @staticmethod
    def analyticity_angle(m: Any, xp: Any) -> Any:
        return Merton.analyticity_angle(m, xp)

    @staticmethod
    def mean_variance(m: Any, t: Any, xp: Any, special: Any) -> Any:
        return (
            Heston.mean_variance(m, t, xp, special)
            + m.intensity * (m.jump_mean * m.jump_mean + m.jump_volatility * m.jump_volatility) * t
        )

    @staticmethod
    def explosion(m: Any, order: np.ndarray) -> np.ndarray:
        return Heston.explosion(m, order)  # a lognormal jump has every moment

    @staticmethod
    def restless(m: Any) -> np.ndarray | None:
        return Heston.restless(m)

    @staticmethod
    def warn(m: Any) -> np.ndarray | None:
        return Heston.warn(m)

    @staticmethod
    def least_steps(m: Any, t: Any) -> Any:
        return Merton.least_steps(m, t)
