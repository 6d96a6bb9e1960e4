"""Random books under every kind of terms, against the slow account of `oracle.py`; and the laws
of each kind of order.
"""

import math

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant.data.panel import Panel
from gpuquant.errors import GpuquantError
from tests.backtesting.oracle import Oracle, Terms

CASH = 10_000.0


def bars(
    draw, count, assets, *, ranges=False, volume=False, allow_halts=False, actions=False, gone=False
):
    """A random panel with what is asked for."""
    close = np.round(50.0 * np.exp(np.cumsum(draw.normal(0.0, 0.03, (count, assets)), axis=0)), 2)
    more = {}
    if ranges:
        first = np.round(close * np.exp(draw.normal(0.0, 0.01, close.shape)), 2)
        high = np.round(np.maximum(first, close) * (1.0 + draw.uniform(0.0, 0.02, close.shape)), 2)
        low = np.round(np.minimum(first, close) * (1.0 - draw.uniform(0.0, 0.02, close.shape)), 2)
        more |= {
            "open": first,
            "high": np.maximum(high, np.maximum(first, close)),
            "low": np.minimum(low, np.minimum(first, close)),
        }
    if volume:
        more["volume"] = np.floor(draw.lognormal(4.0, 1.5, close.shape)) * (
            draw.random(close.shape) > 0.05
        )
    if actions:
        more["splits"] = np.where(
            draw.random(close.shape) < 0.05, draw.choice([2.0, 0.5, 3.0], close.shape), 1.0
        )
        more["dividends"] = np.where(draw.random(close.shape) < 0.1, 0.5, 0.0)
    if gone:
        more["delistings"] = np.where(
            draw.random(close.shape) < 0.02, draw.uniform(-1.0, 0.2, close.shape), np.nan
        )
        more["delistings"][0] = np.nan
    if allow_halts:
        missing = draw.random(close.shape) < 0.1
        close[missing] = np.nan
        for name in ("open", "high", "low"):
            if name in more:
                more[name][missing] = np.nan
    dates = (np.datetime64("2020-01-01", "D") + np.arange(count)).astype("datetime64[ns]")
    return Panel(
        close, dates, tuple(f"S{j}" for j in range(assets)), allow_halts=allow_halts, **more
    )


def targets(draw, shape, mode):
    """Random targets of a mode, most of them none."""
    if mode == "signals":
        out = draw.choice([1.0, 0.0, -1.0], shape)
    elif mode == "weights":
        out = draw.uniform(-0.6, 1.2, shape) / shape[1] * 1.5
    else:
        out = draw.integers(-100, 150, shape).astype(float)
    out[draw.random(shape) < 0.6] = np.nan
    return out


def ours(panel, given, t):
    """The back-test with these terms."""
    cost = gq.costs.Commission(
        rate=t.rate, fixed=t.fixed, minimum=t.least_fee, slippage=t.slippage, impact=t.impact
    )
    size = gq.Size(
        amount=t.amount,
        size_type=t.of,
        lot_size=t.lot,
        min_size=t.minimum,
        max_participation_rate=t.participation,
        allow_partial_fills=t.partial,
        pyramiding=t.add,
        direction=t.sides,
    )
    stops = None
    if t.stops:
        known = {
            name: getattr(t, name)
            for name in ("stop_loss", "take_profit", "trailing")
            if math.isfinite(getattr(t, name))
        }
        stops = gq.Stops(
            **known,
            entry_bar=t.entry_bar,
            entry_reference=t.base,
            slip_limits=t.goal_slips,
            trigger=t.watch,
            trail_reference=t.follow,
        )
    margin = None
    if t.levered or t.locked:
        rates = {
            "margin_rate": t.financing,
            "cash_rate": t.interest,
            "borrow_rate": t.borrow,
        }
        margin = gq.Margin(
            initial=t.initial,
            maintenance=t.maintenance,
            lock_short_proceeds=t.locked,
            **rates,
        )
    return gq.backtest(
        panel,
        **{t.mode: given},
        costs=cost,
        size=size,
        stops=stops,
        margin=margin,
        fill=t.fill,
        cash=CASH,
        cash_allocation="sequential" if t.sequential else "pro_rata",
        progress=False,
    )


