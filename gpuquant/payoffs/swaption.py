"""Swaption: the right to enter a swap, on the zero-coupon bonds of a short-rate model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, choice, list_of, positive, real
from gpuquant.payoffs import lognormal
from gpuquant.payoffs.base import Payoff


@dataclass(frozen=True)
class Swaption(Payoff):
    """notional x max(sign (1 - P_n - strike sum of accrual_j P_j), 0), with P_j the prices at
    maturity of bonds that end at the coupon dates.

    Parameters
    ----------
    swap : Column, shape (n,)
        payer (of the fixed rate) or receiver.
    strike : Column, shape (n,)
        The fixed rate, per year.
    maturity : Column, shape (n,)
        When the swap begins, in years from today; 0 is now.
    accruals : Column of lists, shape (n, coupons)
        Years of interest that each coupon pays; > 0. The coupon dates are the model's
        `bond_maturities`.
    notional : Column, shape (n,)
        In currency units; > 0.

    Notes
    -----
    Where one normal drives all bonds the price is exact: a sum of options on the bonds.

    References
    ----------
    Jamshidian (1989), An exact bond option formula.
    """

    swap: Column = choice("payer", "receiver", codes=(1.0, -1.0))
    strike: Column = real(sample=0.04)
    accruals: Column = list_of(positive(sample=0.5))
    notional: Column = positive(default=1.0)

    assets = 0
    differentiable = "always"

    @staticmethod
    def finish(p, i, acc, log_spots):
        coupons = sum(p.accruals[i][j] * math.exp(log_spots[j]) for j in range(len(log_spots)))
        return p.notional[i] * max(
            p.swap[i] * (1.0 - math.exp(log_spots[len(log_spots) - 1]) - p.strike[i] * coupons), 0.0
        )

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        deviations = xp.sqrt(xp.einsum("njj->nj", law.covariance))
        together = (
            xp.abs(law.covariance - deviations[:, :, None] * deviations[:, None, :]).max(
                axis=(1, 2)
            )
            <= 1e-12 * deviations.max(axis=1) ** 2
        )
        flows = p.strike[:, None] * p.accruals
        flows = xp.concatenate([flows[:, :-1], flows[:, -1:] + 1.0], axis=1) * law.forwards
        # The bond prices are forward x exp(-s^2 / 2 - s z). The flows are worth 1 at exactly one z.
        low, high = xp.full(len(flows), -60.0), xp.full(len(flows), 60.0)

        def surplus(z: Any) -> Any:
            factors = xp.exp(-0.5 * deviations**2 - deviations * z[:, None])
            return (flows * factors).sum(axis=1) - 1.0

        for _ in range(100):
            z = 0.5 * (low + high)
            more = surplus(z) > 0.0
            low, high = xp.where(more, z, low), xp.where(more, high, z)
        z = lognormal.polished(surplus, z, 1e-5, xp)
        side = -p.swap
        bonds = (flows * special.ndtr(side[:, None] * (z[:, None] + deviations))).sum(axis=1)
        price = p.notional * law.discount * side * (bonds - special.ndtr(side * z))
        sure = p.notional * law.discount * xp.maximum(side * (flows.sum(axis=1) - 1.0), 0.0)
        falling = (flows >= 0.0).all(axis=1)
        return xp.where(
            together & falling, xp.where(deviations.max(axis=1) > 0.0, price, sure), xp.nan
        )

    @staticmethod
    def refuse(p: Any) -> np.ndarray | None:
        if not hasattr(p, "bond_maturities"):
            return np.full(1, "a swaption is on the bonds of a short-rate model, such as HullWhite")
        coupons = p.accruals.shape[1]
        return np.full(
            1,
            ""
            if coupons == p.assets
            else f"accruals has {coupons} values where bond_maturities has {p.assets}",
        )
