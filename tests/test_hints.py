"""What a message advises works where it is advised: each hint is found in its message, and
followed.
"""

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant.errors import GpuquantError

DAYS = pd.bdate_range("2024-01-01", periods=40)
CLOSE = pd.DataFrame({"A": 100.0 + np.arange(40.0), "B": 50.0 + np.arange(40.0)}, DAYS)
HOLE = CLOSE.where(np.repeat(np.arange(40)[:, None] != 7, 2, axis=1))
ONES = np.ones((40, 2))
SATURDAY = pd.DataFrame({"A": [1.0]}, pd.DatetimeIndex(["2024-01-06"]))
TICKS = CLOSE.set_axis(
    pd.DatetimeIndex(
        np.datetime64("2024-01-02")
        + np.cumsum(np.arange(40) ** 3 * 100).astype("timedelta64[m]")
        + np.arange(40).astype("timedelta64[m]")
    )
)
BOOK = pd.DataFrame(
    [
        {
            "product": "european",
            "option_type": "call",
            "underlying": "A",
            "strike": 100.0,
            "maturity": 1.0,
        },
        {
            "product": "european",
            "option_type": "call",
            "underlying": "A",
            "strike": -1.0,
            "maturity": 1.0,
        },
    ]
)
MARKET = {"rate": 0.02, "A": {"spot": 100.0, "volatility": 0.2}}
HISTORY = {"prices": CLOSE, "horizon": 1}
BASKET = pd.DataFrame(
    [
        {
            "product": "basket",
            "model": "multi_black_scholes",
            "option_type": "call",
            "strike": 100.0,
            "weights": [0.5, 0.5],
            "spots": [100.0, 100.0],
            "volatilities": [0.2, 0.2],
            "maturity": 1.0,
        }
    ]
)
BOTH = {
    "rate": 0.02,
    "A": {"spot": 100.0, "volatility": 0.2},
    "B": {"spot": 90.0, "volatility": 0.3},
}


def moved(frame):
    return gq.Portfolio({"o": gq.Contracts.from_frame(frame)}).risk(
        gq.Market(BOTH), gq.Scenarios.grid(spot=[-0.1]), progress=False
    )


