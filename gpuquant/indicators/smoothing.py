"""Averages that remember all of the past: each bar moves them by a share of its distance.

The recursion y_t = (1 - share) y_(t-1) + share x_t is summed by doubling, in log2(bars) passes. Its
step is a function of numbers, which a rule can use with the average as its state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuquant.indicators.series import indicator, whole

FORGOTTEN = 1e-20  # a weight below this adds nothing to a number of 53 bits


def smoothing_step(average: float, x: float, share: float) -> float:
    """The average after one more bar."""
    return average + share * (x - average)


@indicator
def ema(x: Any, window: int) -> Any:
    """Exponential moving average: its share is 2 / (window + 1), and it begins as the mean of the
    first `window` bars.

    >>> from gpuquant import indicators
    >>> indicators.ema([1.0, 3.0, 5.0], window=2).round(6).tolist()
    [nan, 2.0, 4.0]
    """
    return smoothed(x, whole(window, "window"), exponential(window))


@indicator
def wilder(x: Any, window: int) -> Any:
    """Wilder's average: its share is 1 / window, and it begins as the mean of the first `window`
    bars.

    References
    ----------
    Wilder (1978), New concepts in technical trading systems.
    """
    return smoothed(x, whole(window, "window"), 1.0 / window)


def exponential(window: int) -> float:
    """The share of an exponential average, whose centre lies where that of a mean of `window` bars
    does.
    """
    return 2.0 / (window + 1.0)


def smoothed(x: Any, window: int, share: float) -> Any:
    """The average with a share, which begins as the mean of the first `window` bars."""
    return from_first(lambda y: _smoothed(y, window, share), x)


def _smoothed(x: Any, window: int, share: float) -> Any:
    out = np.full_like(x, np.nan)
    if len(x) < window:
        return out
    added = share * x[window - 1 :]
    added[0] = x[:window].sum(axis=0) / window
    out[window - 1 :] = decayed(added, 1.0 - share)
    return out


def decayed(x: Any, decay: float) -> Any:
    """y_t = x_t + decay y_(t-1), y before the first bar being zero."""
    y, size, weight = x.copy(), 1, decay
    while size < len(y) and weight > FORGOTTEN:
        y[size:] = y[size:] + weight * y[:-size]
        size, weight = 2 * size, weight * weight
    return y


def from_first(function: Callable[..., Any], *series: Any) -> Any:
    """A function of series that begin at the first row, for series whose columns begin late: each
    column is moved up to the first row at which all series are known, and its result back down.
    """
    known = np.isfinite(series[0])
    for other in series[1:]:
        known = known & np.isfinite(other)
    first = known.argmax(axis=0) if len(known) else known
    if not first.any():
        return function(*series)
    rows = np.arange(len(known), like=known).reshape(-1, *[1] * first.ndim)
    up, down = rows + first, rows - first
    last = len(known) - 1
    moved = [
        np.where(up <= last, np.take_along_axis(one, np.minimum(up, last), axis=0), np.nan)
        for one in series
    ]
    result = function(*moved)
    back = np.take_along_axis(result, np.maximum(down, 0), axis=0)
    return np.where(down >= 0, back, np.nan)
