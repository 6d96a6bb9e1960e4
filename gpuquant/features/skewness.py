"""Skewness of the last returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import WindowFeature
from gpuquant.indicators import rolling_skew
from gpuquant.indicators.series import change


@dataclass(frozen=True)
class Skewness(WindowFeature):
    """Skewness of the log returns of the last bars; see `indicators.rolling_skew`.

    Parameters
    ----------
    window : int or sequence of int
        Bars; >= 3. Each makes a column.

    References
    ----------
    Amaya, Christoffersen, Jacobs and Vasquez (2015).
    """

    window: int | Sequence[int] = 63
    name = "skewness"
    fewest = 3
    before = 1

    def of_window(self, bars: AdjustedBars, window: int) -> Any:
        return rolling_skew(change(np.log(bars.close)), window)