HINTS = {  # the wrong call, the advice in its message, and the call that follows it
    "halts": (
        lambda: gq.Panel.of(HOLE),
        "allow_halts=True",
        lambda: gq.Panel.of(HOLE, allow_halts=True),
    ),
    "halts of frames": (
        lambda: gq.Panel.from_frames(close=HOLE),
        "allow_halts=True",
        lambda: gq.Panel.from_frames(close=HOLE, allow_halts=True),
    ),
    "align": (
        lambda: gq.backtest(CLOSE, weights=SATURDAY),
        "align='next'",
        lambda: gq.backtest(CLOSE, weights=SATURDAY, align="next"),
    ),
    "periods": (
        lambda: gq.backtest(TICKS, weights=ONES),
        "periods=252",
        lambda: gq.backtest(TICKS, weights=ONES, periods=252),
    ),
    "returns": (
        lambda: gq.Panel.of(CLOSE.pct_change().iloc[1:] * [1, -1]),
        "Panel.of(100.0 * (1.0 + frame).cumprod())",
        lambda: gq.Panel.of(100.0 * (1.0 + CLOSE.pct_change().iloc[1:] * [1, -1]).cumprod()),
    ),
    "a strange column": (
        lambda: gq.Panel.of(CLOSE.set_axis(["Close", "RSI"], axis=1)),
        "frame.drop(columns=['RSI'])",
        lambda: gq.Panel.of(CLOSE.set_axis(["Close", "RSI"], axis=1).drop(columns=["RSI"])),
    ),
    "closes by name": (
        lambda: gq.Panel.of(CLOSE.set_axis(["Open", "High"], axis=1)),
        "Panel.from_frames(close=frame)",
        lambda: gq.Panel.from_frames(close=CLOSE.set_axis(["Open", "High"], axis=1)),
    ),
    "no dates": (
        lambda: gq.Panel.of(CLOSE.reset_index(drop=True)),
        "frame.set_axis(dates)",
        lambda: gq.Panel.of(CLOSE.reset_index(drop=True).set_axis(DAYS)),
    ),
    "an array": (
        lambda: gq.Panel.of(CLOSE.to_numpy()),
        "pandas.DataFrame(array, index=dates, columns=assets)",
        lambda: gq.Panel.of(pd.DataFrame(CLOSE.to_numpy(), index=DAYS, columns=["A", "B"])),
    ),
    "dates in a column": (
        lambda: gq.backtest(CLOSE, weights=(CLOSE * 0).reset_index(names="date")),
        "frame.set_index('date')",
        lambda: gq.backtest(CLOSE, weights=(CLOSE * 0).reset_index(names="date").set_index("date")),
    ),
    "dates in disorder": (
        lambda: gq.Panel.of(CLOSE.iloc[[2, 0, 1]]),
        "frame.sort_index()",
        lambda: gq.Panel.of(CLOSE.iloc[[2, 0, 1]].sort_index()),
    ),
    "one underlying": (
        lambda: gq.Scenarios.grid(AAPL=[-0.1]),
        "Scenarios([{'spot': {'AAPL': (-0.1, 0.0)}}], ['AAPL falls'])",
        lambda: gq.Scenarios([{"spot": {"AAPL": (-0.1, 0.0)}}], ["AAPL falls"]),
    ),
    "truth values": (
        lambda: gq.Panel.of(CLOSE > 110),
        "backtest(prices, signals=frame)",
        lambda: gq.backtest(CLOSE, signals=(CLOSE > 110).astype(float)),
    ),
    "a series of weights": (
        lambda: gq.backtest(CLOSE, weights=CLOSE["A"] * 0),
        "series.to_frame('A')",
        lambda: gq.backtest(CLOSE, weights=(CLOSE["A"] * 0).to_frame("A")),
    ),
    "time zones": (
        lambda: gq.backtest(CLOSE.tz_localize("UTC"), weights=CLOSE * 0),
        "tz_localize",
        lambda: gq.backtest(CLOSE.tz_localize("UTC"), weights=(CLOSE * 0).tz_localize("UTC")),
    ),
    "a rule": (
        lambda: gq.backtest(CLOSE, "cross"),
        "gpuquant.rules.MovingAverageCross(fast=5, slow=20)",
        lambda: gq.backtest(CLOSE, gq.rules.MovingAverageCross(fast=5, slow=20)),
    ),
    "costs": (
        lambda: gq.backtest(CLOSE, weights=ONES, costs=0.001),
        "gpuquant.costs.Proportional(rate=0.0005)",
        lambda: gq.backtest(CLOSE, weights=ONES, costs=gq.costs.Proportional(rate=0.0005)),
    ),
    "risk sizing": (
        lambda: gq.backtest(CLOSE, signals=ONES, size=gq.Size(size_type="risk", amount=0.01)),
        "Stops(stop_loss=...)",
        lambda: gq.backtest(
            CLOSE,
            signals=ONES,
            size=gq.Size(size_type="risk", amount=0.01),
            stops=gq.Stops(stop_loss=0.05),
        ),
    ),
    "opens": (
        lambda: gq.backtest(CLOSE, weights=ONES, fill="same_open"),
        "needs a panel with opens",
        lambda: gq.backtest(
            gq.Panel.from_frames(close=CLOSE, open=CLOSE), weights=ONES, fill="same_open"
        ),
    ),
    "volume": (
        lambda: gq.backtest(CLOSE, weights=ONES, size=gq.Size(max_participation_rate=0.1)),
        "needs a panel with volume",
        lambda: gq.backtest(
            gq.Panel.from_frames(close=CLOSE, volume=CLOSE * 100),
            weights=ONES,
            size=gq.Size(max_participation_rate=0.1),
        ),
    ),
    "a fill": (
        lambda: gq.backtest(CLOSE, weights=ONES, fill="nxt"),
        "did you mean 'next'",
        lambda: gq.backtest(CLOSE, weights=ONES, fill="next"),
    ),
    "what history holds": (
        lambda: gq.Scenarios.historical(**HISTORY, hold=[]),
        "missing: volatility, rate, dividend_yield",
        lambda: gq.Scenarios.historical(**HISTORY, hold=["volatility", "rate", "dividend_yield"]),
    ),
    "a scenario": (
        lambda: gq.Scenarios.grid(),
        "spot=[-0.1, 0.0, 0.1]",
        lambda: gq.Scenarios.grid(spot=[-0.1, 0.0, 0.1]),
    ),
    "a pair": (
        lambda: gq.Scenarios([{"spot": -0.1}], ["x"]),
        "(-0.1, 0.0)",
        lambda: gq.Scenarios([{"spot": (-0.1, 0.0)}], ["x"]),
    ),
    "moves": (
        lambda: gq.Portfolio({"s": {"A": 1}}).risk(MARKET, [0.1]),
        "gpuquant.Scenarios.grid(spot=[-0.1, 0.1])",
        lambda: gq.Portfolio({"s": {"A": 1}}).risk(MARKET, gq.Scenarios.grid(spot=[-0.1, 0.1])),
    ),
    "a model": (
        lambda: gq.price(gq.payoffs.European(option_type="call", strike=1.0, maturity=1.0)),
        "gpuquant.models.BlackScholes",
        lambda: gq.price(
            gq.payoffs.European(option_type="call", strike=1.0, maturity=1.0),
            gq.models.BlackScholes(spot=1.0, rate=0.0, volatility=0.2),
        ),
    ),
    "a column": (
        lambda: gq.price(BOOK.rename(columns={"strike": "stirke"}), market=MARKET),
        "did you mean 'strike'",
        lambda: gq.price(BOOK, market=MARKET),
    ),
    "splits": (
        lambda: gq.Portfolio({"x": gq.Strategy([], None, None)}).train(CLOSE, splits="x"),
        "gpuquant.splits.WalkForward(train='8Y', test='1Y')",
        lambda: gq.splits.WalkForward(train="8Y", test="1Y"),
    ),
}


@pytest.mark.parametrize("name", HINTS)
def test_a_hint_is_given_and_works(name):
    wrong, advice, right = HINTS[name]
    with pytest.raises(GpuquantError) as caught:
        wrong()
    assert advice in str(caught.value), str(caught.value)
    right()


def test_a_failed_row_says_how_totals_leave_it_out():
    priced = gq.price(BOOK, market=MARKET)
    assert "unless partial=True" in priced.summary() and np.isnan(priced.total)
    assert np.isfinite(gq.price(BOOK, market=MARKET, partial=True).total)


def test_a_basket_that_does_not_move_says_what_would_move_it():
    risk = moved(BASKET)
    assert "name its assets in a column 'underlyings'" in risk.failed["message"][0]
    named = moved(BASKET.assign(underlyings=[["A", "B"]]))
    assert named.failed.empty and named.total[0] < 0.0
