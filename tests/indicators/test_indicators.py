"""Indicators: equal to TA-Lib and pandas, causal to the bit, on any array library."""

import inspect

import numpy as np
import pandas as pd
import pytest

from gpuquant import indicators
from gpuquant.errors import DataError, InputError
from tests.indicators.duck import DeviceArray

talib = pytest.importorskip("talib")
ROWS = 500
DRAW = np.random.default_rng(11)
CLOSE = 100.0 * np.exp(np.cumsum(DRAW.normal(0.0, 0.01, ROWS)))
HIGH, LOW = (CLOSE * np.exp(s * np.abs(DRAW.normal(0.0, 0.01, ROWS))) for s in (1.0, -1.0))
OPEN = LOW + (HIGH - LOW) * DRAW.random(ROWS)
VOLUME = DRAW.integers(1, 10**6, ROWS).astype(float)
SERIES = {
    "x": CLOSE, "y": VOLUME, "market": OPEN, "close": CLOSE, "open": OPEN, "high": HIGH, "low": LOW,
    "volume": VOLUME,
}  # fmt: skip
NAMES = [name for name in indicators.__all__ if name != "smoothing_step"]


def call(name, **series):
    """An indicator of some series, with its own defaults or a window of 20; a tuple of results."""
    function = getattr(indicators, name)
    parameters = inspect.signature(function).parameters
    given = {key: series[key] for key in parameters if key in series}
    if "window" in parameters:
        given["window"] = 20
    if "level" in parameters:
        given["level"] = 0.3
    result = function(**given)
    return result if isinstance(result, tuple) else (result,)


