"""Volatility from highs and lows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import WindowFeature, yearly
from gpuquant.indicators import parkinson


@dataclass(frozen=True)
class Parkinson(WindowFeature):
    """Parkinson's volatility of the last bars, per year; see `indicators.parkinson`.

    Parameters
    ----------
    window : int or sequence of int
        Bars; >= 1. Each makes a column.
    periods : float, optional
        Bars a year; by default as the dates have it.

    References
    ----------
    Parkinson (1980).
    """

    window: int | Sequence[int] = 21
    periods: float | None = None
    name = "parkinson"

    def of_window(self, bars: AdjustedBars, window: int) -> Any:
        high, low = (bars.field(name, "Parkinson") for name in ("high", "low"))
        return math.sqrt(yearly(bars, self.periods)) * parkinson(high, low, window)