def check(panel, given, t, name):
    """Orders, refusals, fees and equity are the oracle's, and cash plus holdings is equity at
    every bar.
    """
    found = ours(panel, given, t)
    groups = (
        [[j] for j in range(panel.close.shape[1])]
        if t.mode == "signals"
        else [list(range(panel.close.shape[1]))]
    )
    orders, rejects, equity = found.orders(), found.rejects(), found.equity()
    for column, group in enumerate(groups):
        told = Oracle(panel.columns(slice(group[0], group[-1] + 1)), given[:, group], t, CASH).run()
        np.testing.assert_allclose(
            equity[column], told.equity, rtol=1e-9, atol=1e-7, err_msg=f"{name} {t}"
        )
        own = orders[orders["column"] == column]
        fills = np.array(told.fills).reshape(-1, 5)
        assert len(own) == len(fills) and (own["bar"].to_numpy() == fills[:, 0]).all(), (name, t)
        signed = np.where(own["side"] == "buy", 1.0, -1.0) * own["size"]
        np.testing.assert_allclose(signed, fills[:, 2], rtol=1e-8, atol=1e-8, err_msg=f"{name} {t}")
        np.testing.assert_allclose(
            own[["price", "fee"]], fills[:, 3:], rtol=1e-9, atol=1e-9, err_msg=f"{name} {t}"
        )
        assert found.measures["fees"][column] == pytest.approx(
            fills[:, 4].sum(), rel=1e-9, abs=1e-9
        )
        assert (rejects["column"] == column).sum() == len(told.refused), (name, t, rejects)
        assert (rejects["reason"] != "").all()
    return len(orders), len(rejects)


KINDS = {
    "sizes": lambda d: (
        Terms(
            "signals",
            of=d.choice(["equity", "cash", "units", "value"]),
            amount=1.0,
            lot=d.choice([0.0, 1.0, 10.0]),
            rate=0.002,
        ),
        {},
    ),
    "pyramids": lambda d: (
        Terms(
            "signals",
            of="units",
            amount=20.0,
            add=True,
            rate=0.001,
            fixed=1.0,
            partial=bool(d.random() < 0.5),
            sides=str(d.choice(["both", "long", "short"])),
        ),
        {},
    ),
    "sides": lambda d: (
        Terms(
            d.choice(["signals", "amounts"]),
            of="equity",
            rate=0.001,
            sides=str(d.choice(["long", "short"])),
        ),
        {},
    ),
    "fees": lambda d: (
        Terms(
            "weights",
            rate=0.001,
            fixed=2.0,
            least_fee=5.0,
            slippage=0.001,
            minimum=3.0,
            sequential=bool(d.random() < 0.5),
        ),
        {},
    ),
    "lots": lambda d: (
        Terms(
            "amounts",
            lot=5.0,
            rate=0.001,
            partial=bool(d.random() < 0.5),
            sequential=bool(d.random() < 0.5),
        ),
        {},
    ),
    "stops": lambda d: (
        Terms(
            "signals",
            of="cash",
            stops=True,
            stop_loss=0.04,
            take_profit=0.06,
            rate=0.001,
            slippage=0.0005,
            entry_bar=bool(d.random() < 0.5),
            base=str(d.choice(["fill", "close", "signal"])),
            goal_slips=bool(d.random() < 0.5),
        ),
        {"ranges": True},
    ),
    "trails": lambda d: (
        Terms(
            "weights", stops=True, trailing=0.05, stop_loss=d.choice([0.03, math.inf]), rate=0.001
        ),
        {"ranges": True},
    ),
    "close trails": lambda d: (
        Terms(
            d.choice(["signals", "weights"]),
            of="value",
            amount=3000.0,
            stops=True,
            trailing=0.03,
            take_profit=0.08,
            base=str(d.choice(["fill", "close"])),
            follow="close",
            watch=str(d.choice(["range", "close"])),
        ),
        {"ranges": True, "allow_halts": bool(d.random() < 0.5)},
    ),
    "close stops": lambda d: (
        Terms("signals", of="value", amount=3000.0, stops=True, trailing=0.05, take_profit=0.08),
        {},
    ),
    "risk": lambda d: (
        Terms("signals", of="risk", amount=0.02, stops=True, stop_loss=0.05, rate=0.001),
        {"ranges": True},
    ),
    "volume": lambda d: (
        Terms(
            "weights", participation=0.2, impact=0.02, rate=0.001, partial=bool(d.random() < 0.7)
        ),
        {"volume": True},
    ),
    "halts": lambda d: (
        Terms("weights", rate=0.001, sequential=bool(d.random() < 0.5)),
        {"allow_halts": True, "ranges": bool(d.random() < 0.5)},
    ),
    "halted stops": lambda d: (
        Terms("signals", of="equity", stops=True, stop_loss=0.03, trailing=0.06),
        {"allow_halts": True, "ranges": bool(d.random() < 0.5)},
    ),
    "actions": lambda d: (Terms("amounts", rate=0.001), {"actions": True}),
    "delistings": lambda d: (Terms("weights", rate=0.001), {"gone": True}),
    "margin": lambda d: (
        Terms(
            "weights",
            levered=True,
            initial=0.5,
            maintenance=0.3,
            financing=0.08,
            interest=0.02,
            borrow=0.05,
            rate=0.001,
        ),
        {},
    ),
    "leverage": lambda d: (
        Terms(
            "signals",
            of="cash",
            levered=True,
            initial=0.1,
            maintenance=0.05,
            financing=0.1,
            rate=0.001,
            lot=1.0,
        ),
        {},
    ),
    "locked": lambda d: (
        Terms(
            "amounts",
            locked=True,
            borrow=0.1,
            rate=0.001,
            fixed=1.0,
            sequential=bool(d.random() < 0.5),
        ),
        {},
    ),
}


