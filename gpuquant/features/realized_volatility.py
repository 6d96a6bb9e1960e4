"""Realised volatility of the last bars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuquant.data.panel import Panel
from gpuquant.device import Device
from gpuquant.features.base import Feature, bars, log_returns
from gpuquant.models.base import rolling_mean
from gpuquant.sums import PERIODS


@dataclass(frozen=True)
class RealizedVolatility(Feature):
    """Square root of the mean squared log return over `window` bars, annualised with 252 bars.

    Parameters
    ----------
    window : int
        Bars; >= 2.

    References
    ----------
    Andersen, Bollerslev, Diebold and Labys (2003).
    """

    window: int = 21

    def __post_init__(self) -> None:
        bars(self.window, "RealizedVolatility window", 2)

    @property
    def lookback(self) -> int:
        return self.window

    @property
    def columns(self) -> tuple[str, ...]:
        return (f"realized_volatility_{self.window}",)

    def compute(self, panel: Panel, device: Device) -> np.ndarray:
        returns = log_returns(panel)
        return np.sqrt(np.maximum(rolling_mean(returns * returns, self.window), 0.0) * PERIODS)[
            ..., None
        ]
