"""The average true range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import WindowFeature
from gpuquant.indicators import atr


@dataclass(frozen=True)
class AverageTrueRange(WindowFeature):
    """Average true range as a share of the close; see `indicators.atr`.

    Parameters
    ----------
    window : int or sequence of int
        Bars; >= 1. Each makes a column.

    References
    ----------
    Wilder (1978).
    """

    window: int | Sequence[int] = 14
    name = "average_true_range"
    before = 1

    @property
    def memory(self) -> int | None:
        return None  # the average remembers all of the past

    def of_window(self, bars: AdjustedBars, window: int) -> Any:
        high, low = (bars.field(name, "AverageTrueRange") for name in ("high", "low"))
        return atr(high, low, bars.close, window) / bars.close
