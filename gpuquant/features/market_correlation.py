"""Correlation with the market."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import WindowFeature
from gpuquant.indicators import rolling_correlation
from gpuquant.indicators.series import change


@dataclass(frozen=True)
class MarketCorrelation(WindowFeature):
    """Correlation of the log return with the market's over the last bars.

    The market is the mean return of the assets that trade at the bar.

    Parameters
    ----------
    window : int or sequence of int
        Bars; >= 2. Each makes a column.

    References
    ----------
    Asness, Frazzini, Gormsen and Pedersen (2020).
    """

    window: int | Sequence[int] = 63
    name = "market_correlation"
    fewest = 2
    per_asset = False
    before = 1

    def of_window(self, bars: AdjustedBars, window: int) -> Any:
        moved = change(np.log(bars.close))
        return rolling_correlation(moved, bars.market(moved), window)
