"""The distance from the mean across the assets of a bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.panel import Panel
from gpuquant.device import Device
from gpuquant.features.across_assets import AcrossAssets, less_mean


@dataclass(frozen=True)
class ZScore(AcrossAssets):
    """A feature's distance from its mean across the assets of a bar, in standard deviations; 0
    where all assets have the same value.

    Parameters
    ----------
    feature : Feature
        What is compared.
    """

    name = "zscore"

    def compared(self, values: Any, panel: Panel, device: Device) -> Any:
        known = np.isfinite(values)
        away = less_mean(values, known)
        count = np.maximum(known.sum(axis=1, keepdims=True), 1)
        spread = np.sqrt(np.where(known, away * away, 0.0).sum(axis=1, keepdims=True) / count)
        return away / np.where(spread > 0.0, spread, 1.0)
