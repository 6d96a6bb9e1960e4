"""Kou: geometric Brownian motion with double-exponential jumps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, above, nonnegative, positive, probability, real
from gpuquant.models.base import Model


@dataclass(frozen=True)
class Kou(Model):
    """Diffusion with compound-Poisson jumps in the log price: up by an exponential of mean
    1/up_decay, else down by one of mean 1/down_decay.

    d log S = (rate - dividend_yield - volatility^2/2 - intensity kappa) dt + volatility dW + J dN,
    kappa = E[e^J] - 1.

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
    up_probability : Column, shape (n,)
        That a jump is upwards; within [0, 1].
    up_decay : Column, shape (n,)
        Of the jumps upwards; > 1, else the price has no mean.
    down_decay : Column, shape (n,)
        Of the jumps downwards; > 0.

    Notes
    -----
    A step counts at most four jumps; a grid has at least fifty steps per expected jump, which keeps
    the truncated probability below 1e-8.

    References
    ----------
    Kou (2002).
    """

    spot: Column = positive(sample=100.0)
    rate: Column = real()
    dividend_yield: Column = real(default=0.0)
    volatility: Column = nonnegative()
    intensity: Column = nonnegative(sample=1.0)
    up_probability: Column = probability(sample=0.4)
    up_decay: Column = above(1.0, sample=10.0)
    down_decay: Column = positive(sample=5.0)

    stationary_increments = True
    normals = 1
    uniforms = 5
    steps_per_year = 50
    differentiable = "always"
    discrete = ("intensity",)

    @staticmethod
    def begin(m, i, dt):
        vol = m.volatility[i]
        expected = m.intensity[i] * dt
        up, down, chance = m.up_decay[i], m.down_decay[i], m.up_probability[i]
        kappa = chance * up / (up - 1.0) + (1.0 - chance) * down / (down + 1.0) - 1.0
        drift = (m.rate[i] - m.dividend_yield[i] - 0.5 * vol * vol - m.intensity[i] * kappa) * dt
        return (
            drift,
            vol * math.sqrt(dt),
            expected,
            math.exp(-expected),
            chance,
            1.0 / up,
            1.0 / down,
        ), (math.log(m.spot[i]),)

    @staticmethod
    def step(c, x, z, u, k):
        drift, vol, expected, none, chance, up, down = c
        moved = 0.0
        probability = none
        beyond = u[0] - none  # the uniform less the probabilities of the counts so far
        for n in range(1, 5):
            moved = moved + (jump(u[n], chance, up, down) if beyond > 0.0 else 0.0)
            probability = probability * expected / float(n)
            beyond = beyond - probability
        return (x[0] + (drift + vol * z[0] + moved),)

    @staticmethod
    def log_spots(x):
        return x

    @staticmethod
    def discount(m, i, t):
        return math.exp(-m.rate[i] * t)

    @staticmethod
    def characteristic(m: Any, z: Any, t: Any, xp: Any, special: Any) -> Any:
        jumps = Kou.moment(m, 1j * z) - 1j * z * Kou.moment(m, 1.0)
        return xp.exp(
            t * (m.intensity * jumps - 0.5 * m.volatility * m.volatility * (z * z + 1j * z))
        )

    @staticmethod
    def moment(m: Any, s: Any) -> Any:
        """E[exp(s J)] - 1 of one jump J."""
        return (
            m.up_probability * m.up_decay / (m.up_decay - s)
            + (1.0 - m.up_probability) * m.down_decay / (m.down_decay + s)
            - 1.0
        )

    @staticmethod
    def mean_variance(m: Any, t: Any, xp: Any, special: Any) -> Any:
        square = 2.0 * m.up_probability / (m.up_decay * m.up_decay) + 2.0 * (
            1.0 - m.up_probability
        ) / (m.down_decay * m.down_decay)
        return (m.volatility * m.volatility + m.intensity * square) * t

    @staticmethod
    def explosion(m: Any, order: np.ndarray) -> np.ndarray:
        # E[exp(order J)] is finite where the order is below the decay rate of the density
        up = (order >= m.up_decay) & (m.up_probability > 0.0)
        down = (-order >= m.down_decay) & (m.up_probability < 1.0)
        return np.where((m.intensity > 0.0) & (up | down), 0.0, np.inf)

    @staticmethod
    def least_steps(m: Any, t: Any) -> Any:
        return np.ceil(50.0 * m.intensity * t)


def jump(u: Any, chance: Any, up: Any, down: Any) -> Any:
    """A jump by inversion: the upper `chance` of the uniform goes up."""
    rises = u > 1.0 - chance
    share = (1.0 - u) / max(chance, 1e-30) if rises else u / max(1.0 - chance, 1e-30)
    size = -math.log(min(max(share, 1e-30), 1.0))
    return up * size if rises else -down * size
