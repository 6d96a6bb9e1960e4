"""Indicators: functions of series along the first axis, of any library that NumPy's functions
dispatch to. Features and rules use the same ones.

>>> from gpuquant import indicators
>>> indicators.rolling_mean([1.0, 2.0, 3.0], window=2).tolist()
[nan, 1.5, 2.5]
"""

from gpuquant.indicators.bands import bollinger
from gpuquant.indicators.convergence import macd
from gpuquant.indicators.on_balance import obv
from gpuquant.indicators.range_volatility import garman_klass, parkinson, yang_zhang
from gpuquant.indicators.ranges import atr, stochastic, true_range
from gpuquant.indicators.relative_strength import rsi
from gpuquant.indicators.rolling import (
    bars_since_max,
    bars_since_min,
    rolling_beta,
    rolling_correlation,
    rolling_kurtosis,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_quantile,
    rolling_rank,
    rolling_skew,
    rolling_std,
    rolling_sum,
    rolling_trend,
)
from gpuquant.indicators.smoothing import ema, smoothing_step, wilder

__all__ = [
    "atr",
    "bars_since_max",
    "bars_since_min",
    "bollinger",
    "ema",
    "garman_klass",
    "macd",
    "obv",
    "parkinson",
    "rolling_beta",
    "rolling_correlation",
    "rolling_kurtosis",
    "rolling_max",
    "rolling_mean",
    "rolling_min",
    "rolling_quantile",
    "rolling_rank",
    "rolling_skew",
    "rolling_std",
    "rolling_sum",
    "rolling_trend",
    "rsi",
    "smoothing_step",
    "stochastic",
    "true_range",
    "wilder",
    "yang_zhang",
]
