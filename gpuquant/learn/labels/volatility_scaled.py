"""A label in units of risk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.learn.labels.base import OfLabel
from gpuquant.learn.labels.holding import volatility


@dataclass(frozen=True)
class VolatilityScaled(OfLabel):
    """A label divided by the volatility per bar that was known at its bar: each asset counts by its
    risk.

    Parameters
    ----------
    label : Label
    window : int
        Bars of returns up to the bar, for their root mean square; >= 2.
    """

    window: int = 21

    def of(self, prices: Any) -> np.ndarray:
        """The label of each bar and asset."""
        return np.asarray(self.label.of(prices) / volatility(prices, self.window))
