"""Contracts that mature today: their payment depends on today's prices alone.

The model makes no difference for such rows. So they are priced under a model whose prices are
constant for a year. There the formulas are exact, a simulation has no error, and no time of zero is
a divisor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuquant.data.columns import offered
from gpuquant.data.domains import Column, list_of, positive, real
from gpuquant.models.base import Model
from gpuquant.models.laws import Lognormal, Lognormals


@dataclass(frozen=True)
class Expired(Model):
    """A constant price and an interest rate of zero.

    Parameters
    ----------
    spot : Column, shape (n,)
        Price today, in currency units; > 0.
    rate : Column, shape (n,)
        0.
    """

    spot: Column = positive()
    rate: Column = real(default=0.0)

    abstract: ClassVar[bool] = True

    @property
    def volatile(self) -> np.ndarray:
        return np.zeros(1, dtype=bool)

    @staticmethod
    def begin(m, i, dt):
        return (0.0,), (math.log(m.spot[i]),)

    @staticmethod
    def step(c, x, z, u, k):
        return x

    @staticmethod
    def log_spots(x):
        return x

    @staticmethod
    def discount(m, i, t):
        return 1.0

    @staticmethod
    def bridge(c, x0, x1):
        return (0.0, 0.0, 0.0)

    @staticmethod
    def lognormal(m: Any, t: Any, xp: Any) -> Lognormal | Lognormals:
        return Lognormal(
            m.spot, t, lambda t: 1.0 + 0.0 * t, lambda t: 0.0 * t, lambda t: 1.0 + 0.0 * t
        )


@dataclass(frozen=True)
class ExpiredSeveral(Expired):
    """Several constant prices and an interest rate of zero.

    Parameters
    ----------
    spot : Column, shape (n,)
        The first of the prices.
    rate : Column, shape (n,)
        0.
    spots : Column of lists, shape (n, assets)
        Prices today, in currency units; > 0.
    """

    spots: Column = list_of(positive())

    abstract = True
    assets = "spots"

    @staticmethod
    def begin(m, i, dt):
        return (0.0,), tuple(math.log(m.spots[i][j]) for j in range(len(m.spots[i])))

    @staticmethod
    def bridge(c, x0, x1):
        return tuple(0.0 for j in range(3 * len(x0)))

    @staticmethod
    def lognormal(m: Any, t: Any, xp: Any) -> Lognormals:
        n, assets = m.spots.shape
        return Lognormals(m.spots, m.spots, xp.zeros((n, assets, assets)), xp.ones(n))


def expired(model: Model) -> Expired:
    """The prices of a model as they are today."""
    if hasattr(model, "spot"):
        return Expired(spot=model.spot)
    rows = [model.take(np.array([row])) for row in range(model.rows)]
    spots = np.exp([model.log_spots(offered(model.begin, one, 0, 1.0, 0.0)[1]) for one in rows])
    return (
        Expired(spot=spots[:, 0])
        if spots.shape[1] == 1
        else ExpiredSeveral(spot=spots[:, 0], spots=spots)
    )
