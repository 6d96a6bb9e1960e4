"""Commission: what a broker's price list says, and what an order does to the price."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from gpuquant.costs.base import Cost
from gpuquant.data.domains import Column, nonnegative


@dataclass(frozen=True)
class Commission(Cost):
    """fee = fixed + max(minimum, rate x value + per_unit x units); price x (1 +- (slippage + spread
    / 2 + impact sqrt(units / volume))).

    Parameters
    ----------
    rate : Column, shape (1,)
        Share of the traded value; >= 0.
    fixed : Column, shape (1,)
        Fee per order, in currency units; >= 0.
    minimum : Column, shape (1,)
        Smallest value of the part of the fee that depends on the size, in currency units; >= 0.
    per_unit : Column, shape (1,)
        Fee for each unit, in currency units; >= 0.
    slippage : Column, shape (1,)
        Price moved against the order, as a share; >= 0.
    spread : Column, shape (1,)
        Spread between bid and ask, as a share of the price; an order pays half of it; >= 0.
    impact : Column, shape (1,)
        Price impact of an order as large as the bar's volume, as a share of the price; needs a
        panel with volume; >= 0.

    Notes
    -----
    A typical `impact` is near the volatility of one bar.

    References
    ----------
    Almgren, Thum, Hauptmann and Li (2005), for the impact's form.
    """

    rate: Column = nonnegative(default=0.0, sample=0.001)
    fixed: Column = nonnegative(default=0.0, sample=1.0)
    minimum: Column = nonnegative(default=0.0, sample=1.0)
    per_unit: Column = nonnegative(default=0.0, sample=0.005)
    slippage: Column = nonnegative(default=0.0, sample=0.0005)
    spread: Column = nonnegative(default=0.0, sample=0.0005)
    impact: Column = nonnegative(default=0.0, sample=0.01)

    uses_volume: ClassVar[bool] = True

    @staticmethod
    def fill(c, i, price, side, share):
        return price * (
            1.0 + side * (c.slippage[i] + 0.5 * c.spread[i] + c.impact[i] * math.sqrt(share))
        )

    @staticmethod
    def charge(c, i, value, size):
        return c.fixed[i] + max(c.minimum[i], c.rate[i] * value + c.per_unit[i] * size)

    @staticmethod
    def afford(c, i, cash, price):
        left = cash - c.fixed[i]
        sliding = left / (1.0 + c.rate[i] + c.per_unit[i] / price)
        return max(min(sliding, left - c.minimum[i]), 0.0)

    @property
    def per_unit_turnover(self) -> float:
        return float(self.rate[0] + self.slippage[0] + 0.5 * self.spread[0])
