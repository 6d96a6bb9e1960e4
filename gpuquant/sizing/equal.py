"""Equal sizing: each asset the same share, times its forecast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuquant.data.arguments import scalar
from gpuquant.sizing.base import Sizing


@dataclass(frozen=True)
class Equal(Sizing):
    """weight = max_gross x forecast / assets.

    Parameters
    ----------
    max_gross : float
        Sum of absolute weights when every forecast is 1.
    """

    max_gross: float = 1.0

    def __post_init__(self) -> None:
        scalar("Equal max_gross", self.max_gross)

    def size(self, forecast: np.ndarray, close: np.ndarray) -> np.ndarray:
        return self.max_gross * forecast / forecast.shape[1]
