"""What a cost is: columns, and plain functions of an order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gpuquant.data.columns import Member


@dataclass(frozen=True)
class Cost(Member):
    """The base of every cost.

    - `fill(c, i, price, side, share)` gives the price paid (side 1) or received (side -1); side is
      0 where the price is a limit. `share` is the order's share of the bar's volume;
    - `charge(c, i, value, size)` gives the fee for trading `value` in `size` units;
    - `afford(c, i, cash, price)` gives the value that `cash` pays for, fee included.

    A cost may leave out the last arguments. `uses_volume` is True where `fill` takes `share`.
    """

    abstract: ClassVar[bool] = True
    uses_volume: ClassVar[bool] = False

    @staticmethod
    def fill(c: Any, i: int, price: float, side: float, share: float) -> float:
        """Price of a fill."""
        raise NotImplementedError

    @staticmethod
    def charge(c: Any, i: int, value: float, size: float) -> float:
        """Fee of a fill."""
        raise NotImplementedError

    @staticmethod
    def afford(c: Any, i: int, cash: float, price: float) -> float:
        """Value that `cash` buys, fee included."""
        raise NotImplementedError

    @property
    def per_unit_turnover(self) -> float:
        """What trading 1 of value costs, to first order: what a learner is charged in its loss."""
        raise NotImplementedError
