"""Realised volatility of the last bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import WindowFeature, yearly
from gpuquant.indicators import rolling_mean
from gpuquant.indicators.series import change


@dataclass(frozen=True)
class RealizedVolatility(WindowFeature):
    """Square root of the mean squared log return over the last bars, per year.

    Parameters
    ----------
    window : int or sequence of int
        Bars; >= 2. Each makes a column.
    periods : float, optional
        Bars a year; by default as the dates have it.

    References
    ----------
    Andersen, Bollerslev, Diebold and Labys (2003).
    """

    window: int | Sequence[int] = 21
    periods: float | None = None
    name = "realized_volatility"
    fewest = 2
    before = 1

    def of_window(self, bars: AdjustedBars, window: int) -> Any:
        squares = change(np.log(bars.close)) ** 2
        root = math.sqrt(yearly(bars, self.periods))
        return root * np.sqrt(rolling_mean(squares, window))
