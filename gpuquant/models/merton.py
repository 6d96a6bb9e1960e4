"""Merton: geometric Brownian motion with lognormal jumps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, nonnegative, positive, real
from gpuquant.models.base import Model


@dataclass(frozen=True)
class Merton(Model):
    """Diffusion with compound-Poisson jumps in the log price.

    d log S = (rate - dividend_yield - volatility^2/2 - intensity kappa) dt + volatility dW + J dN,
    J ~ N(jump_mean, jump_volatility^2), kappa = E[e^J] - 1. The number of jumps in a step is drawn
    by inversion of the Poisson distribution.

    Parameters
    ----------
    spot : Column, shape (n,)
        Price today, in currency units; > 0.
    rate : Column, shape (n,)
        Continuously compounded, per year.
    dividend_yield : Column, shape (n,)
        Continuously compounded, per year.
    volatility : Column, shape (n,)
        Of the diffusion, per square root of a year; >= 0.
    intensity : Column, shape (n,)
        Expected jumps per year; >= 0.
    jump_mean : Column, shape (n,)
        Mean of a jump's log size.
    jump_volatility : Column, shape (n,)
        Standard deviation of a jump's log size; >= 0.

    Notes
    -----
    A step counts at most eight jumps; a grid has at least four steps per expected jump, which keeps
    the truncated probability below 1e-11.

    References
    ----------
    Merton (1976); Glasserman (2003), section 3.5.
    """

    spot: Column = positive(sample=100.0)
    rate: Column = real()
    dividend_yield: Column = real(default=0.0)
    volatility: Column = nonnegative()
    intensity: Column = nonnegative(sample=1.0)
    jump_mean: Column = real(sample=-0.1)
    jump_volatility: Column = nonnegative(sample=0.15)

    stationary_increments = True
    normals = 2
    uniforms = 1
    steps_per_year = 50
    differentiable = "always"
    discrete = ("intensity",)

    @staticmethod
    def begin(m, i, dt):
        vol = m.volatility[i]
        expected = m.intensity[i] * dt
        kappa = math.exp(m.jump_mean[i] + 0.5 * m.jump_volatility[i] ** 2) - 1.0
        drift = (m.rate[i] - m.dividend_yield[i] - 0.5 * vol * vol - m.intensity[i] * kappa) * dt
        return (
            drift,
            vol * math.sqrt(dt),
            expected,
            math.exp(-expected),
            m.jump_mean[i],
            m.jump_volatility[i],
        ), (math.log(m.spot[i]),)

    @staticmethod
    def step(c, x, z, u, k):
        drift, vol, expected, none, mean, deviation = c
        jumps = jumps_by(u[0], expected, none)
        return (x[0] + (drift + vol * z[0] + jumps * mean + math.sqrt(jumps) * deviation * z[1]),)

    @staticmethod
    def log_spots(x):
        return x

    @staticmethod
    def discount(m, i, t):
        return math.exp(-m.rate[i] * t)

    @staticmethod
    def characteristic(m: Any, z: Any, t: Any, xp: Any, special: Any) -> Any:
        return xp.exp(
            t
            * (
                m.intensity * Merton.jumps(m, z, xp)
                - 0.5 * m.volatility * m.volatility * (z * z + 1j * z)
            )
        )

    @staticmethod
    def jumps(m: Any, z: Any, xp: Any) -> Any:
        """Characteristic exponent of jumps of intensity 1, less their compensation."""
        square = m.jump_volatility * m.jump_volatility
        return (
            xp.exp(1j * m.jump_mean * z - 0.5 * square * z * z)
            - 1.0
            - 1j * z * (xp.exp(m.jump_mean + 0.5 * square) - 1.0)
        )

    @staticmethod
    def analyticity_angle(m: Any, xp: Any) -> Any:
        # |exp(i jump_mean z - jump_volatility^2 z^2 / 2)| grows by at most a half of (jump_mean
        # sine / jump_volatility)^2, in the exponent
        return xp.minimum(0.2, m.jump_volatility / xp.maximum(xp.abs(m.jump_mean), 1e-12))

    @staticmethod
    def mean_variance(m: Any, t: Any, xp: Any, special: Any) -> Any:
        jump = m.jump_mean * m.jump_mean + m.jump_volatility * m.jump_volatility
        return (m.volatility * m.volatility + m.intensity * jump) * t

    @staticmethod
    def least_steps(m: Any, t: Any) -> Any:
        return np.ceil(4.0 * m.intensity * t)


def jumps_by(u: Any, expected: Any, none: Any) -> Any:
    """A Poisson number of jumps, eight at most, by inversion; `none` is the probability of none."""
    jumps = 0.0
    probability = none
    beyond = u - none  # the uniform less the probabilities of the counts so far
    for n in range(1, 9):
        jumps = jumps + (1.0 if beyond > 0.0 else 0.0)
        probability = probability * expected / float(n)
        beyond = beyond - probability
    return jumps
