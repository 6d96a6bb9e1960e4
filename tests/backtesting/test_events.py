"""Splits, dividends, delistings, interest and ruin: what an account, its trades and positions, a
rule's windows, features and labels make of them.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant import features, learn
from gpuquant.backtesting import trades as matched
from gpuquant.device import resolve_device
from gpuquant.rules.base import NO_CHANGE, Rule
from tests.backtesting.test_terms import bars, targets

CASH = 10_000.0


def happening(seed, count=120, assets=3, **more):
    """A random panel on which things happen."""
    return bars(np.random.default_rng(seed), count, assets, actions=True, **more)


def profits(found, matching):
    """What the trades of each column come to, with interest: the change of equity, whatever
    happened.
    """
    trades = found.trades(matching=matching)
    gained = trades.groupby("column")["pnl"].sum().reindex(range(len(found)), fill_value=0.0)
    return gained.to_numpy() + found.measures["financing_cost"]


TERMS = {
    "weights": lambda d, p: {"weights": targets(d, p.close.shape, "weights")},
    "amounts": lambda d, p: {"amounts": targets(d, p.close.shape, "amounts")},
    "signals": lambda d, p: {"signals": targets(d, p.close.shape, "signals")},
    "stops": lambda d, p: {
        "signals": targets(d, p.close.shape, "signals"),
        "stops": gq.Stops(stop_loss=0.05, take_profit=0.08, trailing=0.06),
    },
    "margin": lambda d, p: {
        "weights": 2.0 * targets(d, p.close.shape, "weights"),
        "margin": gq.Margin(
            initial=0.3, maintenance=0.2, margin_rate=0.1, cash_rate=0.03, borrow_rate=0.05
        ),
    },
    "ruin": lambda d, p: {
        "amounts": -20.0 * np.abs(targets(d, p.close.shape, "amounts")),
        "margin": gq.Margin(initial=0.05, borrow_rate=0.1),
    },
    "orders": lambda d, p: {
        "orders": pd.DataFrame(
            [
                {
                    "bar": int(d.integers(0, 60)),
                    "asset": f"S{d.integers(0, 3)}",
                    "size": float(d.integers(5, 40) * d.choice([-1, 1])),
                    "limit": float(d.choice([np.nan, 45.0, 55.0])),
                }
                for _ in range(12)
            ]
        )
    },
}


@pytest.mark.parametrize("matching", ["average", "fifo", "position"])
@pytest.mark.parametrize("name", TERMS)
def test_trades_interest_dividends_and_fees_are_the_change_of_equity(name, matching):
    """On random books over splits, dividends, delistings and ruin, to 1e-9 of the money that
    moved.
    """
    for seed in range(4):
        panel = happening(seed, ranges=name == "stops", gone=seed % 2 == 1)
        found = gq.backtest(
            panel,
            costs=gq.costs.Commission(rate=0.001, fixed=1.0),
            cash=CASH,
            progress=False,
            **TERMS[name](np.random.default_rng(seed), panel),
        )
        gained = found.equity().iloc[-1].to_numpy() - CASH
        scale = np.abs(found.orders()[["size", "price"]].prod(axis=1)).sum() + CASH
        np.testing.assert_allclose(
            profits(found, matching),
            gained,
            rtol=0,
            atol=1e-9 * scale,
            err_msg=f"{name} {matching} {seed}",
        )


def test_a_lost_dividend_is_seen(monkeypatch):
    """The mutant: trades that know of no dividends do not add up."""
    panel = happening(1)
    found = gq.backtest(panel, amounts=np.full(panel.close.shape, 10.0), cash=CASH)
    gained = found.equity().iloc[-1, 0] - CASH
    assert profits(found, "average")[0] == pytest.approx(gained)
    monkeypatch.setattr(
        matched.Events,
        "of",
        classmethod(lambda cls, panel, asset: cls(panel.shares[:, asset], np.zeros(panel.bars))),
    )
    assert profits(found, "average")[0] != pytest.approx(gained)


@pytest.mark.parametrize("name", TERMS)
def test_positions_and_cash_are_equity(name):
    """What is held at each close, times its price, plus the cash of all fills, dividends and
    interest.
    """
    panel = happening(7, ranges=name == "stops")
    found = gq.backtest(panel, cash=CASH, **TERMS[name](np.random.default_rng(7), panel))
    if name in ("margin", "ruin"):  # their interest is not told bar by bar
        found = gq.backtest(
            panel,
            cash=CASH,
            **{**TERMS[name](np.random.default_rng(7), panel), "margin": gq.Margin(initial=0.3)},
        )
    held, equity, orders = found.positions(), found.equity(), found.orders()
    for column in range(len(found)):
        own = held[column]
        names = [panel.asset(a) for a in own.columns]
        before = np.vstack([np.zeros(len(names)), own.to_numpy()[:-1]])
        paid = (before * panel.dividends[:, names]).sum(axis=1)
        fills = orders[orders["column"] == column]
        spent = np.zeros(panel.bars)
        np.add.at(
            spent,
            fills["bar"].to_numpy(),
            np.where(fills["side"] == "buy", 1.0, -1.0) * fills["size"] * fills["price"]
            + fills["fee"],
        )
        worth = (
            CASH + np.cumsum(paid - spent) + (own.to_numpy() * panel.close[:, names]).sum(axis=1)
        )
        np.testing.assert_allclose(worth, equity[column], rtol=1e-9, atol=1e-6, err_msg=name)


def restated(panel):
    """The same prices as if nothing had ever split: of what one share of the first bar has
    become.
    """
    more = {
        name: getattr(panel, name) * panel.shares
        for name in ("open", "high", "low")
        if getattr(panel, name) is not None
    }
    return gq.Panel(panel.close * panel.shares, panel.dates, panel.assets, **more)


def whole_splits(seed, count=300, ranges=False):
    """Prices of whole cents, before and after splits of 2:1 and 1:2, without dividends."""
    draw = np.random.default_rng(seed)
    smooth = bars(draw, count, 2, ranges=ranges)
    splits = np.where(
        draw.random(smooth.close.shape) < 0.02, draw.choice([2.0, 0.5], smooth.close.shape), 1.0
    )
    shares = np.cumprod(splits, axis=0)
    more = {name: getattr(smooth, name) / shares for name in ("open", "high", "low") if ranges}
    return gq.Panel(smooth.close / shares, smooth.dates, smooth.assets, splits=splits, **more)


def test_a_rule_sees_through_a_split():
    """Moving averages over splits cross where they cross on prices that never split, and earn
    the same.
    """
    panel = whole_splits(2)
    rule = gq.rules.MovingAverageCross(fast=(3, 8), slow=(15, 30))
    one, other = (
        gq.backtest(p, rule, costs=gq.costs.Proportional(rate=0.001))
        for p in (panel, restated(panel))
    )
    assert one.frame["orders"].sum() > 50
    assert one.orders()["bar"].tolist() == other.orders()["bar"].tolist()
    np.testing.assert_allclose(one.equity(), other.equity(), rtol=1e-9)


@dataclass(frozen=True)
class Breakout(Rule):
    """Long above the highest close of ten bars, flat below the lowest of five."""

    @staticmethod
    def begin(r, i):
        return (0.0,), 10.0

    @staticmethod
    def decide(r, i, state, past, k):
        high = past.close(1)
        low = past.close(1)
        for n in range(2, 11):
            high = max(high, past.close(n))
        for n in range(2, 6):
            low = min(low, past.close(n))
        target = 1.0 if past.close(0) > high else (0.0 if past.close(0) < low else NO_CHANGE)
        return (state[0],), target


def test_closes_of_the_past_are_of_a_share_as_it_is_now():
    panel = whole_splits(4)
    one, other = (gq.backtest(p, Breakout()) for p in (panel, restated(panel)))
    assert one.frame["orders"].sum() > 10
    assert one.orders()["bar"].tolist() == other.orders()["bar"].tolist()
    np.testing.assert_allclose(one.equity(), other.equity(), rtol=1e-9)


def test_stops_excursions_and_trades_see_through_a_split():
    panel = whole_splits(5, ranges=True)
    signals = targets(np.random.default_rng(5), panel.close.shape, "signals")
    one, other = (
        gq.backtest(p, signals=signals, stops=gq.Stops(stop_loss=0.04, take_profit=0.06))
        for p in (panel, restated(panel))
    )
    assert one.orders()["bar"].tolist() == other.orders()["bar"].tolist()
    for name in (
        "adverse_excursion",
        "worst_excursion",
        "favourable_excursion",
        "best_trade",
        "win_rate",
        "turnover",
        "total_return",
    ):
        np.testing.assert_allclose(
            one.measures[name], other.measures[name], rtol=1e-9, err_msg=name
        )
    for matching in ("average", "fifo", "position"):
        mine, theirs = (found.trades(matching=matching) for found in (one, other))
        np.testing.assert_allclose(
            mine[["pnl", "return"]], theirs[["pnl", "return"]], rtol=1e-7, atol=1e-6
        )


def test_resting_orders_see_through_a_split():
    """Limits, stops and units are of a share as it was when the order was sent."""
    close = np.array([100.0, 101.0, 50.0, 49.0, 45.0, 44.0, 60.0])
    dates = pd.bdate_range("2020-01-01", periods=7).to_numpy()
    panel = gq.Panel(
        close[:, None], dates, ("A",), splits=np.array([1.0, 1, 2, 1, 1, 1, 1])[:, None]
    )
    orders = pd.DataFrame(
        [
            {"bar": 0, "size": 10.0, "limit": 91.0},  # 45.5 and 20 shares after the split
            {"bar": 0, "limit": 116.0, "parent": 0},  # 58 after it, and all that its parent bought
        ]
    )
    found = gq.backtest(panel, orders=orders, cash=CASH)
    assert found.orders()[["bar", "side", "size", "price"]].values.tolist() == [
        [4, "buy", 20.0, 45.0],
        [6, "sell", 20.0, 60.0],
    ]
    assert found.order_status()["filled"].tolist() == [10.0, -10.0]


def test_a_split_while_an_asset_halts_moves_no_equity():
    close = np.array([[100.0], [np.nan], [52.0], [53.0]])
    dates = pd.bdate_range("2020-01-01", periods=4).to_numpy()
    panel = gq.Panel(
        close, dates, ("A",), splits=np.array([[1.0], [2.0], [1.0], [1.0]]), allow_halts=True
    )
    found = gq.backtest(
        panel,
        amounts=np.array([[10.0], [np.nan], [np.nan], [np.nan]]),
        fill="same_close",
        cash=CASH,
    )
    assert found.equity()[0].tolist() == [CASH, CASH, CASH + 40.0, CASH + 60.0]


def test_features_labels_and_scenarios_agree_with_the_account():
    """An account that holds one asset and reinvests its dividends earns the total return that
    features and labels see.
    """
    panel = happening(9, assets=1)
    found = gq.backtest(panel, weights=np.ones(panel.close.shape), fill="same_close", cash=CASH)
    earned = found.returns()[0].to_numpy()
    index = panel.total_return_index[:, 0]
    np.testing.assert_allclose(index[1:] / index[:-1] - 1.0, earned, rtol=1e-9, atol=1e-12)
    momentum = features.Momentum(5).compute(panel, resolve_device("cpu"))[5:, 0, 0]
    np.testing.assert_allclose(
        momentum, pd.Series(np.log1p(earned)).rolling(5).sum()[4:], rtol=1e-9, atol=1e-12
    )
    label = learn.Learner(learn.networks.MLP(), horizon=1).label(panel.total_return_index)[:-2, 0]
    np.testing.assert_allclose(label, earned[1:], rtol=1e-9, atol=1e-12)
    moves = gq.Scenarios.historical(panel, hold=["volatility", "rate", "dividend_yield"]).shocks
    np.testing.assert_allclose([m["spot"]["S0"][0] for m in moves], earned, rtol=1e-9, atol=1e-12)


def test_a_delisting_is_in_the_total_return():
    close = np.array([[10.0], [11.0], [np.nan], [np.nan]])
    dates = pd.bdate_range("2020-01-01", periods=4).to_numpy()
    panel = gq.Panel(
        close,
        dates,
        ("A",),
        delistings=np.array([[np.nan], [np.nan], [-0.4], [np.nan]]),
        allow_halts=True,
    )
    assert panel.total_return[:, 0] == pytest.approx([10.0, 11.0, 6.6, 6.6])
    found = gq.backtest(
        panel,
        weights=np.array([[1.0], [np.nan], [np.nan], [np.nan]]),
        fill="same_close",
        cash=1000.0,
    )
    assert found.equity()[0].to_numpy() == pytest.approx([1000.0, 1100.0, 660.0, 660.0])
    trade = found.trades().iloc[0]
    assert trade["closed"] and trade["pnl"] == pytest.approx(-340.0)


def test_interest_accrues_by_time():
    """Over a weekend three days, of cash before a rule's first decision as after it."""
    days = pd.DatetimeIndex(["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"])
    flat = pd.DataFrame({"A": np.full(4, 100.0)}, days)
    found = gq.backtest(
        flat, weights=np.zeros((4, 1)), margin=gq.Margin(cash_rate=0.0365), cash=1000.0
    )
    assert found.equity()[0].to_numpy() == pytest.approx(
        1000.0 * np.cumprod([1.0, 1.0001, 1.0003, 1.0001]), rel=1e-12
    )
    rule = gq.backtest(
        flat,
        gq.rules.MovingAverageCross(fast=1, slow=(2, 3)),
        margin=gq.Margin(cash_rate=0.0365),
        cash=1000.0,
    )
    np.testing.assert_allclose(
        rule.equity(), np.repeat(found.equity().to_numpy(), 2, axis=1), rtol=1e-12
    )


