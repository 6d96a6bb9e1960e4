"""Momentum: the log return over the last bars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuquant.data.panel import Panel
from gpuquant.device import Device
from gpuquant.features.base import Feature, bars


@dataclass(frozen=True)
class Momentum(Feature):
    """log(close_t / close_{t - window}), splits, dividends and delistings counted.

    Parameters
    ----------
    window : int
        Bars; >= 1.

    References
    ----------
    Jegadeesh and Titman (1993).
    """

    window: int = 21

    def __post_init__(self) -> None:
        bars(self.window, "Momentum window")

    @property
    def lookback(self) -> int:
        return self.window

    @property
    def columns(self) -> tuple[str, ...]:
        return (f"momentum_{self.window}",)

    def compute(self, panel: Panel, device: Device) -> np.ndarray:
        log = np.log(panel.total_return_index)
        out = np.full((*log.shape, 1), np.nan)
        out[self.window :, :, 0] = log[self.window :] - log[: -self.window]
        return out
