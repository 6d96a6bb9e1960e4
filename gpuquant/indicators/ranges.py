"""Indicators of the range of bars: true range, average true range, stochastic oscillator."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuquant.indicators.rolling import rolling_max, rolling_mean, rolling_min
from gpuquant.indicators.series import delayed, indicator, whole
from gpuquant.indicators.smoothing import wilder


@indicator
def true_range(high: Any, low: Any, close: Any) -> Any:
    """The range of a bar and of the close before it: max(high, close before) - min(low, close
    before); NaN at the first bar.
    """
    before = delayed(close, 1)
    return np.maximum(high, before) - np.minimum(low, before)


@indicator
def atr(high: Any, low: Any, close: Any, window: int = 14) -> Any:
    """Average true range, by Wilder's average.

    References
    ----------
    Wilder (1978), section III.
    """
    return wilder(true_range(high, low, close), window=whole(window, "window"))


@indicator
def stochastic(
    high: Any, low: Any, close: Any, window: int = 5, smooth: int = 3, signal: int = 3
) -> tuple[Any, Any]:
    """Stochastic oscillator, %K and %D: where the close is in the range of the last `window` bars,
    in percent, averaged over `smooth` bars; and the mean of %K over `signal` bars.

    In a range without width the close is at 50 percent.

    References
    ----------
    Lane (1984), Lane's stochastics.
    """
    lowest = rolling_min(low, window=window)
    width = rolling_max(high, window=window) - lowest
    still = width == 0.0
    place = np.where(still, 50.0, 100.0 * (close - lowest) / np.where(still, 1.0, width))
    slow = rolling_mean(place, window=smooth)
    return slow, rolling_mean(slow, window=signal)
