"""The common part of short-rate models: the assets are zero-coupon bonds, and the rate at which
money grows is random.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuquant.models.base import Model
from gpuquant.models.laws import Lognormal, Lognormals


@dataclass(frozen=True)
class ShortRate(Model):
    """The base of short-rate models. Their state is (rate, its integral, time, log price of each
    bond); they say `discount_factor(m, t, xp)`.
    """

    abstract: ClassVar[bool] = True
    step_in_double: ClassVar[bool] = True
    assets: ClassVar[int | str] = "bond_maturities"

    @staticmethod
    def log_spots(x):
        return tuple(x[3 + j] for j in range(len(x) - 3))

    @staticmethod
    def deflator(x):
        """Today's value of 1 paid at the state's time on its path."""
        return math.exp(-x[1])

    @classmethod
    def bonds(cls, m: Any, t: Any, xp: Any) -> Lognormal | Lognormals:
        """The law of the bond prices at `t` where the rate is Gaussian: the prices are lognormal,
        and one normal drives all of them.
        """
        time, kappa = xp.atleast_1d(t), m.kappa
        discount = cls.discount_factor(m, time, xp)
        ends = m.bond_maturities
        spots = xp.stack(
            [cls.discount_factor(m, ends[:, j], xp) for j in range(ends.shape[1])], axis=1
        )
        rate_variance = m.rate_volatility * m.rate_volatility * reversion(2.0 * kappa, time, xp)
        deviations = xp.stack(
            [
                xp.sqrt(rate_variance) * reversion(kappa, ends[:, j] - time, xp)
                for j in range(ends.shape[1])
            ],
            axis=1,
        )
        forwards = spots / discount[:, None]
        if ends.shape[1] == 1:
            return Lognormal.ending(
                spots[:, 0], time, forwards[:, 0], deviations[:, 0] ** 2, discount, xp
            )
        return Lognormals(
            xp.broadcast_to(spots, forwards.shape),
            forwards,
            deviations[:, :, None] * deviations[:, None, :],
            discount,
        )

    @staticmethod
    def refuse(m: Any) -> np.ndarray | None:
        first = np.nanmin(m.bond_maturities, axis=1)
        early = first < m.maturity
        if not np.any(early):
            return None
        row = int(np.argmax(early))
        culprit, limit = (
            float(np.broadcast_to(value, early.shape)[row]) for value in (first, m.maturity)
        )
        return np.where(
            early, f"bond_maturities has {culprit:g}: must not lie before maturity, {limit:g}", ""
        )


def gaussian(kappa: Any, volatility: Any, dt: Any) -> Any:
    """Exact steps of an Ornstein-Uhlenbeck process and its integral: the decay, the integral of the
    decay, and the loadings `spread`, `own` and `both` of two normals.

    The first normal moves the process by `spread` and its integral by `both`. The second normal
    moves the integral alone, by `own`.
    """
    part = loading(kappa, dt)
    twice = loading(2.0 * kappa, dt)
    both = 0.5 * volatility * part * part / math.sqrt(twice)
    own = math.sqrt(max(integrated(kappa, volatility, dt) - both * both, 0.0))
    return math.exp(-kappa * dt), part, volatility * math.sqrt(twice), own, both


def loading(kappa: Any, time: Any) -> Any:
    """(1 - exp(-kappa t)) / kappa, by its series where the difference would cancel."""
    x = kappa * time
    series = 1.0 - x / 2.0 * (
        1.0 - x / 3.0 * (1.0 - x / 4.0 * (1.0 - x / 5.0 * (1.0 - x / 6.0 * (1.0 - x / 7.0))))
    )
    return time * series if x < 0.1 else (1.0 - math.exp(-x)) / kappa


def integrated(kappa: Any, volatility: Any, time: Any) -> Any:
    """The variance of the integral of x over `time`: Brigo and Mercurio (2006), equation 4.10
    with one factor; by its series where it would cancel.
    """
    x = kappa * time
    tail = x * (31.0 / 2520.0 - x * (1.0 / 320.0 - x * (127.0 / 181440.0 - x * (17.0 / 120960.0))))
    series = 1.0 / 3.0 - x * (0.25 - x * (7.0 / 60.0 - x * (1.0 / 24.0 - tail)))
    part = loading(kappa, time)
    whole = (time - 2.0 * part + loading(2.0 * kappa, time)) / max(kappa * kappa, 1e-30)
    return volatility * volatility * (time * time * time * series if x < 0.1 else whole)


def reversion(kappa: Any, t: Any, xp: Any) -> Any:
    """`loading` of arrays."""
    return -xp.expm1(-kappa * t) / kappa


def integral_variance(kappa: Any, volatility: Any, t: Any, xp: Any) -> Any:
    """`integrated` of arrays."""
    x = kappa * t
    terms = (
        1.0 / 3.0,
        -0.25,
        7.0 / 60.0,
        -1.0 / 24.0,
        31.0 / 2520.0,
        -1.0 / 320.0,
        127.0 / 181440.0,
        -17.0 / 120960.0,
    )
    series = sum(term * x**k for k, term in enumerate(terms))
    whole = (t - 2.0 * reversion(kappa, t, xp) + reversion(2.0 * kappa, t, xp)) / (kappa * kappa)
    return volatility * volatility * xp.where(x < 0.1, t * t * t * series, whole)
