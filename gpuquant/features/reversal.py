"""Reversal: what the last bars have lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import WindowFeature
from gpuquant.indicators.series import delayed


@dataclass(frozen=True)
class Reversal(WindowFeature):
    """Minus the log return over the last bars: short-term losers tend to recover.

    Parameters
    ----------
    window : int or sequence of int
        Bars; >= 1. Each makes a column.

    References
    ----------
    Jegadeesh (1990); Lehmann (1990).
    """

    window: int | Sequence[int] = 5
    name = "reversal"
    before = 1

    def of_window(self, bars: AdjustedBars, window: int) -> Any:
        log = np.log(bars.close)
        return delayed(log, window) - log
