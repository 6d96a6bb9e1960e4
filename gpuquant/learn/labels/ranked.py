"""The rank of a label across assets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.features.rank import ranks
from gpuquant.learn.labels.base import OfLabel


@dataclass(frozen=True)
class Ranked(OfLabel):
    """The rank of a label across the assets of its bar, from -1/2 to 1/2."""

    def of(self, prices: Any) -> np.ndarray:
        """The label of each bar and asset."""
        return np.asarray(ranks(self.label.of(prices)))