def equal(ours, theirs, warm=0):
    """Relative equality to 1e-9 where both are known, and known where the oracle is."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert np.isfinite(ours[np.isfinite(theirs)]).all()
    known = np.isfinite(ours) & np.isfinite(theirs)
    assert known.sum() > ROWS - 120 and (~known[:warm]).all()
    np.testing.assert_allclose(ours[known], theirs[known], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda: indicators.ema(CLOSE, 20), lambda: talib.EMA(CLOSE, 20)),
        (lambda: indicators.rsi(CLOSE, 14), lambda: talib.RSI(CLOSE, 14)),
        (lambda: indicators.atr(HIGH, LOW, CLOSE, 14), lambda: talib.ATR(HIGH, LOW, CLOSE, 14)),
        (lambda: indicators.true_range(HIGH, LOW, CLOSE), lambda: talib.TRANGE(HIGH, LOW, CLOSE)),
        (lambda: indicators.macd(CLOSE), lambda: talib.MACD(CLOSE)),
        (lambda: indicators.bollinger(CLOSE), lambda: talib.BBANDS(CLOSE, 20, 2, 2)[::-1]),
        (lambda: indicators.stochastic(HIGH, LOW, CLOSE), lambda: talib.STOCH(HIGH, LOW, CLOSE)),
        (lambda: indicators.obv(CLOSE, VOLUME), lambda: talib.OBV(CLOSE, VOLUME)),
        (lambda: indicators.rolling_mean(CLOSE, 63), lambda: talib.SMA(CLOSE, 63)),
        (lambda: indicators.rolling_max(CLOSE, 63), lambda: talib.MAX(CLOSE, 63)),
        (lambda: indicators.rolling_min(CLOSE, 63), lambda: talib.MIN(CLOSE, 63)),
        (
            lambda: indicators.rolling_trend(CLOSE, 20)[0],
            lambda: talib.LINEARREG_SLOPE(CLOSE, 20),
        ),
        (
            lambda: indicators.rolling_correlation(CLOSE, OPEN, 20),
            lambda: talib.CORREL(CLOSE, OPEN, 20),
        ),
    ],
)
def test_as_talib(ours, theirs):
    one, other = ours(), theirs()
    for mine, its in zip(
        *((r if isinstance(r, tuple) else (r,)) for r in (one, other)), strict=True
    ):
        equal(mine, its)


@pytest.mark.parametrize("window", [4, 7, 20, 63])
def test_as_pandas(window):
    rolling, other = pd.Series(CLOSE).rolling(window), pd.Series(VOLUME)
    lines = [
        np.polyfit(np.arange(window), w, 1)
        for w in np.lib.stride_tricks.sliding_window_view(CLOSE, window)
    ]
    pairs = {
        "rolling_sum": rolling.sum(),
        "rolling_mean": rolling.mean(),
        "rolling_std": rolling.std(),
        "rolling_skew": rolling.skew(),
        "rolling_kurtosis": rolling.kurt(),
        "rolling_rank": rolling.rank() / window,
        "bars_since_max": window - 1 - rolling.apply(np.argmax, raw=True),
        "bars_since_min": window - 1 - rolling.apply(np.argmin, raw=True),
    }
    for name, theirs in pairs.items():
        equal(getattr(indicators, name)(CLOSE, window), theirs, window - 1)
    equal(indicators.rolling_quantile(CLOSE, window, 0.8), rolling.quantile(0.8), window - 1)
    beta = rolling.cov(other) / other.rolling(window).var()
    np.testing.assert_allclose(indicators.rolling_beta(CLOSE, VOLUME, window), beta, rtol=1e-8)
    slope, fit, distance = indicators.rolling_trend(CLOSE, window)
    np.testing.assert_allclose(slope[window - 1 :], [line[0] for line in lines], rtol=1e-7)
    ends = [np.polyval(line, window - 1) for line in lines]
    np.testing.assert_allclose(distance[window - 1 :], CLOSE[window - 1 :] - ends, atol=1e-9)
    along = pd.Series(np.arange(float(ROWS))).rolling(window).corr(pd.Series(CLOSE)) ** 2
    np.testing.assert_allclose(fit, along, rtol=1e-8, atol=1e-12)


def test_range_volatility_finds_the_volatility_of_its_paths():
    """A Brownian motion of 390 steps a day: each estimator within 4 standard errors, its error
    being below that of squared returns; the discrete path takes some of the range away.
    """
    days, steps, true = 20_000, 390, 0.01
    path = np.cumsum(np.random.default_rng(0).normal(0.0, true / steps**0.5, (days, steps)), axis=1)
    base = np.concatenate([[0.0], np.cumsum(path[:-1, -1])])[:, None]
    path = np.exp(np.concatenate([np.zeros((days, 1)), path], axis=1) + base)
    bars = path[:, 0], path.max(1), path.min(1), path[:, -1]
    for values in (
        indicators.parkinson(*bars[1:3], days),
        indicators.garman_klass(*bars, days),
        indicators.yang_zhang(*bars, days - 1),
    ):
        # the highest of 390 steps is lower than that of the continuous path: Garman and Klass
        # (1980), table 1, has 0.97 of the variance's root for 200 to 500 steps
        assert 0.93 * true < values[-1] < 1.01 * true


def test_volatility_by_its_formula():
    n = 20
    jump = pd.Series(np.log(OPEN[1:] / CLOSE[:-1])).rolling(n).var()
    inside = pd.Series(np.log(CLOSE / OPEN)).rolling(n).var()
    across = np.log(HIGH / CLOSE) * np.log(HIGH / OPEN) + np.log(LOW / CLOSE) * np.log(LOW / OPEN)
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    square = jump.to_numpy() + (k * inside + (1 - k) * pd.Series(across).rolling(n).mean())[1:]
    np.testing.assert_allclose(
        indicators.yang_zhang(OPEN, HIGH, LOW, CLOSE, n)[1:], np.sqrt(square), rtol=1e-9
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_past_keeps_its_bits_when_the_future_changes(name):
    whole = call(name, **SERIES)
    for cut in (3, 130, 377):
        begun = call(name, **{key: values[:cut] for key, values in SERIES.items()})
        for one, other in zip(whole, begun, strict=True):
            np.testing.assert_array_equal(one[:cut], other)


@pytest.mark.parametrize("name", NAMES)
def test_a_column_that_begins_late_is_the_series_that_begins_there(name):
    starts = (0, 60, 17)
    late = {key: np.stack([values] * 3, axis=1) for key, values in SERIES.items()}
    for values in late.values():
        for column, start in enumerate(starts):
            values[:start, column] = np.nan
    whole = call(name, **late)
    for column, start in enumerate(starts):
        alone = call(name, **{key: values[start:] for key, values in SERIES.items()})
        for one, other in zip(whole, alone, strict=True):
            np.testing.assert_allclose(one[start:, column], other, rtol=1e-9, atol=1e-9)
            assert np.isnan(one[:start, column]).all()


@pytest.mark.parametrize("name", NAMES)
def test_runs_where_arrays_of_the_host_may_not_be_mixed_in(name):
    """In CuPy's place."""
    late = {key: np.stack([values] * 2, axis=1) for key, values in SERIES.items()}
    for values in late.values():
        values[:9, 1] = np.nan
    theirs = call(name, **{key: DeviceArray(values) for key, values in late.items()})
    for one, other in zip(call(name, **late), theirs, strict=True):
        assert isinstance(other, DeviceArray)
        np.testing.assert_array_equal(one, other.array)


