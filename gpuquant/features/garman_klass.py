"""Volatility from whole bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import WindowFeature, yearly
from gpuquant.indicators import garman_klass


@dataclass(frozen=True)
class GarmanKlass(WindowFeature):
    """Garman and Klass's volatility of the last bars, per year; see `indicators.garman_klass`.

    Parameters
    ----------
    window : int or sequence of int
        Bars; >= 1. Each makes a column.
    periods : float, optional
        Bars a year; by default as the dates have it.

    References
    ----------
    Garman and Klass (1980).
    """

    window: int | Sequence[int] = 21
    periods: float | None = None
    name = "garman_klass"

    def of_window(self, bars: AdjustedBars, window: int) -> Any:
        root = math.sqrt(yearly(bars, self.periods))
        return root * garman_klass(*bars.fields("GarmanKlass"), window)
