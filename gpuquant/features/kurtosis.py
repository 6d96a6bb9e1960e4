"""Kurtosis of the last returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import WindowFeature
from gpuquant.indicators import rolling_kurtosis
from gpuquant.indicators.series import change


@dataclass(frozen=True)
class Kurtosis(WindowFeature):
    """Excess kurtosis of the log returns of the last bars; see `indicators.rolling_kurtosis`.

    Parameters
    ----------
    window : int or sequence of int
        Bars; >= 4. Each makes a column.

    References
    ----------
    Amaya, Christoffersen, Jacobs and Vasquez (2015).
    """

    window: int | Sequence[int] = 63
    name = "kurtosis"
    fewest = 4
    before = 1

    def of_window(self, bars: AdjustedBars, window: int) -> Any:
        return rolling_kurtosis(change(np.log(bars.close)), window)
