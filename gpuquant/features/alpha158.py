"""Alpha158: the bundle of price and volume features of qlib."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant import indicators as ind
from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import PriceFeature, bars, stacked
from gpuquant.indicators.series import change, delayed

TINY = 1e-12  # added to denominators that may be zero, as qlib does
BAR = ("KMID", "KLEN", "KMID2", "KUP", "KUP2", "KLOW", "KLOW2", "KSFT", "KSFT2")
PRICE = ("OPEN0", "HIGH0", "LOW0")
ROLLING = (
    "ROC", "MA", "STD", "BETA", "RSQR", "RESI", "MAX", "MIN", "QTLU", "QTLD", "RANK", "RSV", "IMAX",
    "IMIN", "IMXD", "CORR", "CORD", "CNTP", "CNTN", "CNTD", "SUMP", "SUMN", "SUMD", "VMA", "VSTD",
    "WVMA", "VSUMP", "VSUMN", "VSUMD",
)  # fmt: skip


@dataclass(frozen=True)
class Alpha158(PriceFeature):
    """Shapes of the bar, its prices as shares of the close, and 29 statistics of closes, highs,
    lows and volumes over each window; the columns have qlib's names.

    Parameters
    ----------
    windows : sequence of int
        Bars; >= 2.

    Notes
    -----
    The formulas are those of qlib's `Alpha158DL`, but for these: `VWAP0` is left out, since bars do
    not tell the average price of their trades; a window that is not full has no value; a
    correlation with something that does not move is 0; a bar without volume has no `VMA` and
    `VSTD`, and counts as no change of volume in `CORD`.

    References
    ----------
    Yang, Liu, Zhou, Bian and Liu (2020), Qlib: an AI-oriented quantitative investment platform.
    """

    windows: Sequence[int] = (5, 10, 20, 30, 60)

    def __post_init__(self) -> None:
        for window in self.windows:
            bars(window, "Alpha158 windows", 2)

    @property
    def lookback(self) -> int:
        return max(self.windows)

    @property
    def columns(self) -> tuple[str, ...]:
        return (*BAR, *PRICE, *(f"{name}{n}" for name in ROLLING for n in self.windows))

    def values(self, bars: AdjustedBars) -> Any:
        opens, high, low, close = bars.fields("Alpha158")
        volume = bars.field("volume", "Alpha158")
        by_window = [list(_rolling(high, low, close, volume, n)) for n in self.windows]
        rolling = (column for statistic in zip(*by_window, strict=True) for column in statistic)
        prices = (field / close for field in (opens, high, low))
        return stacked((*_shape(opens, high, low, close), *prices, *rolling))


def _shape(opens: Any, high: Any, low: Any, close: Any) -> Iterator[Any]:
    """The columns named in BAR."""
    top, bottom, height = np.maximum(opens, close), np.minimum(opens, close), high - low + TINY
    yield (close - opens) / opens
    yield (high - low) / opens
    yield (close - opens) / height
    for part in (high - top, bottom - low, 2.0 * close - high - low):
        yield part / opens
        yield part / height


def _rolling(high: Any, low: Any, close: Any, volume: Any, n: int) -> Iterator[Any]:
    """The columns named in ROLLING, for one window."""
    move, flow = change(close), change(volume)
    before, traded = delayed(close, 1), volume > 0.0
    slope, fit, distance = ind.rolling_trend(close, n)
    highest, lowest = ind.rolling_max(high, n), ind.rolling_min(low, n)
    since_high, since_low = ind.bars_since_max(high, n), ind.bars_since_min(low, n)
    yield delayed(close, n) / close
    yield ind.rolling_mean(close, n) / close
    yield ind.rolling_std(close, n) / close
    yield slope / close
    yield fit
    yield distance / close
    yield highest / close
    yield lowest / close
    yield ind.rolling_quantile(close, n, 0.8) / close
    yield ind.rolling_quantile(close, n, 0.2) / close
    yield ind.rolling_rank(close, n)
    yield (close - lowest) / (highest - lowest + TINY)
    yield (n - since_high) / n
    yield (n - since_low) / n
    yield (since_low - since_high) / n
    yield ind.rolling_correlation(close, np.log(volume + 1.0), n)
    yield ind.rolling_correlation(close / before, np.log(_ratio(volume) + 1.0), n)
    ups = ind.rolling_mean(np.where(np.isnan(move), np.nan, move > 0.0), n)
    downs = ind.rolling_mean(np.where(np.isnan(move), np.nan, move < 0.0), n)
    yield from (ups, downs, ups - downs)
    yield from _balance(move, n)
    units = np.where(traded, volume, np.nan)
    yield ind.rolling_mean(volume, n) / units
    yield ind.rolling_std(volume, n) / units
    weighted = np.abs(close / before - 1.0) * volume
    yield ind.rolling_std(weighted, n) / (ind.rolling_mean(weighted, n) + TINY)
    yield from _balance(flow, n)


def _balance(move: Any, n: int) -> tuple[Any, Any, Any]:
    """The shares of rises and of falls in all movement, and their difference."""
    rise, fall = (ind.rolling_sum(np.maximum(part, 0.0), n) for part in (move, -move))
    total = ind.rolling_sum(np.abs(move), n) + TINY
    return rise / total, fall / total, (rise - fall) / total


def _ratio(volume: Any) -> Any:
    """The volume over that of the bar before; 1 where one of them is 0."""
    before = delayed(volume, 1)
    both = (volume > 0.0) & (before > 0.0)
    ratio = np.where(both, volume / np.where(both, before, 1.0), 1.0)
    return np.where(np.isnan(before), np.nan, ratio)
