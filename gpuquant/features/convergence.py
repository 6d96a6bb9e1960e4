"""Moving-average convergence and divergence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.errors import InputError
from gpuquant.features.base import PriceFeature, bars, stacked
from gpuquant.indicators import macd


@dataclass(frozen=True)
class Convergence(PriceFeature):
    """Line, signal and histogram of `indicators.macd`, as shares of the close.

    Parameters
    ----------
    fast, slow, signal : int
        Bars of the averages; >= 1, fast below slow.

    References
    ----------
    Appel (2005).
    """

    fast: int = 12
    slow: int = 26
    signal: int = 9

    def __post_init__(self) -> None:
        for name in ("fast", "slow", "signal"):
            bars(getattr(self, name), f"Convergence {name}")
        if self.fast >= self.slow:
            raise InputError(f"Convergence fast = {self.fast}: must be below slow, {self.slow}")

    @property
    def lookback(self) -> int:
        return self.slow + self.signal - 2

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(
            f"convergence_{name}_{self.fast}_{self.slow}"
            for name in ("line", "signal", "histogram")
        )

    @property
    def memory(self) -> int | None:
        return None  # exponential averages remember all

    def values(self, bars: AdjustedBars) -> Any:
        lines = macd(bars.close, fast=self.fast, slow=self.slow, signal=self.signal)
        return stacked(line / bars.close for line in lines)
