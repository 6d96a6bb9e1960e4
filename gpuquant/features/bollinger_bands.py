"""Where the close is in its Bollinger bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.errors import InputError
from gpuquant.features.base import PriceFeature, bars, stacked
from gpuquant.indicators import bollinger


@dataclass(frozen=True)
class BollingerBands(PriceFeature):
    """Place of the close in the bands, 0 at the lower and 1 at the upper one, and the width of the
    bands as a share of the middle; see `indicators.bollinger`.

    Parameters
    ----------
    window : int
        Bars; >= 2.
    width : float
        Standard deviations; > 0.

    References
    ----------
    Bollinger (2001).
    """

    window: int = 20
    width: float = 2.0

    def __post_init__(self) -> None:
        bars(self.window, "BollingerBands window", 2)
        if not self.width > 0.0:
            raise InputError(f"BollingerBands width = {self.width!r}: must be > 0")

    @property
    def lookback(self) -> int:
        return self.window - 1

    @property
    def columns(self) -> tuple[str, ...]:
        return (f"bollinger_place_{self.window}", f"bollinger_width_{self.window}")

    def values(self, bars: AdjustedBars) -> Any:
        lower, middle, upper = bollinger(bars.close, window=self.window, width=self.width)
        still = upper == lower
        place = np.where(still, 0.5, (bars.close - lower) / np.where(still, 1.0, upper - lower))
        return stacked((place, (upper - lower) / middle))
