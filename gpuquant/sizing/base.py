"""What a sizing is: forecasts and past prices in, target weights out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gpuquant.data.calendar import TRADING_DAYS
from gpuquant.shown import Shown


@dataclass(frozen=True)
class Sizing(Shown):
    """The base of every sizing.

    `size(forecast, close)` turns forecasts (bars, assets), in units of a typical forecast and NaN
    where there is none, into weights of the same shape; row t may read closes up to t. A close is
    NaN at a bar at which its asset does not trade.
    """

    abstract: ClassVar[bool] = True

    def size(
        self, forecast: np.ndarray, close: np.ndarray, periods: float = TRADING_DAYS
    ) -> np.ndarray:
        """Target weights, shares of equity; NaN where there is no forecast. `periods` is how many
        bars a year has.
        """
        raise NotImplementedError
