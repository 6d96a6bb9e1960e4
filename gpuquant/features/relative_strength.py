"""The relative strength index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import WindowFeature
from gpuquant.indicators import rsi


@dataclass(frozen=True)
class RelativeStrength(WindowFeature):
    """Relative strength index of the close, from 0 to 100; see `indicators.rsi`.

    Parameters
    ----------
    window : int or sequence of int
        Bars; >= 1. Each makes a column.

    References
    ----------
    Wilder (1978).
    """

    window: int | Sequence[int] = 14
    name = "relative_strength"
    before = 1

    @property
    def memory(self) -> int | None:
        return None  # the average remembers all of the past

    def of_window(self, bars: AdjustedBars, window: int) -> Any:
        return rsi(bars.close, window)