def test_splits_alone_or_dividends_alone_will_do():
    close = pd.DataFrame({"A": [10.0, 11.0]}, pd.bdate_range("2020-01-01", periods=2))
    assert gq.Panel.from_frames(close=close, splits=close * 0 + 1).dividends.tolist() == [
        [0.0],
        [0.0],
    ]
    assert gq.Panel.from_frames(close=close, dividends=close * 0).splits.tolist() == [[1.0], [1.0]]


def test_ruin_refuses_what_is_still_to_come():
    """Resting orders, and targets of later bars, end with a reason; nothing is left alive or
    waiting.
    """
    close = np.array([[10.0, 20.0]] * 3 + [[25.0, 20.0]] * 2 + [[10.0, 20.0]] * 3)
    panel = gq.Panel(close, pd.bdate_range("2024-01-02", periods=8).to_numpy(), ("A", "B"))
    orders = pd.DataFrame(
        [
            {"bar": 0, "asset": "A", "size": -900.0},
            {"bar": 1, "asset": "B", "size": 1.0, "limit": 15.0},
            {"bar": 5, "asset": "B", "size": 1.0},
        ]
    )
    found = gq.backtest(panel, orders=orders, cash=10_000.0)
    assert found.order_status()[["state", "reason"]].values.tolist() == [
        ["filled", ""],
        ["rejected", "the account is ruined"],
        ["rejected", "the account is ruined"],
    ]
    weights = np.full(close.shape, np.nan)
    weights[0, 0], weights[5, 1] = -0.9, 0.5
    found = gq.backtest(panel, weights=weights, cash=10_000.0)
    assert found.orders()["cause"].tolist() == ["order", "ruin"]
    assert found.rejects()[["bar", "asset", "reason"]].values.tolist() == [
        [6, "B", "the account is ruined"]
    ]


