"""The class of a label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.errors import InputError
from gpuquant.learn.labels.base import OfLabel


@dataclass(frozen=True)
class Classes(OfLabel):
    """The class of a label: how many of the edges it is above.

    Such labels go with `losses.CrossEntropy(values=(0.0, 1.0, 2.0))`, for two edges.

    Parameters
    ----------
    label : Label
    edges : tuple of float
        Increasing.
    """

    edges: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        if list(self.edges) != sorted(set(self.edges)) or not self.edges:
            raise InputError(f"Classes edges = {self.edges!r}: must be one or more, increasing")

    def of(self, prices: Any) -> np.ndarray:
        """The label of each bar and asset."""
        values = self.label.of(prices)
        classes = np.searchsorted(self.edges, values, side="left").astype(float)
        return np.where(np.isfinite(values), classes, np.nan)
