"""The distance from a moving average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import WindowFeature
from gpuquant.indicators import rolling_mean


@dataclass(frozen=True)
class MovingAverage(WindowFeature):
    """close / mean of the last closes - 1.

    Parameters
    ----------
    window : int or sequence of int
        Bars; >= 2. Each makes a column.

    References
    ----------
    Brock, Lakonishok and LeBaron (1992).
    """

    window: int | Sequence[int] = 20
    name = "moving_average"
    fewest = 2

    def of_window(self, bars: AdjustedBars, window: int) -> Any:
        return bars.close / rolling_mean(bars.close, window) - 1.0
