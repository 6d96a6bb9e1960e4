"""Leaks of thirty planted kinds are found, and named; thirty honest strategies are let through."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant.errors import InputError, LeakFound

BARS = 160


def frame(gaps=True):
    """Three assets, one listed late and one that halts, on business days."""
    draw = np.random.default_rng(8)
    close = 50.0 * np.exp(np.cumsum(draw.normal(0.0003, 0.015, (BARS, 3)), axis=0))
    out = pd.DataFrame(
        close.round(2), index=pd.bdate_range("2021-01-04", periods=BARS), columns=list("ABC")
    )
    if gaps:
        out.iloc[:30, 1] = np.nan
        out.iloc[70:76, 2] = np.nan
    return out


def returns(p):
    return p.pct_change(fill_method=None)


def known(p):
    return p.ffill()


def by_cut(p, values):
    return pd.DataFrame(values, index=p.index)


def future_universe(p):
    best = (known(p).iloc[-1] / known(p).bfill().iloc[0]).idxmax()
    return returns(p)[[best]]


def survivors(p):
    return (
        returns(p)
        .loc[:, p.iloc[-1].notna() & (p.iloc[-1] > p.mean())]
        .sum(axis=1)
        .to_frame("basket")
    )


def triple_barrier(p):
    a, out = p["A"].to_numpy(), np.zeros(len(p))
    for t in range(len(a)):
        later = a[t + 1 : t + 11] / a[t] - 1.0
        hit = np.flatnonzero(np.abs(later) > 0.02)
        out[t] = np.sign(later[hit[0]]) if hit.size else 0.0
    return by_cut(p, out)


def turning_points(p):
    a = p["A"]
    return ((a < a.shift(1)) & (a < a.shift(-1))).astype(float).to_frame()


def fitted_once(p):
    y = known(p)["A"].pct_change().fillna(0.0)
    slope = np.polyfit(y.shift(1).fillna(0.0), y, 1)[0]
    return (slope * y).to_frame()


def principal(p):
    values = returns(p[["A"]].assign(D=p["A"].rolling(3).mean())).fillna(0.0).to_numpy()
    return by_cut(p, values @ np.linalg.svd(values - values.mean(0), full_matrices=False)[2][0])


def best_window(p):
    a = p["A"]
    score = {
        w: (np.sign(a / a.rolling(w).mean() - 1.0).shift(1) * a.pct_change()).sum()
        for w in (3, 5, 10, 20)
    }
    return np.sign(a / a.rolling(max(score, key=score.get)).mean() - 1.0).to_frame()


def smoothed_both_ways(p):
    a = p["A"].ewm(span=5).mean()
    return a[::-1].ewm(span=5).mean()[::-1].to_frame()


def low_pass(p):
    a = np.fft.rfft(p["A"].to_numpy())
    a[8:] = 0.0
    return by_cut(p, np.fft.irfft(a, len(p)))


LEAKY = {
    "negative shift": lambda p: returns(p).shift(-1),
    "negative shift of a sign": lambda p: np.sign(p.shift(-3) - p),
    "difference with a negative period": lambda p: p.diff(-1),
    "percent change with a negative period": lambda p: known(p).pct_change(-2),
    "centred window": lambda p: p.rolling(5, center=True).mean(),
    "centred median": lambda p: known(p).rolling(7, center=True, min_periods=1).median(),
    "rolling on reversed rows": lambda p: p[::-1].rolling(4).mean()[::-1],
    "z-score of the whole": lambda p: (p - p.mean()) / p.std(),
    "range of the whole": lambda p: (p - p.min()) / (p.max() - p.min()),
    "rank in the whole": lambda p: p.rank(pct=True),
    "quantiles of the whole": lambda p: (p > p.quantile(0.8)).astype(float),
    "volatility of the whole": lambda p: returns(p) / returns(p).std(),
    "mean filled with the whole's": lambda p: returns(p).fillna(returns(p).mean()),
    "demeaned by the whole": lambda p: returns(p) - returns(p).mean(),
    "winsorised by the whole": lambda p: returns(p).clip(
        returns(p).quantile(0.05), returns(p).quantile(0.95), axis=1
    ),
    "back-fill": lambda p: p.bfill(),
    "back-fill of a return": lambda p: returns(p).bfill().rolling(3).mean(),
    "interpolation": lambda p: p.interpolate(),
    "interpolation in time": lambda p: p.interpolate("time", limit_direction="both"),
    "label of a week at its beginning": lambda p: (
        p["A"]
        .resample("W-MON", label="left", closed="left")
        .last()
        .reindex(p.index, method="ffill")
        .to_frame()
    ),
    "mean of the week": lambda p: (
        p["A"].groupby(p.index.to_period("W")).transform("mean").to_frame()
    ),
    "close of the month": lambda p: (
        p["A"].groupby(p.index.to_period("M")).transform("last").to_frame()
    ),
    "highest of the month": lambda p: (
        p["A"] / p["A"].groupby(p.index.to_period("M")).transform("max")
    ).to_frame(),
    "future universe": future_universe,
    "survivors": survivors,
    "forward label": triple_barrier,
    "turning points": turning_points,
    "fitted on the whole": fitted_once,
    "principal component of the whole": principal,
    "window chosen on the whole": best_window,
    "smoothed both ways": smoothed_both_ways,
    "low-pass filter": low_pass,
    "distance to the final price": lambda p: p / p.ffill().iloc[-1],
    "drawdown to come": lambda p: p[::-1].cummin()[::-1] / p - 1.0,
    "known to last": lambda p: p.apply(
        lambda c: pd.Series(
            np.arange(len(c)) < (c.last_valid_index() is not None) * np.flatnonzero(c.notna())[-1],
            index=c.index,
        )
    ).astype(float),
}


def regime(p):
    level = returns(p)["A"].rolling(10).std()
    return (level > level.expanding(20).median()).astype(float).to_frame()


def refitted(p):
    y, out = known(p)["A"].pct_change().fillna(0.0).to_numpy(), np.zeros(len(p))
    for t in range(30, len(y)):
        out[t] = np.polyfit(y[t - 30 : t], y[t - 29 : t + 1], 1)[0] * y[t]
    return by_cut(p, out)


def held(p):
    a, out, state = p["A"].to_numpy(), np.zeros(len(p)), 0.0
    high = a[0]
    for t, price in enumerate(a):
        high = max(high, price)
        state = 1.0 if price == high else 0.0 if price < 0.95 * high else state
        out[t] = state
    return by_cut(p, out)


def last_week(p):
    weekly = p["A"].resample("W-FRI", label="right", closed="right").last()
    return weekly.shift(1).reindex(p.index, method="ffill").to_frame()


def month_begins(p):
    month = p.index.to_period("M")
    return pd.DataFrame(
        {"first": np.r_[True, month[1:] != month[:-1]].astype(float)}, index=p.index
    )


HONEST = {
    "returns": returns,
    "positive shift": lambda p: p.shift(1),
    "log returns": lambda p: np.log(p).diff(),
    "rolling mean": lambda p: p.rolling(5).mean(),
    "rolling mean with few": lambda p: p.rolling(20, min_periods=1).mean(),
    "rolling z-score": lambda p: (p - p.rolling(20).mean()) / p.rolling(20).std(),
    "expanding z-score": lambda p: (p - p.expanding().mean()) / p.expanding().std(),
    "exponential mean": lambda p: p.ewm(span=10).mean(),
    "exponential volatility": lambda p: returns(p).ewm(halflife=5, adjust=False).std(),
    "momentum": lambda p: known(p).pct_change(20),
    "reversal": lambda p: -known(p).pct_change(1),
    "highest so far": lambda p: p.cummax(),
    "drawdown": lambda p: p / p.cummax() - 1.0,
    "breakout": lambda p: (p >= p.rolling(20).max()).astype(float),
    "cross": lambda p: np.sign(p.rolling(5).mean() - p.rolling(20).mean()),
    "forward fill": known,
    "rank across": lambda p: p.pct_change(5, fill_method=None).rank(axis=1, pct=True),
    "demeaned across": lambda p: returns(p).sub(returns(p).mean(axis=1), axis=0),
    "rolling correlation": lambda p: returns(p)["A"].rolling(20).corr(returns(p)["C"]).to_frame(),
    "rolling quantile": lambda p: p.rolling(30).quantile(0.2),
    "rolling rank": lambda p: p.rolling(15).rank(pct=True),
    "weights": lambda p: (1.0 / returns(p).rolling(20).std()).pipe(
        lambda w: w.div(w.sum(axis=1), axis=0)
    ),
    "last week's close": last_week,
    "first bar of a month": month_begins,
    "day of the week": lambda p: pd.DataFrame({"day": p.index.day_of_week}, index=p.index),
    "regime": regime,
    "refitted at every bar": refitted,
    "state": held,
    "words": lambda p: pd.DataFrame(
        {"side": np.where(p["A"] > p["A"].rolling(5).mean(), "long", "flat")}, index=p.index
    ),
    "an array": lambda p: p["A"].to_numpy() / np.maximum.accumulate(p["A"].to_numpy()),
    "a series": lambda p: p["A"].diff(),
    "month to date": lambda p: (
        p["A"] / p["A"].groupby(p.index.to_period("M")).transform("first") - 1.0
    ).to_frame(),
}


@pytest.mark.parametrize("name", LEAKY)
def test_a_leak_is_found_and_named(name):
    found = gq.validation.lookahead.check(LEAKY[name], frame())
    assert found and 0 <= found.bar < BARS and found.feature and found.how, found
    assert found.date == frame().index.to_numpy()[found.bar]
    with pytest.raises(LeakFound, match=f"at bar {found.bar} "):
        found.raise_if_found()


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_strategy_is_let_through(name):
    found = gq.validation.lookahead.check(HONEST[name], frame())
    assert not found, found
    assert found.cuts >= BARS


def test_there_are_thirty_of_each():
    assert len(LEAKY) >= 30 and len(HONEST) >= 30


def test_the_rest_of_the_bar_is_unknown_at_its_open():
    panel = {
        name: frame(False) * k
        for name, k in (("open", 1.0), ("high", 1.02), ("low", 0.98), ("close", 1.01))
    }
    at_open = {
        "open": lambda d: d["open"].diff(),
        "yesterday": lambda d: d["close"].shift(1) / d["open"],
    }
    for strategy in at_open.values():
        assert not gq.validation.lookahead.check(strategy, panel, knows="open", cuts=40)
    for strategy in (
        lambda d: d["close"].diff(),
        lambda d: d["high"] - d["open"],
        lambda d: (d["low"] < 40).astype(float),
    ):
        found = gq.validation.lookahead.check(strategy, panel, knows="open", cuts=40)
        assert found and found.how == "moves with the rest of its own bar"
        assert not gq.validation.lookahead.check(strategy, panel, knows="close", cuts=40)


def test_members_of_the_library_do_not_leak():
    prices = frame(False)
    assert not gq.validation.lookahead.check(
        gq.rules.MovingAverageCross(fast=3, slow=10), prices, cuts=12
    )
    assert not gq.validation.lookahead.check(gq.features.Momentum(window=5), prices, cuts=12)


def test_what_cannot_be_checked_is_said():
    draw = np.random.default_rng(1)
    with pytest.raises(InputError, match="another answer the second time"):
        gq.validation.lookahead.check(lambda p: p + draw.normal(size=p.shape), frame())
    with pytest.raises(InputError, match="must give a row for each bar"):
        gq.validation.lookahead.check(lambda p: p.mean(), frame())
    with pytest.raises(InputError, match="must be a function of prices"):
        gq.validation.lookahead.check(3, frame())


@dataclass(frozen=True)
class Mean:
    """A learner of a few lines: the mean label of each asset."""

    horizon: int = 2
    looks: int = 0  # bars that its labels reach beyond what it says
    standardises: bool = False  # by all rows that it sees

    @property
    def label_horizon(self):
        return 1 + self.horizon

    def label(self, prices):
        from gpuquant.learn import labels

        return labels.ForwardReturn(self.horizon + self.looks).of(prices)

    def fit(self, samples, rows, *, fold=0, cost=0.0, device="cpu"):
        return np.nanmean(samples.labels[rows], axis=0)

    def predict(self, state, samples, rows, *, device="cpu"):
        x = samples.features[..., 0]
        scale = np.nanstd(x) if self.standardises else 1.0
        return state * x[rows] / scale


@pytest.mark.parametrize(
    ("learner", "leak"),
    [(Mean(), None), (Mean(looks=1), "label"), (Mean(standardises=True), "forecast")],
)
def test_labels_and_learners_are_checked(walk_panel, learner, leak):
    strategy = gq.Strategy(
        features=[gq.features.Momentum(window=5)], learner=learner, sizing=gq.sizing.Equal()
    )
    found = gq.validation.lookahead.check(strategy, walk_panel, cuts=5, progress=False)
    assert bool(found) == (leak is not None), found
    if leak:
        assert found.feature.startswith(leak) and "moves" in found.how


def test_a_leak_of_a_strategy_is_named_by_feature_and_asset(walk_panel):
    class Tomorrow(gq.features.Momentum):
        abstract = True

        def compute(self, panel, device):
            return np.roll(super().compute(panel, device), -1, axis=0)

    strategy = gq.Strategy(
        features=[gq.features.Momentum(window=3), Tomorrow(window=7)],
        learner=Mean(),
        sizing=gq.sizing.Equal(),
    )
    found = gq.validation.lookahead.check(strategy, walk_panel, cuts=5, progress=False)
    assert found.feature == "momentum_7 of A"
