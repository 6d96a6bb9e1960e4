"""Statistics of the last bars, by doubling.

The statistic of 2n bars is made from those of two neighbouring runs of n bars, and the statistic of
any window from the powers of two in it: log2(window) passes over the series, whatever the window.
No sum runs through the whole series, so that nothing cancels, and a value depends on the bars of
its window alone, to the last bit.

References
----------
Chan, Golub and LeVeque (1979), equations 2.1, for means and variances of joined runs;
Pebay (2008), equations 2.1 and 3.1, for higher moments and co-moments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gpuquant.indicators.series import delayed, indicator, whole

Parts = tuple[Any, ...]
Join = Callable[[Parts, Parts, int, int], Parts]
CHUNK = 1 << 22  # numbers that are sorted at once


def joined(parts: Parts, join: Join, window: int) -> Parts:
    """What `join` makes of the last `window` bars, at each bar; NaN where they are not all there.

    `join(older, newer, m, n)` gives the parts of m + n bars from those of the older m and of the
    newer n.
    """
    run, size = parts, 1
    result, done = None, 0
    while True:
        if window & size:
            older = tuple(delayed(part, done) for part in run)
            result = run if result is None else join(older, result, size, done)
            done += size
        if done == window:
            return result  # type: ignore[return-value]
        run = join(tuple(delayed(part, size) for part in run), run, size, size)
        size *= 2


def moments(x: Any, window: int, order: int = 2) -> Parts:
    """Mean, and sums of powers of the deviation from it up to `order` <= 4."""
    nothing = np.where(np.isfinite(x), 0.0, np.nan)
    return joined((x, *(nothing for _ in range(order - 1))), _join_moments, window)


def _join_moments(a: Parts, b: Parts, m: int, n: int) -> Parts:
    total = m + n
    delta = b[0] - a[0]
    square = delta * delta
    out = [a[0] + delta * (n / total), a[1] + b[1] + square * (m * n / total)]
    if len(a) > 2:
        third = square * (m * n * (m - n) / total**2)
        third += (3.0 * m / total) * b[1] - (3.0 * n / total) * a[1]
        out.append(a[2] + b[2] + delta * third)
    if len(a) > 3:
        fourth = square * (m * n * (m * m - m * n + n * n) / total**3)
        fourth += (6.0 * m * m / total**2) * b[1] + (6.0 * n * n / total**2) * a[1]
        fourth *= delta
        fourth += (4.0 * m / total) * b[2] - (4.0 * n / total) * a[2]
        out.append(a[3] + b[3] + delta * fourth)
    return tuple(out)


def comoments(x: Any, y: Any, window: int) -> Parts:
    """Means of x and y, and sums of squared and of mixed deviations: (x, y, xx, yy, xy)."""
    nothing = np.where(np.isfinite(x) & np.isfinite(y), 0.0, np.nan)
    return joined((x, y, nothing, nothing, nothing), _join_comoments, window)


def _join_comoments(a: Parts, b: Parts, m: int, n: int) -> Parts:
    total, weight = m + n, m * n / (m + n)
    dx, dy = b[0] - a[0], b[1] - a[1]
    return (
        a[0] + dx * (n / total),
        a[1] + dy * (n / total),
        a[2] + b[2] + dx * dx * weight,
        a[3] + b[3] + dy * dy * weight,
        a[4] + b[4] + dx * dy * weight,
    )


def _divided(numerator: Any, denominator: Any) -> Any:
    """A ratio; zero where the denominator is zero: nothing moved."""
    moved = denominator != 0.0  # NaN differs from zero, and stays NaN
    return np.where(moved, numerator / np.where(moved, denominator, 1.0), 0.0)


@indicator
def rolling_sum(x: Any, window: int) -> Any:
    """Sum of the last `window` bars.

    >>> from gpuquant import indicators
    >>> indicators.rolling_sum([1.0, 2.0, 3.0, 4.0], window=2).tolist()
    [nan, 3.0, 5.0, 7.0]
    """
    whole(window, "window")
    return joined((x,), lambda a, b, m, n: (a[0] + b[0],), window)[0]


@indicator
def rolling_mean(x: Any, window: int) -> Any:
    """Mean of the last `window` bars."""
    return rolling_sum(x, window=window) / window


@indicator
def rolling_max(x: Any, window: int) -> Any:
    """Highest of the last `window` bars."""
    whole(window, "window")
    return joined((x,), lambda a, b, m, n: (np.maximum(a[0], b[0]),), window)[0]


@indicator
def rolling_min(x: Any, window: int) -> Any:
    """Lowest of the last `window` bars."""
    return -rolling_max(-x, window=window)


@indicator
def bars_since_max(x: Any, window: int) -> Any:
    """Bars since the highest of the last `window` bars; of equal ones the oldest."""
    whole(window, "window")
    none = np.where(np.isfinite(x), 0.0, np.nan)
    return joined((x, none), _join_highest, window)[1]


def _join_highest(a: Parts, b: Parts, m: int, n: int) -> Parts:
    older = a[0] >= b[0]
    return np.maximum(a[0], b[0]), np.where(older, a[1] + n, b[1] + 0.0 * a[1])


@indicator
def bars_since_min(x: Any, window: int) -> Any:
    """Bars since the lowest of the last `window` bars; of equal ones the oldest."""
    return bars_since_max(-x, window=window)


@indicator
def rolling_std(x: Any, window: int, ddof: int = 1) -> Any:
    """Standard deviation of the last `window` bars, with the divisor window - `ddof`."""
    whole(window, "window", 1 + ddof)
    return np.sqrt(moments(x, window)[1] / (window - ddof))


@indicator
def rolling_skew(x: Any, window: int) -> Any:
    """Skewness of the last `window` bars, adjusted for their number; 0 where nothing moved.

    G1 = sqrt(n (n - 1)) / (n - 2) m3 / m2^1.5, with m_k the mean power of the deviations.

    References
    ----------
    Joanes and Gill (1998), G1.
    """
    n = whole(window, "window", 3)
    _, second, third = moments(x, n, 3)
    return _divided(third / n, (second / n) ** 1.5) * (math.sqrt(n * (n - 1.0)) / (n - 2.0))


@indicator
def rolling_kurtosis(x: Any, window: int) -> Any:
    """Excess kurtosis of the last `window` bars, adjusted for their number.

    G2 = (n - 1) / ((n - 2) (n - 3)) ((n + 1) (m4 / m2^2 - 3) + 6).

    References
    ----------
    Joanes and Gill (1998), G2.
    """
    n = whole(window, "window", 4)
    _, second, _, fourth = moments(x, n, 4)
    excess = _divided(fourth / n, (second / n) ** 2) - 3.0
    return (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * excess + 6.0)


@indicator
def rolling_correlation(x: Any, y: Any, window: int) -> Any:
    """Correlation of two series over the last `window` bars; 0 where one does not move.

    >>> from gpuquant import indicators
    >>> indicators.rolling_correlation([1.0, 2.0, 4.0], [3.0, 2.0, 0.0], window=3).round(6).tolist()
    [nan, nan, -1.0]
    """
    _, _, xx, yy, xy = comoments(x, y, whole(window, "window", 2))
    return _divided(xy, np.sqrt(xx * yy))


@indicator
def rolling_beta(x: Any, market: Any, window: int) -> Any:
    """Slope of a series on another over the last `window` bars; 0 where the other does not move."""
    _, _, _, yy, xy = comoments(x, market, whole(window, "window", 2))
    return _divided(xy, yy)


@indicator
def rolling_trend(x: Any, window: int) -> tuple[Any, Any, Any]:
    """The straight line through the last `window` bars: slope per bar, R squared, and the distance
    of the last bar from the line.
    """
    n = whole(window, "window", 2)
    rows = np.arange(len(x), like=x).astype(float).reshape(-1, *[1] * (x.ndim - 1))
    _, level, tt, xx, tx = comoments(rows + 0.0 * x, x, n)
    slope = tx / tt
    return slope, _divided(tx * tx, tt * xx), x - (level + slope * (0.5 * (n - 1.0)))


@indicator
def rolling_quantile(x: Any, window: int, level: float) -> Any:
    """Quantile of the last `window` bars, linear between neighbours."""
    position = level * (whole(window, "window") - 1.0)
    low = math.floor(position)
    high = min(low + 1, window - 1)

    def of(windows: Any) -> Any:
        ordered = np.sort(windows, axis=-1)
        return ordered[..., low] + (position - low) * (ordered[..., high] - ordered[..., low])

    return _over_windows(x, window, of)


@indicator
def rolling_rank(x: Any, window: int) -> Any:
    """Rank of the last of `window` bars among them, from 1 / window to 1; equal ones share the
    mean of their ranks.
    """
    n = whole(window, "window")
    out = np.full_like(x, np.nan)
    last = x[n - 1 :]
    twice = 2.0 * np.ones_like(last)  # the last is equal to itself
    for bars in range(1, n):
        other = x[n - 1 - bars :][: len(last)]
        twice += other < last
        twice += other <= last
    out[n - 1 :] = np.where(np.isfinite(x[: len(last)]), 0.5 * twice / n, np.nan)
    return out


def _over_windows(x: Any, window: int, function: Callable[[Any], Any]) -> Any:
    """A function of whole windows, some bars at a time."""
    out = np.full_like(x, np.nan)
    if len(x) < window:
        return out
    windows = np.lib.stride_tricks.sliding_window_view(x, window, axis=0)
    step = max(1, CHUNK // max(1, window * x[0].size))
    for begin in range(0, len(windows), step):
        some = windows[begin : begin + step]
        values = np.where(np.isfinite(some[..., 0]), function(some), np.nan)
        out[window - 1 + begin : window - 1 + begin + len(some)] = values
    return out
