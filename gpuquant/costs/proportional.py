"""Proportional cost: a fee and a slippage, each a share of the traded value."""

from __future__ import annotations

from dataclasses import dataclass

from gpuquant.costs.base import Cost
from gpuquant.data.domains import Column, nonnegative


@dataclass(frozen=True)
class Proportional(Cost):
    """A fee of `rate` x value; a buy fills at price x (1 + slippage), a sale at price x (1 -
    slippage).

    Parameters
    ----------
    rate : Column, shape (1,)
        Fee as a share of the traded value; >= 0.
    slippage : Column, shape (1,)
        Price moved against the order, as a share; >= 0.
    """

    rate: Column = nonnegative(default=0.0, sample=0.001)
    slippage: Column = nonnegative(default=0.0, sample=0.0005)

    @staticmethod
    def fill(c, i, price, side):
        return price * (1.0 + side * c.slippage[i])

    @staticmethod
    def charge(c, i, value):
        return c.rate[i] * value

    @staticmethod
    def afford(c, i, cash):
        return cash / (1.0 + c.rate[i])

    @property
    def per_unit_turnover(self) -> float:
        return float(self.rate[0] + self.slippage[0])
