"""How many values of indicators a second, for all assets of a panel, beside TA-Lib and pandas?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import Row, ratio
from gpuquant import indicators

BARS, ASSETS, ROUNDS = 2_500, 500, 3


def run() -> list[Row]:
    """Each indicator is checked against the rival's, then both are timed from arrays to arrays."""
    draw = np.random.default_rng(0)
    close = 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.01, (BARS, ASSETS)), axis=0))
    spread = np.abs(draw.normal(0.0, 0.01, (2, BARS, ASSETS)))
    high, low = close * np.exp(spread[0]), close * np.exp(-spread[1])
    volume = draw.integers(1, 10**6, close.shape).astype(float)
    rows = []
    for rival, cases in (
        ("TA-Lib", _talib(high, low, close, volume)),
        ("pandas", _pandas(close, volume)),
    ):
        ratios, slowest = [], ("", np.inf)
        spent = np.zeros(2)
        for name, (ours, theirs) in cases.items():
            _check(name, ours(), theirs())
            value, mine, its = ratio(ours, theirs, ROUNDS)
            spent += 1.0 / mine, 1.0 / its
            ratios.append(value)
            slowest = min(slowest, (name, value), key=lambda one: one[1])
        count = close.size * len(cases) / 1e6
        rows.append(
            Row(
                f"{len(cases)} indicators, {ASSETS} assets x {BARS:,} bars, over {rival}'s rate",
                spent[1] / spent[0],
                "x",
                None,
                True,
                f"{count / spent[0]:.1f} and {count / spent[1]:.1f} million values a second; "
                f"median of each {np.median(ratios):.2f}, least {slowest[0]} {slowest[1]:.2f}",
            )
        )
    return rows


def _check(name: str, ours: Any, theirs: Any) -> None:
    each = zip(*(one if isinstance(one, tuple) else (one,) for one in (ours, theirs)), strict=True)
    for one, other in each:
        known = np.isfinite(one) & np.isfinite(other)
        assert known.mean() > 0.9, name
        # pandas's running sums lose digits of the fourth moment
        np.testing.assert_allclose(one[known], other[known], 1e-6, 1e-6, err_msg=name)


def _talib(high: Any, low: Any, close: Any, volume: Any) -> dict[str, Any]:
    """TA-Lib sees one series at a time; each must lie in one piece."""
    import talib

    def each(function: Callable[..., Any], *frames: Any) -> Any:
        pieces = [np.ascontiguousarray(frame.T) for frame in frames]
        told = [function(*series) for series in zip(*pieces, strict=True)]
        if isinstance(told[0], tuple):
            return tuple(np.stack(part, axis=1) for part in zip(*told, strict=True))
        return np.stack(told, axis=1)

    return {
        "mean": (
            lambda: indicators.rolling_mean(close, 63),
            lambda: each(lambda x: talib.SMA(x, 63), close),
        ),
        "highest": (
            lambda: indicators.rolling_max(close, 63),
            lambda: each(lambda x: talib.MAX(x, 63), close),
        ),
        "trend": (
            lambda: indicators.rolling_trend(close, 20)[0],
            lambda: each(lambda x: talib.LINEARREG_SLOPE(x, 20), close),
        ),
        "correlation": (
            lambda: indicators.rolling_correlation(close, high, 20),
            lambda: each(lambda x, y: talib.CORREL(x, y, 20), close, high),
        ),
        "ema": (
            lambda: indicators.ema(close, 20),
            lambda: each(lambda x: talib.EMA(x, 20), close),
        ),
        "rsi": (
            lambda: indicators.rsi(close, 14),
            lambda: each(lambda x: talib.RSI(x, 14), close),
        ),
        "macd": (lambda: indicators.macd(close), lambda: each(talib.MACD, close)),
        "bollinger": (
            lambda: indicators.bollinger(close),
            lambda: each(lambda x: talib.BBANDS(x, 20, 2, 2)[::-1], close),
        ),
        "atr": (
            lambda: indicators.atr(high, low, close, 14),
            lambda: each(lambda *bars: talib.ATR(*bars, 14), high, low, close),
        ),
        "stochastic": (
            lambda: indicators.stochastic(high, low, close),
            lambda: each(talib.STOCH, high, low, close),
        ),
        "obv": (lambda: indicators.obv(close, volume), lambda: each(talib.OBV, close, volume)),
    }


def _pandas(close: Any, volume: Any) -> dict[str, Any]:
    def rolling(what: str, window: int, *how: Any) -> Any:
        made = pd.DataFrame(close).rolling(window)
        return getattr(made, what)(*how).to_numpy()

    return {
        "mean": (lambda: indicators.rolling_mean(close, 63), lambda: rolling("mean", 63)),
        "deviation": (lambda: indicators.rolling_std(close, 20), lambda: rolling("std", 20)),
        "skewness": (lambda: indicators.rolling_skew(close, 63), lambda: rolling("skew", 63)),
        "kurtosis": (lambda: indicators.rolling_kurtosis(close, 63), lambda: rolling("kurt", 63)),
        "highest": (lambda: indicators.rolling_max(close, 63), lambda: rolling("max", 63)),
        "rank": (lambda: indicators.rolling_rank(close, 20) * 20, lambda: rolling("rank", 20)),
        "quantile": (
            lambda: indicators.rolling_quantile(close, 20, 0.8),
            lambda: rolling("quantile", 20, 0.8),
        ),
        "correlation": (
            lambda: indicators.rolling_correlation(close, volume, 20),
            lambda: rolling("corr", 20, pd.DataFrame(volume)),
        ),
    }
