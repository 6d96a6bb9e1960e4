"""Bands around an average."""

from __future__ import annotations

from typing import Any

from gpuquant.indicators.rolling import rolling_mean, rolling_std
from gpuquant.indicators.series import indicator


@indicator
def bollinger(close: Any, window: int = 20, width: float = 2.0) -> tuple[Any, Any, Any]:
    """Bollinger bands, lower, middle and upper: the mean of the last bars, and `width` standard
    deviations (of divisor `window`) on both sides.

    References
    ----------
    Bollinger (2001), Bollinger on Bollinger bands.
    """
    middle = rolling_mean(close, window=window)
    away = width * rolling_std(close, window=window, ddof=0)
    return middle - away, middle, middle + away
