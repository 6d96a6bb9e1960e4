"""Beta to the market."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import WindowFeature
from gpuquant.indicators import rolling_beta
from gpuquant.indicators.series import change


@dataclass(frozen=True)
class Beta(WindowFeature):
    """Slope of the log return on the market's over the last bars.

    The market is the mean return of the assets that trade at the bar.

    Parameters
    ----------
    window : int or sequence of int
        Bars; >= 2. Each makes a column.

    References
    ----------
    Frazzini and Pedersen (2014).
    """

    window: int | Sequence[int] = 63
    name = "beta"
    fewest = 2
    per_asset = False
    before = 1

    def of_window(self, bars: AdjustedBars, window: int) -> Any:
        moved = change(np.log(bars.close))
        return rolling_beta(moved, bars.market(moved), window)