def books(name, count, seed, kernels):
    """Check so many random books of a kind, of at most so many kernels, each of which takes
    seconds to compile; how many orders were filled and refused.
    """
    filled, refused = 0, 0
    for k in range(count):
        choices, draw = (
            np.random.default_rng([seed, 0, k % kernels]),
            np.random.default_rng([seed, 1, k]),
        )
        t, more = KINDS[name](choices)
        t.fill = choices.choice(["next", "same_close"])
        t.of, t.lot = str(t.of), float(t.lot)
        assets = int(draw.integers(2, 5)) if choices.random() < 0.7 else 1
        length = (
            draw.integers(3, 40) if draw.random() < 0.8 else draw.integers(60, 200)
        )  # of one block of the walk, or of several
        panel = bars(draw, int(length), assets, **more)
        given = targets(draw, panel.close.shape, t.mode)
        if t.mode == "weights" and t.levered:
            given *= 2.0
        one, other = check(panel, given, t, f"{name} {k}")
        filled, refused = filled + one, refused + other
    return filled, refused


@pytest.mark.parametrize("name", KINDS)
def test_random_books(name):
    filled, _ = books(name, 40, 1, 1)
    assert filled > 100


@pytest.mark.slow
def test_ten_thousand_random_books():
    for name in KINDS:
        books(name, 10_000 // len(KINDS) + 1, 2, 16)


def test_a_wrong_account_is_seen():
    """The mutant: a fee that is a hundredth of a basis point off, and a stop that is, do not
    pass.
    """
    draw = np.random.default_rng(5)
    panel, given = bars(draw, 200, 2, ranges=True), targets(draw, (200, 2), "signals")
    t = Terms("signals", of="cash", rate=0.001, stops=True, stop_loss=0.04)
    check(panel, given, t, "as it is")
    for change in ({"rate": 0.001001}, {"stop_loss": 0.0401}):
        off = Terms(**{**vars(t), **change})
        found = ours(panel, given, off)
        told = [
            Oracle(panel.columns(slice(j, j + 1)), given[:, [j]], t, CASH).run().equity
            for j in range(2)
        ]
        assert not np.allclose(found.equity().to_numpy().T, told, rtol=1e-9), change


PATH = [100.0, 101.0, 99.0, 95.0, 97.0, 103.0, 108.0, 104.0, 100.0, 110.0]


def one(first=None, spread=1.0):
    """A panel of one asset whose bars reach `spread` above and below."""
    close = np.array(PATH)[:, None]
    opened = close if first is None else np.array(first, dtype=float)[:, None]
    dates = (np.datetime64("2020-01-01", "D") + np.arange(len(close))).astype("datetime64[ns]")
    top, low = np.maximum(close, opened) + spread, np.minimum(close, opened) - spread
    return Panel(close, dates, ("A",), open=opened, high=top, low=low)


def sent(*rows):
    """What becomes of some orders: their statuses, and the fills."""
    found = gq.backtest(one(), orders=pd.DataFrame(rows), cash=10_000.0)
    return found.order_status(), found.orders()


def test_a_limit_fills_at_its_price_or_better():
    _fates, fills = sent({"bar": 0, "size": 10.0, "limit": 96.5})
    assert fills[["bar", "price", "cause"]].values.tolist() == [
        [3, 95.0, "limit"]
    ]  # the bar opens below the limit
    _fates, fills = sent({"bar": 0, "size": 10.0, "limit": 98.5})
    assert fills[["bar", "price"]].values.tolist() == [[2, 98.5]]


def test_a_stop_fills_at_its_price_or_worse():
    _, fills = sent({"bar": 0, "size": 10.0, "stop": 103.5})
    assert fills[["bar", "price", "cause"]].values.tolist() == [[5, 103.5, "stop"]]
    _, fills = sent({"bar": 5, "size": 10.0, "stop": 105.0})
    assert fills[["bar", "price"]].values.tolist() == [[6, 108.0]]  # it opens beyond the stop
    statuses, fills = sent(
        {"bar": 5, "size": 10.0, "stop": 105.0, "limit": 106.0}
    )  # a stop-limit waits, and the next bars open at 104
    assert fills[["bar", "price"]].values.tolist() == [[7, 104.0]] and statuses[
        "state"
    ].tolist() == ["filled"]


def test_an_order_ends_with_its_time_in_force():
    statuses, fills = sent(
        {"bar": 0, "size": 10.0, "limit": 96.5, "bars": 2},
        {"bar": 0, "size": 10.0, "limit": 96.5, "bars": 3},
    )
    assert (
        statuses["state"].tolist() == ["expired", "filled"]
        and statuses["bar"].tolist() == [2, 3]
        and len(fills) == 1
    )


def test_a_bracket_closes_what_its_parent_opened():
    """A take-profit and a stop that wait for the entry; one cancels the other, and they close as
    much as was bought.
    """
    rows = [
        {"bar": 0, "size": 10.0, "limit": 98.5},
        {"bar": 0, "limit": 102.5, "parent": 0, "group": "exit"},
        {"bar": 0, "stop": 93.0, "parent": 0, "group": "exit"},
    ]
    statuses, fills = sent(*rows)
    assert statuses["state"].tolist() == ["filled", "filled", "cancelled"]
    assert fills[["bar", "side", "size", "price"]].values.tolist() == [
        [2, "buy", 10.0, 98.5],
        [5, "sell", 10.0, 103.0],
    ]
    statuses, _ = sent(
        {"bar": 0, "size": 10.0, "limit": 50.0, "bars": 2}, {"bar": 0, "limit": 102.5, "parent": 0}
    )
    assert statuses["state"].tolist() == ["expired", "cancelled"]


def test_an_order_that_cannot_fill_says_why():
    statuses, _fills = sent({"bar": 0, "size": 1e6}, {"bar": 1}, {"bar": 2})
    assert statuses["state"].tolist() == ["filled", "filled", "cancelled"] and statuses[
        "reason"
    ].tolist() == ["not enough cash", "", "nothing to close"]
    found = gq.backtest(
        one(),
        orders=pd.DataFrame([{"bar": 0, "size": 1e6}]),
        size=gq.Size(allow_partial_fills=False),
        cash=10_000.0,
    )
    assert found.order_status()["state"].tolist() == ["rejected"] and found.rejects()[
        "reason"
    ].tolist() == ["not enough cash"]
    assert found.measures["orders"][0] == 0 and found.measures["rejects"][0] == 1


def test_every_order_is_a_fill_a_refusal_or_neither():
    """orders = fills + rejects + unfilled, over random lists of all kinds; filled units are
    those of the fills.
    """
    for seed in range(40):
        draw = np.random.default_rng(seed)
        panel = bars(draw, 60, 3, ranges=True, allow_halts=True)
        close = panel.last_close
        rows = []
        for _ in range(40):
            bar, asset = int(draw.integers(0, 58)), int(draw.integers(0, 3))
            level = close[bar, asset] if close[bar, asset] > 0 else 50.0
            row = {
                "bar": bar,
                "asset": f"S{asset}",
                "size": float(draw.choice([-1, 1]) * draw.integers(1, 300)),
                "bars": float(draw.integers(1, 20)),
            }
            kind = draw.integers(0, 4)
            row |= {"limit": level * draw.uniform(0.95, 1.05)} if kind in (1, 3) else {}
            row |= {"stop": level * draw.uniform(0.95, 1.05)} if kind in (2, 3) else {}
            rows.append(row)
        frame = pd.DataFrame(rows)
        found = gq.backtest(
            panel,
            orders=frame,
            costs=gq.costs.Commission(rate=0.001, fixed=1.0),
            size=gq.Size(allow_partial_fills=seed % 2 == 0),
            cash=5_000.0,
        )
        statuses, fills, rejects = found.order_status(), found.orders(), found.rejects()
        assert (statuses["state"] == "filled").sum() == len(fills) and (
            statuses["state"] == "rejected"
        ).sum() == len(rejects)
        assert (
            statuses["state"]
            .isin(["filled", "rejected", "expired", "live", "waiting", "cancelled"])
            .all()
        )
        assert statuses["filled"].abs().sum() == pytest.approx(fills["size"].sum())
        cash, held, equity = 5_000.0, np.zeros(3), found.equity()[0].to_numpy()
        at = fills.assign(signed=np.where(fills["side"] == "buy", 1, -1) * fills["size"])
        for t in range(60):
            for _, fill in at[at["bar"] == t].iterrows():
                cash -= fill["signed"] * fill["price"] + fill["fee"]
                held[panel.asset(fill["asset"])] += fill["signed"]
            assert cash + held @ np.nan_to_num(close[t]) == pytest.approx(
                equity[t], rel=1e-9, abs=1e-7
            )
            if equity[t] <= 0.0:
                break  # a ruined account stands still


def test_trades_match_three_ways():
    orders = pd.DataFrame(
        [
            {"bar": 0, "size": 10.0},
            {"bar": 2, "size": 20.0},
            {"bar": 4, "size": -15.0},
            {"bar": 6, "size": -25.0},
        ]
    )
    found = gq.backtest(
        one(), orders=orders, costs=gq.costs.Proportional(rate=0.001), cash=10_000.0
    )
    gains = {}
    for matching, count in (("average", 3), ("fifo", 4), ("position", 2)):
        trades = found.trades(matching=matching)
        assert len(trades) == count and trades["closed"].tolist() == [True] * (count - 1) + [False]
        gains[matching] = trades["pnl"].sum()
    assert gains["fifo"] == pytest.approx(gains["average"]) == pytest.approx(gains["position"])
    assert found.equity()[0].iloc[-1] == pytest.approx(10_000.0 + gains["fifo"])
    held = found.positions()[0, "A"]
    assert held.tolist() == [0, 10, 10, 30, 30, 15, 15, -10, -10, -10]
    falls = found.drawdowns()
    assert falls["depth"].min() == pytest.approx(found.measures["max_drawdown"][0])


def test_stops_make_a_grid():
    panel = bars(np.random.default_rng(2), 200, 2, ranges=True)
    rule = gq.rules.MovingAverageCross(fast=(3, 5), slow=10)
    grid = gq.backtest(panel, rule, stops=gq.Stops(stop_loss=(0.02, 0.05), take_profit=0.1))
    assert len(grid) == 2 * 2 * 2 and {"stop_loss", "take_profit", "fast"} <= set(grid.frame)
    alone = gq.backtest(
        panel,
        gq.rules.MovingAverageCross(fast=5, slow=10),
        stops=gq.Stops(stop_loss=0.05, take_profit=0.1),
    )
    row = grid.frame.query("fast == 5 and stop_loss == 0.05 and asset == 'S1'")
    assert row["total_return"].iloc[0] == alone.frame.query("asset == 'S1'")["total_return"].iloc[0]
    assert set(grid.orders()["cause"]) >= {"order", "stop loss"}


def test_the_best_of_a_grid_are_those_of_the_whole(monkeypatch):
    from gpuquant.backtesting import partition

    panel = bars(np.random.default_rng(3), 300, 3)
    rule = gq.rules.MovingAverageCross(fast=range(2, 12), slow=range(12, 30))
    whole = gq.backtest(panel, rule)
    monkeypatch.setattr(partition, "PART", 37)
    best = gq.backtest(panel, rule, top=5, by="calmar")
    order = np.argsort(-np.nan_to_num(whole.measures["calmar"], nan=-np.inf), kind="stable")[:5]
    assert best.columns.tolist() == order.tolist() and len(best) == 5
    np.testing.assert_array_equal(best.measures["sharpe"], whole.measures["sharpe"][order])
    pd.testing.assert_frame_equal(
        best.orders([0]).drop(columns="column"), whole.orders([order[0]]).drop(columns="column")
    )
    assert best.meta["trials"] == len(whole) and best.meta["sharpe_spread"] == pytest.approx(
        np.nanstd(whole.measures["sharpe"], ddof=1)
    )


def test_tails_excursions_and_a_benchmark_are_what_they_say():
    panel = bars(np.random.default_rng(4), 333, 3, ranges=True)
    grid = gq.backtest(
        panel,
        gq.rules.MovingAverageCross(fast=(3, 8), slow=15),
        costs=gq.costs.Proportional(rate=0.001),
        benchmark="equal_weight",
    )
    returns = grid.returns().to_numpy()
    market = grid.account.market_returns
    again = gq.measures.from_sums(gq.measures.sums_of(returns, market), len(returns), 365.0, market)
    for name in (
        "value_at_risk",
        "expected_shortfall",
        "tail_ratio",
        "omega",
        "ulcer",
        "average_drawdown",
        "hit_rate",
        "beta",
        "alpha",
        "information_ratio",
        "tracking_error",
    ):
        np.testing.assert_allclose(
            grid.measures[name], again[name], rtol=1e-8, atol=1e-12, err_msg=name
        )
    assert len(grid.measures) >= 40
    for column in range(len(grid)):
        trades = grid.trades([column])
        closed = trades[trades["closed"]]
        asset = panel.asset(trades["asset"].iloc[0])
        against = [
            panel.low[a + 1 : b + 1, asset].min(initial=panel.close[a, asset]) / (p + f / s) - 1.0
            for a, b, p, f, s in closed[
                ["entry_bar", "exit_bar", "entry_price", "entry_fee", "size"]
            ]
            .values.astype(float)
            .tolist()
            for a, b in [(int(a), int(b))]
        ]
        assert grid.measures["adverse_excursion"][column] == pytest.approx(
            np.mean(np.minimum(against, 0.0)), rel=1e-9
        )
        assert grid.measures["avg_holding_bars"][column] == pytest.approx(
            (closed["exit_bar"] - closed["entry_bar"]).mean()
        )
        assert grid.measures["best_trade"][column] == pytest.approx(max(closed["pnl"].max(), 0.0))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda p: gq.backtest(p, orders=pd.DataFrame([{"bar": 0, "size": 1.0, "lmit": 3.0}])),
            "unknown column of orders 'lmit'; did you mean 'limit'",
        ),
        (
            lambda p: gq.backtest(p, orders=pd.DataFrame([{"bar": 99, "size": 1.0}])),
            r"orders bar\[0\] = 99.0: must be a whole number from 0 to 9",
        ),
        (
            lambda p: gq.backtest(p, orders=pd.DataFrame([{"bar": 0, "limit": -1.0}])),
            r"orders limit\[0\] = -1.0: must be finite and > 0",
        ),
        (
            lambda p: gq.backtest(p, orders=pd.DataFrame([{"bar": 0, "size_type": "risk"}])),
            r"orders size_type\[0\] = 'risk': must be one of",
        ),
        (
            lambda p: gq.backtest(p, orders=pd.DataFrame([{"bar": 0, "parent": 7}])),
            r"orders parent\[0\] = 7.0",
        ),
        (
            lambda p: gq.backtest(p, orders=pd.DataFrame([{"date": "2031-01-01", "size": 1.0}])),
            "orders date: 1 of 1 dates are no dates of the prices: 2031-01-01",
        ),
        (
            lambda p: gq.backtest(
                p, weights=np.ones((10, 1)), size=gq.Size(max_participation_rate=0.1)
            ),
            "needs a panel with volume",
        ),
        (
            lambda p: gq.backtest(p, signals=np.ones((10, 1)), size=gq.Size(size_type="risk")),
            r"needs Stops\(stop_loss",
        ),
        (
            lambda p: gq.backtest(p, weights=np.ones((10, 1)), stops=0.05),
            "stops = 0.05: must be a gpuquant.Stops",
        ),
        (lambda p: gq.Stops(stop_loss=-0.1), r"stop_loss\[0\] = -0.1"),
        (
            lambda p: gq.Margin(initial=0.2, maintenance=0.3),
            "maintenance = 0.3: must be below initial",
        ),
        (lambda p: gq.Size(amount=0.0), r"amount\[0\] = 0.0"),
        (
            lambda p: gq.backtest(p, gq.rules.MovingAverageCross(fast=2, slow=4), fill="same_open"),
            "that open is past",
        ),
        (
            lambda p: gq.backtest(p, weights=np.ones((10, 1)), cash_allocation="never"),
            "unknown cash_allocation 'never'",
        ),
        (
            lambda p: gq.backtest(
                p, gq.rules.MovingAverageCross(fast=2, slow=4), top=3, by="sharp"
            ),
            "unknown measure 'sharp'; did you mean 'sharpe'",
        ),
        (
            lambda p: Panel(p.close, p.dates, p.assets, high=p.low, low=p.high),
            "must be the highest price of its bar",
        ),
        (
            lambda p: Panel(p.close, p.dates, p.assets, volume=-p.close),
            "volume.*must be finite and >= 0",
        ),
        (
            lambda p: Panel(p.close * -1, p.dates, p.assets, allow_halts=True),
            "must be > 0, or NaN where nothing trades",
        ),
        (
            lambda p: Panel.from_frames(close=p.to_frame(), opn=p.to_frame()),
            "unknown prices 'opn'; did you mean 'open'",
        ),
    ],
)
def test_bad_terms_are_named(make, words):
    with pytest.raises(GpuquantError, match=words):
        make(one())


