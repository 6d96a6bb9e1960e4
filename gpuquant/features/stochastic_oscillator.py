"""The stochastic oscillator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import PriceFeature, bars, stacked
from gpuquant.indicators import stochastic


@dataclass(frozen=True)
class StochasticOscillator(PriceFeature):
    """%K and %D, from 0 to 100; see `indicators.stochastic`.

    Parameters
    ----------
    window, smooth, signal : int
        Bars of the range, and of the two means; >= 1.

    References
    ----------
    Lane (1984).
    """

    window: int = 14
    smooth: int = 3
    signal: int = 3

    def __post_init__(self) -> None:
        for name in ("window", "smooth", "signal"):
            bars(getattr(self, name), f"StochasticOscillator {name}")

    @property
    def lookback(self) -> int:
        return self.window + self.smooth + self.signal - 3

    @property
    def columns(self) -> tuple[str, ...]:
        return (f"stochastic_k_{self.window}", f"stochastic_d_{self.window}")

    def values(self, bars: AdjustedBars) -> Any:
        high, low = (bars.field(name, "StochasticOscillator") for name in ("high", "low"))
        return stacked(
            stochastic(
                high, low, bars.close, window=self.window, smooth=self.smooth, signal=self.signal
            )
        )
