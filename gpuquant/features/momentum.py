"""Momentum: the log return over the last bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import WindowFeature
from gpuquant.indicators.series import delayed


@dataclass(frozen=True)
class Momentum(WindowFeature):
    """log(close_t / close_{t - window}), splits, dividends and delistings counted.

    Parameters
    ----------
    window : int or sequence of int
        Bars; >= 1. Each makes a column.

    References
    ----------
    Jegadeesh and Titman (1993).
    """

    window: int | Sequence[int] = 21
    name = "momentum"
    before = 1

    def of_window(self, bars: AdjustedBars, window: int) -> Any:
        log = np.log(bars.close)
        return log - delayed(log, window)