def test_a_share_of_a_holding_is_one_of_what_was_held():
    """Whatever the volume leaves for later bars."""
    draw = np.random.default_rng(0)
    panel = bars(draw, 30, 1, volume=True)
    panel = gq.Panel(
        panel.close, panel.dates, panel.assets, volume=np.full(panel.close.shape, 40.0)
    )
    orders = pd.DataFrame(
        [
            {"bar": 0, "size": 100.0, "size_type": "units", "bars": 10},
            {"bar": 12, "size": -0.6, "size_type": "holding", "bars": 10},
        ]
    )
    found = gq.backtest(panel, orders=orders, size=gq.Size(max_participation_rate=0.5), cash=1e6)
    assert found.orders()["size"].tolist() == [20.0] * 8
    assert found.order_status()["filled"].tolist() == [100.0, -60.0]
    spent = gq.backtest(
        panel,
        orders=orders.iloc[:1].assign(size=0.001, size_type="cash"),
        size=gq.Size(max_participation_rate=0.5),
        cash=1e6,
    ).orders()
    assert (spent["size"] * spent["price"]).sum() == pytest.approx(1000.0, rel=0.2)


def test_a_lost_account_is_not_called_again():
    panel = gq.Panel(
        np.array([[100.0], [100.0], [20.0], [20.0], [20.0], [20.0]]),
        bars(np.random.default_rng(0), 6, 1).dates,
        ("A",),
    )
    found = gq.backtest(
        panel,
        weights=np.array([[2.0], *[[np.nan]] * 5]),
        margin=gq.Margin(initial=0.5, maintenance=0.3),
    )
    assert found.equity()[0].iloc[-1] < 0.0 and found.measures["margin_calls"][0] == 0.0