def test_a_delisting_pays_out_whatever_volume_there_is():
    close = np.array([[10.0], [11.0], [np.nan]])
    dates = pd.bdate_range("2020-01-01", periods=3).to_numpy()
    gone, volume = np.array([[np.nan], [np.nan], [-0.5]]), np.array([[1e9], [1e9], [np.nan]])
    panel = gq.Panel(close, dates, ("A",), delistings=gone, volume=volume, allow_halts=True)
    found = gq.backtest(
        panel,
        weights=np.array([[1.0], [np.nan], [np.nan]]),
        fill="same_close",
        size=gq.Size(max_participation_rate=0.5),
        cash=1000.0,
    )
    assert found.equity()[0].to_numpy() == pytest.approx([1000.0, 1100.0, 550.0])


@pytest.mark.parametrize("partial", [True, False])
def test_a_cover_that_volume_forbids_makes_no_room_for_another_short(partial):
    """Asset A cannot be bought back at the second bar, so that a short of B would come on top of
    it.
    """
    days = pd.bdate_range("2024-01-01", periods=4)
    close = pd.DataFrame({"A": 100.0, "B": 100.0}, days)
    volume = pd.DataFrame({"A": [1e6, 1e6, 40.0, 1e6], "B": 1e6}, days)
    weights = pd.DataFrame({"A": [-1.0, 0.0, 0.0, 0.0], "B": [0.0, -1.0, -1.0, -1.0]}, days)
    terms = {
        "size": gq.Size(max_participation_rate=1.0 - 1e-9, allow_partial_fills=partial),
        "cash": CASH,
        "progress": False,
    }
    found = gq.backtest(gq.Panel.from_frames(close=close, volume=volume), weights=weights, **terms)
    held = found.positions(0).to_numpy()
    assert (held[1] == [-100.0, 0.0]).all()
    np.testing.assert_allclose(np.minimum(held, 0.0).sum(axis=1)[1:] * -100.0, CASH, rtol=1e-8)
    np.testing.assert_allclose(held[2], [-60.0, -40.0] if partial else [-100.0, 0.0], atol=1e-6)


