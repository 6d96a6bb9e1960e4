"""What a cost is: columns, and plain functions of an order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gpuquant.columns import Member


@dataclass(frozen=True)
class Cost(Member):
    """The base of every cost.

    - `fill(c, i, price, side)`, the price paid (side 1) or received (side -1);
    - `charge(c, i, value)`, the fee for trading `value`;
    - `afford(c, i, cash)`, the value whose price and fee `cash` just pays.
    """

    abstract: ClassVar[bool] = True

    @staticmethod
    def fill(c: Any, i: int, price: float, side: float) -> float:
        """Price of a fill."""
        raise NotImplementedError

    @staticmethod
    def charge(c: Any, i: int, value: float) -> float:
        """Fee of a fill."""
        raise NotImplementedError

    @staticmethod
    def afford(c: Any, i: int, cash: float) -> float:
        """Value that `cash` buys, fee included."""
        raise NotImplementedError

    @property
    def per_unit_turnover(self) -> float:
        """What trading 1 of value costs, to first order: what a learner is charged in its loss."""
        raise NotImplementedError
