"""Volatility per bar from the opens, highs, lows and closes of the last bars."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpuquant.indicators.rolling import moments, rolling_mean
from gpuquant.indicators.series import delayed, indicator, whole


@indicator
def parkinson(high: Any, low: Any, window: int) -> Any:
    """Volatility per bar from highs and lows: sqrt(mean(log(high / low)^2) / (4 log 2)).

    References
    ----------
    Parkinson (1980), equation 10.
    """
    return np.sqrt(rolling_mean(np.log(high / low) ** 2, window=window) / (4.0 * math.log(2.0)))


@indicator
def garman_klass(open: Any, high: Any, low: Any, close: Any, window: int) -> Any:
    """Volatility per bar from whole bars:
    sqrt(mean(log(high / low)^2 / 2 - (2 log 2 - 1) log(close / open)^2)).

    References
    ----------
    Garman and Klass (1980), equation 20.
    """
    square = 0.5 * np.log(high / low) ** 2
    square = square - (2.0 * math.log(2.0) - 1.0) * np.log(close / open) ** 2
    return np.sqrt(np.maximum(rolling_mean(square, window=window), 0.0))


@indicator
def yang_zhang(open: Any, high: Any, low: Any, close: Any, window: int) -> Any:
    """Volatility per bar from whole bars and the jumps between them, free of the drift.

    The square is V_open + k V_close + (1 - k) V_RS, with the variances of log(open / close before)
    and of log(close / open), Rogers and Satchell's V_RS = mean(log(high / close) log(high / open) +
    log(low / close) log(low / open)), and k = 0.34 / (1.34 + (n + 1) / (n - 1)).

    References
    ----------
    Yang and Zhang (2000), equations 7 and 10; Rogers and Satchell (1991).
    """
    n = whole(window, "window", 2)
    jump, inside = np.log(open / delayed(close, 1)), np.log(close / open)
    across = np.log(high / close) * np.log(high / open) + np.log(low / close) * np.log(low / open)
    k = 0.34 / (1.34 + (n + 1.0) / (n - 1.0))
    opens, closes = (moments(x, n)[1] / (n - 1.0) for x in (jump, inside))
    square = opens + k * closes + (1.0 - k) * rolling_mean(across, window=n)
    return np.sqrt(np.maximum(square, 0.0))