def test_a_payment_earns_no_interest_of_the_time_before_it():
    close = pd.DataFrame(
        {"A": [100.0, 100.0, 100.0]}, pd.date_range("2024-01-31", periods=3, freq="ME")
    )
    paid = gq.Panel.from_frames(close=close, dividends=close * np.array([[0.0], [0.0], [0.005]]))
    found = gq.backtest(
        paid,
        amounts=np.array([[10.0], [np.nan], [np.nan]]),
        fill="same_close",
        margin=gq.Margin(cash_rate=0.12),
        cash=1000.0,
    )
    assert found.equity()[0].iloc[-1] == pytest.approx(1000.0 + 5.0)


def test_the_best_and_the_worst_are_what_they_are():
    """An account whose every bar gains has a worst bar above zero; one losing trade is the best."""
    close = 100.0 * 1.01 ** np.arange(10)[:, None]
    panel = gq.Panel(close, pd.bdate_range("2024-01-01", periods=10).to_numpy(), ("A",))
    up = gq.backtest(panel, weights=np.ones((10, 1)), fill="same_close")
    assert up.measures["worst_bar"][0] == pytest.approx(0.01) and up.measures["best_bar"][
        0
    ] == pytest.approx(0.01)
    down = np.full((10, 1), np.nan)
    down[0], down[4] = -1.0, 0.0
    lost = gq.backtest(panel, weights=down)
    assert lost.measures["best_trade"][0] == lost.measures["worst_trade"][0] < 0.0
    assert lost.measures["best_trade"][0] == pytest.approx(lost.trades()["pnl"][0])
