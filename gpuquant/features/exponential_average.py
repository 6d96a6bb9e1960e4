"""The distance from an exponential moving average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import WindowFeature
from gpuquant.indicators import ema


@dataclass(frozen=True)
class ExponentialAverage(WindowFeature):
    """close / exponential moving average - 1; see `indicators.ema`.

    Parameters
    ----------
    window : int or sequence of int
        Bars; >= 2. Each makes a column.
    """

    window: int | Sequence[int] = 20
    name = "exponential_average"
    fewest = 2

    @property
    def memory(self) -> int | None:
        return None  # the average remembers all of the past

    def of_window(self, bars: AdjustedBars, window: int) -> Any:
        return bars.close / ema(bars.close, window) - 1.0
