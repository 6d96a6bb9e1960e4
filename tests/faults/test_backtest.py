"""Back-test faults: frames as people have them, calendars, corporate actions, orders, measures."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant import measures
from gpuquant.errors import DataError, InputError
from gpuquant.rules.base import Rule


def days(n, freq="B", start="2020-01-01"):
    return pd.date_range(start, periods=n, freq=freq)


def frame(values, name="A"):
    return pd.DataFrame({name: np.asarray(values, float)}, index=days(len(values)))


def once(n, value=1.0):
    out = np.full((n, 1), np.nan)
    out[0] = value
    return out


@pytest.fixture(scope="module")
def close():
    draw = np.random.default_rng(0)
    return pd.DataFrame(
        {t: 100 * np.exp(np.cumsum(draw.normal(0, 0.01, 300))) for t in ("AAA", "BBB")},
        index=days(300),
    )


@pytest.fixture(scope="module")
def many(close):
    fields = {
        "Close": close,
        "High": close * 1.02,
        "Low": close * 0.98,
        "Open": close.shift(1).bfill(),
        "Volume": close * 0 + 1e6,
    }
    fields["High"] = np.maximum(fields["High"], fields["Open"])
    fields["Low"] = np.minimum(fields["Low"], fields["Open"])
    return pd.concat(fields, axis=1).rename_axis(["Price", "Ticker"], axis=1)


FIELDS = {"open", "high", "low", "volume"}


def test_a_frame_of_several_tickers_fields(many):
    panel = gq.Panel.of(many)
    assert panel.assets == ("AAA", "BBB")
    assert set(panel.extra_fields()) == FIELDS


def test_one_tickers_open_high_low_close_volume(many):
    panel = gq.Panel.of(many.xs("AAA", axis=1, level=1))
    assert len(panel.assets) == 1
    assert set(panel.extra_fields()) == FIELDS


def test_a_tidy_table(close):
    tidy = close.stack().rename_axis(["date", "ticker"]).rename("close").reset_index()
    panel = gq.Panel.of(tidy)
    assert panel.assets == ("AAA", "BBB")
    np.testing.assert_array_equal(panel.close, close.to_numpy())


def test_weights_at_month_ends(us20):
    us = us20.to_frame()
    monthly = us.pct_change(252).resample("ME").last().rank(axis=1).gt(15) / 5.0
    with pytest.raises(DataError, match=r"1990-03-31.*1990-06-30.*1990-09-30.*align='next'"):
        gq.backtest(us, weights=monthly)
    monthly = monthly[monthly.index <= us.index[-1]]
    traded = (
        gq.backtest(us, weights=monthly, align="next").orders().date.dt.to_period("M").nunique()
    )
    changed = (monthly.diff().abs().sum(axis=1) > 0).sum()
    assert traded >= changed, (traded, changed)


@pytest.fixture(scope="module")
def london(us20):
    single = us20.to_frame().iloc[-500:, :1]
    signal = pd.DataFrame(
        {single.columns[0]: np.where(np.arange(500) % 20 < 10, 1.0, 0.0)}, index=single.index
    )
    return single.tz_localize("Europe/London"), signal


def test_prices_with_a_time_zone_signals_without(london):
    prices, signal = london
    with pytest.raises(DataError, match=r"no time zone.*Europe/London"):
        gq.backtest(prices, signals=signal)
    assert gq.backtest(prices, signals=signal.set_axis(prices.index)).frame.orders[0] == 50


def test_the_date_of_an_order_at_a_london_midnight(london):
    prices, signal = london
    orders = gq.backtest(prices, signals=signal.set_axis(prices.index)).orders()
    assert orders.date[10] == prices.index[orders.bar[10]]
    assert orders.date[10].tz is not None


@pytest.fixture(scope="module")
def split():
    return gq.Panel.from_frames(
        close=frame([100, 101, 102, 103, 52, 53, 54, 55]),
        splits=frame([1, 1, 1, 1, 2, 1, 1, 1]),
        dividends=frame([0, 0, 0, 0.5, 0, 0, 0, 0]),
    )


def test_trades_over_a_split_and_a_dividend(split):
    signals = np.full((8, 1), np.nan)
    signals[0], signals[6] = 1, 0
    found = gq.backtest(
        split, signals=signals, size=gq.Size(amount=10.0, size_type="units"), cash=1e4
    )
    trades = found.trades()
    assert len(trades) == 1, trades
    assert trades[["direction", "closed"]].values.tolist() == [["long", True]]
    assert trades.pnl[0] == pytest.approx(95.0)
    assert found.equity()[0].iloc[-1] - 1e4 == pytest.approx(95.0)
    assert found.measures["favourable_excursion"][0] == pytest.approx(55.0 / 50.25 - 1.0)


def test_a_resting_stop_over_a_split(split):
    orders = pd.DataFrame([{"bar": 0, "size": 10.0}, {"bar": 0, "stop": 90.0, "parent": 0}])
    found = gq.backtest(split, orders=orders, cash=1e4)
    assert found.orders().side.tolist() == ["buy"]
    assert found.order_status().state.tolist() == ["filled", "live"]


def test_orders_and_stops_together():
    prices = frame([100, 101, 102, 90, 95, 96])
    found = gq.backtest(
        prices, orders=pd.DataFrame([{"bar": 0, "size": 1.0}]), stops=gq.Stops(stop_loss=0.05)
    )
    assert found.orders()[["side", "cause"]].values.tolist() == [
        ["buy", "order"],
        ["sell", "stop loss"],
    ]


@dataclass(frozen=True)
class Long(Rule):
    """Always long."""

    @staticmethod
    def begin(r, i):
        return (0.0,), 0.0

    @staticmethod
    def decide(r, i, state, past, k):
        return (0.0,), 1.0


def test_a_stationary_bootstrap_wraps_the_data_round():
    history = pd.DataFrame(
        {"A": np.concatenate([100 * 1.01 ** np.arange(21), np.full(229, 100 * 1.01**20)])},
        index=days(250),
    )
    paths = gq.backtest(
        gq.BootstrappedPrices(paths=20000, bars=253, prices=history, block=20.0, tick=1e-6),
        Long(),
        fill="same_close",
        detail=False,
    )
    grown = np.log1p(paths.measures["total_return"])
    right = 252 * np.diff(np.log(history.A)).mean()
    assert abs(grown.mean() - right) < 4.0 * grown.std() / np.sqrt(len(grown)), (
        grown.mean(),
        right,
    )


def test_interest_over_five_days_of_minutes():
    minutes = pd.DataFrame(
        {"A": np.full(1950, 100.0)},
        index=pd.date_range("2024-01-02 09:30", periods=1950, freq="min"),
    )
    with pytest.raises(
        InputError, match="too few days to tell how many a year has"
    ):  # they go on through the night: a day and a third
        gq.backtest(minutes, weights=once(1950, 0.0), margin=gq.Margin(cash_rate=0.05))
    earned = float(
        gq.backtest(
            minutes, weights=once(1950, 0.0), margin=gq.Margin(cash_rate=0.05), periods=525_600
        ).measures["total_return"][0]
    )
    assert earned == pytest.approx(np.expm1(0.05 * 1949 / (365 * 24 * 60)), rel=1e-6)
    exchange = [
        day + pd.Timedelta(minutes=570 + k)
        for day in pd.bdate_range("2024-01-02", periods=5)
        for k in range(390)
    ]
    minutes = pd.DataFrame({"A": np.full(1950, 100.0)}, index=pd.DatetimeIndex(exchange))
    earned = float(
        gq.backtest(minutes, weights=once(1950, 0.0), margin=gq.Margin(cash_rate=0.05)).measures[
            "total_return"
        ][0]
    )
    assert earned == pytest.approx(0.001, rel=0.2)


def test_a_short_that_ruins_the_account():
    ruined = gq.backtest(frame([100, 100, 150, 250, 120, 100]), weights=once(6, -1.0))
    assert ruined.equity()[0].tolist() == [1e6, 1e6, 5e5, -5e5, -5e5, -5e5]
    assert ruined.trades().pnl.sum() == pytest.approx(-1.5e6)
    assert ruined.trades().closed.all()
    assert ruined.positions().iloc[:, 0].tolist() == [0.0, -10000.0, -10000.0, 0.0, 0.0, 0.0]


def test_interest_before_a_rules_first_decision():
    flat = frame(np.full(300, 100.0))
    found = gq.backtest(
        flat,
        gq.rules.MovingAverageCross(fast=5, slow=(10, 100, 200)),
        margin=gq.Margin(cash_rate=0.0252),
    )
    years = np.diff(flat.index.to_numpy()) / np.timedelta64(365, "D")
    assert found.frame.total_return.tolist() == pytest.approx(
        [np.prod(1.0 + 0.0252 * years) - 1.0] * 3, rel=1e-9
    )


def test_growth_of_monthly_closes_that_double():
    double = pd.DataFrame(
        {"M": 100 * 2 ** (np.arange(13) / 12)},
        index=pd.date_range("2020-01-31", periods=13, freq="ME"),
    )
    for how in ({"periods": 12}, {}):
        assert float(
            gq.backtest(double, weights=once(13), fill="same_close", **how).measures["cagr"][0]
        ) == pytest.approx(1.0)


def test_sharpe_ratio_of_a_constant_return():
    assert np.isnan(measures.sharpe(np.full(100, 0.01)))


def test_a_stop_within_a_range_without_opens():
    ranges = {
        "close": frame([100, 100, 100, 100.0]),
        "high": frame([101, 101, 101, 101]),
        "low": frame([99, 99, 80, 99]),
    }
    found = gq.backtest(
        gq.Panel.from_frames(**ranges), signals=once(4), stops=gq.Stops(stop_loss=0.1)
    )
    assert found.orders()[["bar", "side", "price"]].values.tolist() == [
        [1, "buy", 100.0],
        [2, "sell", 90.0],
    ]


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "prices.parquet"
    pd.DataFrame({"F": [1.0, 2, 3], "JPY": [1, 2, 3]}, index=days(3)).to_parquet(path)
    return path


def test_whole_number_prices_in_a_store(stored):
    assert gq.Store(stored).assets == ("F", "JPY")


def test_the_hint_about_halts(stored):
    assert gq.Panel.read(stored, allow_halts=True).assets == ("F", "JPY")


def test_an_open_above_the_high():
    with pytest.raises(DataError, match=r"open\[2020-01-01.*, A\] = 200.0: must be within"):
        gq.Panel.from_frames(
            close=frame([100, 100]),
            open=frame([200, 200]),
            high=frame([101, 101]),
            low=frame([99, 99]),
        )


def test_a_series_of_closes(close):
    assert gq.Panel.from_frames(close=close["AAA"]).assets == ("AAA",)


def test_splits_given_as_zero_where_there_is_none():
    panel = gq.Panel.from_frames(close=frame([1, 2]), splits=frame([0, 0]), dividends=frame([0, 0]))
    assert panel.bars == 2
    assert panel.splits.tolist() == [[1.0], [1.0]]


def test_a_short_of_five_times_the_equity_without_margin():
    orders = gq.backtest(frame([100, 100, 101]), weights=once(3, -5.0)).orders()
    assert orders[["side", "size", "reason"]].values.tolist() == [
        ["sell", 10000.0, "not enough cash"]
    ]


def test_an_order_of_less_than_the_smallest_unit():
    tiny = gq.backtest(frame(np.full(5, 6e5)), weights=once(5, 0.005), cash=1.0)
    assert len(tiny.orders()) + len(tiny.rejects()) == 1
