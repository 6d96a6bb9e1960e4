"""Variance gamma: a Brownian motion run by a gamma clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, positive, real
from gpuquant.models.base import Model


@dataclass(frozen=True)
class VarianceGamma(Model):
    """log S_t = log forward + compensator + a Brownian motion with `drift` at the time of a gamma
    process with mean t and variance variance_rate t.

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
    The simulation is exact, with one exception. If none of four proposals for a gamma time is
    accepted, the last proposal is used. This happens for about five gamma times in a million.

    References
    ----------
    Madan, Carr and Chang (1998); Marsaglia and Tsang (2000), A simple method for generating gamma
    variables.
    """

    spot: Column = positive(sample=100.0)
    rate: Column = real()
    dividend_yield: Column = real(default=0.0)
    volatility: Column = positive(sample=0.2)
    variance_rate: Column = positive(sample=0.2)
    drift: Column = real(sample=-0.1)

    stationary_increments = True
    normals = 5
    uniforms = 4
    differentiable = "always"
    discrete = ("variance_rate",)

    @staticmethod
    def begin(m, i, dt):
        half = 0.5 * m.volatility[i] * m.volatility[i] * m.variance_rate[i]
        shape = dt / m.variance_rate[i]
        carry = (m.rate[i] - m.dividend_yield[i]) * dt + shape * math.log(
            1.0 - m.drift[i] * m.variance_rate[i] - half
        )
        centre = shape + 2.0 / 3.0  # for a gamma of shape + 1; the last uniform takes the 1 away
        return (
            carry,
            1.0 / shape,
            centre,
            1.0 / math.sqrt(9.0 * centre),
            m.variance_rate[i],
            m.volatility[i],
            m.drift[i],
        ), (math.log(m.spot[i]),)

    @staticmethod
    def step(c, x, z, u, k):
        carry, power, centre, width, rate, volatility, drift = c
        size = proposed(width, z[3])
        size = proposed(width, z[2]) if accepted(centre, width, z[2], u[2]) else size
        size = proposed(width, z[1]) if accepted(centre, width, z[1], u[1]) else size
        size = proposed(width, z[0]) if accepted(centre, width, z[0], u[0]) else size
        clock = rate * centre * size * math.exp(power * math.log(u[3]))
        return (x[0] + (carry + drift * clock + volatility * math.sqrt(clock) * z[4]),)

    @staticmethod
    def log_spots(x):
        return x

    @staticmethod
    def discount(m, i, t):
        return math.exp(-m.rate[i] * t)

    @staticmethod
    def characteristic(m: Any, z: Any, t: Any, xp: Any, special: Any) -> Any:
        half = 0.5 * m.volatility * m.volatility * m.variance_rate
        shift = xp.log(1.0 - m.drift * m.variance_rate - half)
        return xp.exp(
            t
            / m.variance_rate
            * (1j * z * shift - xp.log(1.0 - 1j * m.drift * m.variance_rate * z + half * z * z))
        )

    @staticmethod
    def mean_variance(m: Any, t: Any, xp: Any, special: Any) -> Any:
        return (m.volatility * m.volatility + m.drift * m.drift * m.variance_rate) * t

    @staticmethod
    def refuse(m: Any) -> np.ndarray | None:
        room = 1.0 - m.drift * m.variance_rate - 0.5 * m.volatility * m.volatility * m.variance_rate
        return np.where(
            room <= 0.0,
            (
                "the price has no mean: drift variance_rate + volatility^2 variance_rate / 2 "
                "must be below 1"
            ),
            "",
        )


def proposed(width: Any, z: Any) -> Any:
    """A proposal for a gamma variable, in units of its centre."""
    root = max(1.0 + width * z, 1e-6)
    return root * root * root


def accepted(centre: Any, width: Any, z: Any, u: Any) -> Any:
    """Whether a uniform accepts the proposal of this normal."""
    size = proposed(width, z)
    return (
        math.log(u) < 0.5 * z * z + centre * (1.0 - size + math.log(size)) and 1.0 + width * z > 0.0
    )
