"""Equal sizing: each asset the same share, times its squashed forecast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuquant.data.arguments import scalar
from gpuquant.data.calendar import TRADING_DAYS
from gpuquant.sizing.base import Sizing


@dataclass(frozen=True)
class Equal(Sizing):
    """weight = max_gross x tanh(forecast) / assets with a forecast.

    Parameters
    ----------
    max_gross : float
        Sum of absolute weights when every forecast is large.
    """

    max_gross: float = 1.0

    def __post_init__(self) -> None:
        scalar("Equal max_gross", self.max_gross)

    def size(
        self, forecast: np.ndarray, close: np.ndarray, periods: float = TRADING_DAYS
    ) -> np.ndarray:
        count = np.isfinite(forecast).sum(axis=1, keepdims=True)
        return self.max_gross * np.tanh(forecast) / np.maximum(count, 1)
