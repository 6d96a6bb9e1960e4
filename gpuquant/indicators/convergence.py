"""Moving-average convergence and divergence."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuquant.errors import InputError
from gpuquant.indicators.series import indicator, whole
from gpuquant.indicators.smoothing import ema, exponential, from_first, smoothed


@indicator
def macd(close: Any, fast: int = 12, slow: int = 26, signal: int = 9) -> tuple[Any, Any, Any]:
    """Moving-average convergence and divergence: the line EMA(fast) - EMA(slow), its signal
    EMA(line, signal), and the histogram line - signal.

    Both averages begin at the bar at which the slow one does.

    References
    ----------
    Appel (2005), Technical analysis: power tools for active investors.
    """
    whole(signal, "signal")
    if whole(fast, "fast") >= whole(slow, "slow"):
        raise InputError(f"fast = {fast}: must be below slow, {slow}")
    line = from_first(lambda x: _line(x, fast, slow), close)
    average = ema(line, window=signal)
    return line, average, line - average


def _line(close: Any, fast: int, slow: int) -> Any:
    quick = np.full_like(close, np.nan)
    if len(close) >= slow:
        quick[slow - fast :] = smoothed(close[slow - fast :], fast, exponential(fast))
    return quick - smoothed(close, slow, exponential(slow))
