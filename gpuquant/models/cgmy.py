"""CGMY: a tempered stable process."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, above, below, positive, real
from gpuquant.models.base import Model


@dataclass(frozen=True)
class CGMY(Model):
    """log S_t = log forward + a pure-jump process of Levy density activity e^(-right_decay x) /
    x^(1 + fineness), x > 0, and its mirror with left_decay.

    Parameters
    ----------
    spot : Column, shape (n,)
        Price today, in currency units; > 0.
    rate : Column, shape (n,)
        Continuously compounded, per year.
    dividend_yield : Column, shape (n,)
        Continuously compounded, per year.
    activity : Column, shape (n,)
        C; > 0.
    left_decay : Column, shape (n,)
        G, of the jumps downwards; > 0.
    right_decay : Column, shape (n,)
        M, of the jumps upwards; > 1, else the price has no mean.
    fineness : Column, shape (n,)
        Y; < 2, and neither 0 (variance gamma) nor 1.

    Notes
    -----
    Priced by Fourier; there is no simulation.

    References
    ----------
    Carr, Geman, Madan and Yor (2002).
    """

    spot: Column = positive(sample=100.0)
    rate: Column = real()
    dividend_yield: Column = real(default=0.0)
    activity: Column = positive(sample=1.0)
    left_decay: Column = positive(sample=5.0)
    right_decay: Column = above(1.0, sample=5.0)
    fineness: Column = below(2.0, sample=0.5)

    stationary_increments = True
    vega_column = "activity"

    @staticmethod
    def discount(m, i, t):
        return math.exp(-m.rate[i] * t)

    @staticmethod
    def characteristic(m: Any, z: Any, t: Any, xp: Any, special: Any) -> Any:
        def exponent(s: Any) -> Any:
            right = (m.right_decay - s) ** m.fineness - m.right_decay**m.fineness
            return right + (m.left_decay + s) ** m.fineness - m.left_decay**m.fineness

        return xp.exp(
            t
            * m.activity
            * special.gamma(-m.fineness)
            * (exponent(1j * z) - 1j * z * exponent(1.0))
        )

    @staticmethod
    def mean_variance(m: Any, t: Any, xp: Any, special: Any) -> Any:
        both = m.right_decay ** (m.fineness - 2.0) + m.left_decay ** (m.fineness - 2.0)
        return m.activity * special.gamma(2.0 - m.fineness) * both * t

    @staticmethod
    def refuse(m: Any) -> np.ndarray | None:
        return np.where(
            (m.fineness == 0.0) | (m.fineness == 1.0),
            "fineness is 0 or 1, where the formula has a pole",
            "",
        )
