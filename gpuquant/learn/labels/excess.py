"""A label less that of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.learn.labels.base import OfLabel


@dataclass(frozen=True)
class Excess(OfLabel):
    """A label less that of a benchmark at the same bar.

    Parameters
    ----------
    label : Label
    benchmark : str, optional
        An asset of the panel; by default the mean of all assets.
    """

    benchmark: str | None = None

    def of(self, prices: Any) -> np.ndarray:
        """The label of each bar and asset."""
        values = self.label.of(prices)
        if self.benchmark is not None:
            own = prices.asset(self.benchmark)
            return np.asarray(values - values[:, own : own + 1])
        known = np.isfinite(values)
        total = np.where(known, values, 0.0).sum(axis=1, keepdims=True)
        return np.asarray(values - total / np.maximum(known.sum(axis=1, keepdims=True), 1))
