"""What a sizing is: forecasts and past prices in, target weights out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gpuquant.shown import Shown


@dataclass(frozen=True)
class Sizing(Shown):
    """The base of every sizing.

    `size(forecast, close)` turns forecasts (bars, assets) within [-1, 1], NaN where there is none,
    into weights of the same shape; row t may read closes up to t.
    """

    abstract: ClassVar[bool] = True

    def size(self, forecast: np.ndarray, close: np.ndarray) -> np.ndarray:
        """Target weights, shares of equity; NaN where there is no forecast."""
        raise NotImplementedError
