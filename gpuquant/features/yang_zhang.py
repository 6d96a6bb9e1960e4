"""Volatility from whole bars and the jumps between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import WindowFeature, yearly
from gpuquant.indicators import yang_zhang


@dataclass(frozen=True)
class YangZhang(WindowFeature):
    """Yang and Zhang's volatility of the last bars, per year; see `indicators.yang_zhang`.

    Parameters
    ----------
    window : int or sequence of int
        Bars; >= 2. Each makes a column.
    periods : float, optional
        Bars a year; by default as the dates have it.

    References
    ----------
    Yang and Zhang (2000).
    """

    window: int | Sequence[int] = 21
    periods: float | None = None
    name = "yang_zhang"
    fewest = 2
    before = 1

    def of_window(self, bars: AdjustedBars, window: int) -> Any:
        root = math.sqrt(yearly(bars, self.periods))
        return root * yang_zhang(*bars.fields("YangZhang"), window)
