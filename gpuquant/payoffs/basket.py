"""Basket: an option on a weighted sum of prices; with weights of both signs, a spread."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, call_or_put, list_of, real
from gpuquant.payoffs import lognormal
from gpuquant.payoffs.base import Payoff


@dataclass(frozen=True)
class Basket(Payoff):
    """max(sign (sum of weight_j S_j - strike), 0); a spread where the weights are 1 and -1.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    strike : Column, shape (n,)
        In currency units.
    weights : Column of lists, shape (n, assets)
        One for each asset.
    maturity : Column, shape (n,)
        Years from today; 0 is now.

    Notes
    -----
    For two assets the price is a quadrature over the first price, with a formula for the option on
    the second.

    References
    ----------
    Pearson (1995), An efficient approach for pricing spread options.
    """

    option_type: Column = call_or_put()
    strike: Column = real(sample=100.0)
    weights: Column = list_of(real(sample=0.5))

    assets = 0
    differentiable = "always"

    @staticmethod
    def finish(p, i, acc, log_spots):
        worth = sum(p.weights[i][j] * math.exp(log_spots[j]) for j in range(len(log_spots)))
        return max(p.option_type[i] * (worth - p.strike[i]), 0.0)

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        if law.spots.shape[1] != 2:
            return xp.full(len(law.discount), xp.nan)
        one, two = p.weights[:, 0], p.weights[:, 1]

        def left(price: Any) -> Any:
            second = law.second_given(price, xp)
            strike = (p.strike - one * price) / two  # of a call or put on the second alone
            sign = p.option_type * xp.sign(two)
            option = lognormal.black(
                sign,
                second.forward,
                xp.where(strike > 0.0, strike, 1.0),
                second.variance,
                1.0,
                xp,
                special,
            )
            sure = xp.maximum(sign * (second.forward - strike), 0.0)
            return xp.abs(two) * xp.where(strike > 0.0, option, sure)

        first = law.first(xp)
        price = lognormal.expected(
            left, first, xp, splits=(xp.where(p.strike / one > 0.0, p.strike / one, first.forward),)
        )
        return xp.where((one != 0.0) & (two != 0.0) & (first.variance > 0.0), price, xp.nan)

    @classmethod
    def controls(cls, fixed: dict[str, float]) -> tuple[tuple[type[Payoff], dict[str, float]], ...]:
        return ((_GeometricBasket, {}),)

    @staticmethod
    def refuse(p: Any) -> np.ndarray | None:
        weights = p.weights.shape[1]
        return np.full(
            1,
            ""
            if weights == p.assets
            else f"weights has {weights} values where the model has {p.assets} assets",
        )


@dataclass(frozen=True)
class _GeometricBasket(Basket):
    """The control variate of a basket without short positions: max(sign (G - strike), 0), where
    log G moves as the basket does today: G = A prod_j (S_j / S_j(0))^(w_j S_j(0) / A) with today's
    basket A. G is lognormal.
    """

    abstract = True
    differentiable = "always"

    @staticmethod
    def start(p, i, log_spots):
        worth = sum(p.weights[i][j] * math.exp(log_spots[j]) for j in range(len(log_spots)))
        shares = tuple(
            p.weights[i][j] * math.exp(log_spots[j]) / worth for j in range(len(log_spots))
        )
        level = math.log(worth) - sum(shares[j] * log_spots[j] for j in range(len(log_spots)))
        constant = (level,)
        return constant + shares

    @staticmethod
    def finish(p, i, acc, log_spots):
        log_mean = acc[0] + sum(acc[1 + j] * log_spots[j] for j in range(len(log_spots)))
        return max(p.option_type[i] * (math.exp(log_mean) - p.strike[i]), 0.0)

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        worth = (p.weights * law.spots).sum(axis=1)
        shares = p.weights * law.spots / worth[:, None]
        own = xp.einsum("njj->nj", law.covariance)
        moves = xp.log(law.forwards / law.spots) - 0.5 * own
        variance = xp.einsum("nj,njk,nk->n", shares, law.covariance, shares)
        forward = xp.exp(xp.log(worth) + (shares * moves).sum(axis=1) + 0.5 * variance)
        price = lognormal.black(
            p.option_type, forward, p.strike, variance, law.discount, xp, special
        )
        return xp.where((p.weights >= 0.0).all(axis=1), price, xp.nan)
