"""What short-rate models share: their assets are zero-coupon bonds, and money grows at a random rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuquant.models.base import Lognormal, Lognormals, Model


@dataclass(frozen=True)
class ShortRate(Model):
    """The base of short-rate models. Their state is (rate, its integral, time, log price of each bond); they say `bond(m, t, xp)`."""

    abstract: ClassVar[bool] = True
    assets: ClassVar[int | str] = "bond_maturities"

    @staticmethod
    def log_spots(x):
        return tuple(x[3 + j] for j in range(len(x) - 3))

    @staticmethod
    def deflator(x):
        """Today's value of 1 paid at the state's time on its path."""
        return math.exp(-x[1])

    @staticmethod
    def bonds(model: type[Model], m: Any, t: Any, xp: Any, kappa: Any) -> Lognormal | Lognormals:
        """The bonds' prices at `t` where the rate is Gaussian with this mean reversion: lognormal, and all moved by one normal."""
        time = xp.atleast_1d(t)
        discount = model.bond(m, time, xp)
        ends = m.bond_maturities
        spots = xp.stack([model.bond(m, ends[:, j], xp) for j in range(ends.shape[1])], axis=1)
        rate_variance = m.volatility * m.volatility * reversion(2.0 * kappa, time, xp)
        deviations = xp.stack([xp.sqrt(rate_variance) * reversion(kappa, ends[:, j] - time, xp) for j in range(ends.shape[1])], axis=1)
        forwards = spots / discount[:, None]
        if ends.shape[1] == 1:
            return Lognormal.ending(spots[:, 0], time, forwards[:, 0], deviations[:, 0] ** 2, discount, xp)
        return Lognormals(xp.broadcast_to(spots, forwards.shape), forwards, deviations[:, :, None] * deviations[:, None, :], discount)

    @staticmethod
    def refuse(m: Any) -> np.ndarray | None:
        early = np.nanmin(m.bond_maturities, axis=1) < m.maturity
        return np.where(early, "bond_maturities must not lie before maturity", "") if np.any(early) else None


def gaussian(kappa: Any, volatility: Any, dt: Any) -> Any:
    """Exact steps of an Ornstein-Uhlenbeck process and its integral: decay, share of the distance integrated, and the loadings of two normals.

    The first normal moves the process by `spread` and its integral by `both`, the second the integral alone by `own`.
    """
    decay = math.exp(-kappa * dt)
    part = (1.0 - decay) / kappa
    square = volatility * volatility
    twice = (1.0 - decay * decay) / (2.0 * kappa)
    spread = volatility * math.sqrt(twice)
    both = 0.5 * volatility * part * part / math.sqrt(twice)
    integral = square / (kappa * kappa) * (dt - 2.0 * part + twice)
    return decay, part, spread, math.sqrt(max(integral - both * both, 0.0)), both


def reversion(kappa: Any, t: Any, xp: Any) -> Any:
    """(1 - exp(-kappa t)) / kappa."""
    return -xp.expm1(-kappa * t) / kappa
