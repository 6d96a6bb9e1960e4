"""On-balance volume of the last bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import WindowFeature
from gpuquant.indicators import obv, rolling_sum
from gpuquant.indicators.series import delayed


@dataclass(frozen=True)
class OnBalanceVolume(WindowFeature):
    """Change of on-balance volume over the last bars, as a share of their volume: from -1 to 1.

    Parameters
    ----------
    window : int or sequence of int
        Bars; >= 1. Each makes a column.

    References
    ----------
    Granville (1963).
    """

    window: int | Sequence[int] = 21
    name = "on_balance_volume"
    before = 1

    def of_window(self, bars: AdjustedBars, window: int) -> Any:
        volume = bars.field("volume", "OnBalanceVolume")
        balance = obv(bars.close, volume)
        return (balance - delayed(balance, window)) / rolling_sum(volume, window)
