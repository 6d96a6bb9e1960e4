"""Trading without costs; a result reports that trading is free."""

from __future__ import annotations

from dataclasses import dataclass

from gpuquant.costs.base import Cost


@dataclass(frozen=True)
class NoCost(Cost):
    """Trading for nothing."""

    abstract = True

    @staticmethod
    def fill(c, i, price):
        return price

    @staticmethod
    def charge(c, i, value):
        return 0.0 * value

    @staticmethod
    def afford(c, i, cash):
        return cash