def test_the_twin_refuses_arrays_of_the_host():
    with pytest.raises(TypeError, match="host"):
        DeviceArray(CLOSE) + CLOSE


def test_series_keep_their_type_and_index():
    frame = pd.DataFrame({"A": CLOSE, "B": OPEN}, pd.bdate_range("2020-01-01", periods=ROWS))
    lower, _, upper = indicators.bollinger(frame)
    assert lower.index.equals(frame.index) and list(upper.columns) == ["A", "B"]
    series = indicators.rsi(frame["A"], 14)
    assert series.name == "A" and isinstance(series, pd.Series)


def test_a_gap_and_a_wrong_window_are_named():
    gap = CLOSE.copy()
    gap[41] = np.nan
    with pytest.raises(DataError, match=r"ema: x has a gap at \[41\]"):
        indicators.ema(gap, 5)
    with pytest.raises(DataError, match=r"low has shape \(499,\)"):
        indicators.atr(HIGH, LOW[1:], CLOSE)
    for window in (0, 2.5, True):
        with pytest.raises(InputError, match="window = "):
            indicators.rolling_max(CLOSE, window)
    with pytest.raises(InputError, match="below slow"):
        indicators.macd(CLOSE, 26, 12)


def test_large_levels_do_not_cancel():
    """A spread of 0.01 on a level of a million: running sums of squares would lose it all."""
    small = np.round(CLOSE, 2)
    np.testing.assert_allclose(
        indicators.rolling_std(small + 1e6, 20), indicators.rolling_std(small, 20), rtol=1e-7
    )


def test_a_rule_keeps_the_average_of_the_indicator():
    """The step that a rule compiles gives the same long and flat bars as the whole series does."""
    from dataclasses import dataclass

    import gpuquant as gq
    from gpuquant.indicators import smoothing_step

    @dataclass(frozen=True)
    class AboveAverage(gq.rules.Rule):
        share: gq.data.domains.Column = gq.data.domains.real()

        @staticmethod
        def begin(r, i):
            return (0.0, 0.0), 0.0

        @staticmethod
        def decide(r, i, state, past, k):
            close = past.close(0)
            average = smoothing_step(state[0], close, r.share[i]) if k > 0.0 else close
            return (average, 0.0), 1.0 if close > average else 0.0

    dates = pd.bdate_range("2020-01-01", periods=ROWS)
    frame = pd.DataFrame({"A": np.round(CLOSE, 2)}, dates)
    ruled = gq.backtest(frame, AboveAverage(share=0.1))
    average = frame.ewm(alpha=0.1, adjust=False).mean()
    signals = gq.backtest(frame, signals=(frame > average).astype(float))
    np.testing.assert_allclose(ruled.returns().iloc[-400:, 0], signals.returns().iloc[-400:, 0])
