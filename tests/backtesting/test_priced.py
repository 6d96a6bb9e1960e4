"""Rules that price their targets: limits and stops, against a loop that anyone can follow."""

import numpy as np
import pytest

import gpuquant as gq
from gpuquant.errors import MemberError
from gpuquant.validation import lookahead
from tests.backtesting.own_rule import Patient
from tests.backtesting.test_terms import bars

UNITS = 10.0


def followed(panel, asset, limit, stop):
    """Fills (bar, signed units, price) and refusals (bar, wanted) of the rule on one asset, with
    ten units to a target.
    """
    close = panel.close[:, asset]
    first, high, low = (
        close if panel.open is None else getattr(panel, name)[:, asset]
        for name in ("open", "high", "low")
    )
    held, fills, refused = 0.0, [], []
    for k in range(1, panel.bars - 1):
        turn = (k - 1) % 12
        if turn % 3:
            continue
        goal = {0: UNITS, 3: 0.0, 6: -UNITS, 9: 0.0}[turn]
        buys = turn in (0, 9)
        way = 1.0 if buys else -1.0
        if goal == held or (goal == 0.0 and held == 0.0):
            continue
        wanted, t = goal - held, k + 1
        at, worse, better = first[t], close[k] * (1.0 + way * stop), close[k] * (1.0 - way * limit)
        top, bottom = (
            (max(first[t], close[t]), min(first[t], close[t]))
            if panel.open is None
            else (high[t], low[t])
        )
        fills_here = True
        if stop:
            at = max(at, worse) if wanted > 0 else min(at, worse)
            fills_here = top >= worse if wanted > 0 else bottom <= worse
            if limit:
                fills_here = fills_here and (at <= better if wanted > 0 else at >= better)
        elif limit:
            at = min(at, better) if wanted > 0 else max(at, better)
            fills_here = bottom <= better if wanted > 0 else top >= better
        if fills_here:
            fills.append((t, wanted, at))
            held = goal
        else:
            refused.append((t, wanted))
    return fills, refused


@pytest.mark.parametrize("ranges", [True, False])
def test_a_priced_wish_fills_where_a_slow_loop_fills_it(ranges):
    panel = bars(np.random.default_rng(4), 400, 3, ranges=ranges)
    limits, stops = [0.0, 0.005, -0.03, 0.03], [0.0, 0.01]
    found = gq.backtest(
        panel,
        Patient(limit=limits, stop=stops),
        size=gq.Size(size_type="units", amount=UNITS),
        cash=1e6,
    )
    fills, refused = found.orders(), found.rejects()
    seen = {"fills": 0, "refusals": 0}
    for column, (asset, limit, stop) in enumerate(
        zip(found.labels["asset"], found.labels["limit"], found.labels["stop"], strict=True)
    ):
        want_fills, want_refused = followed(panel, panel.asset(asset), limit, stop)
        mine = fills[fills["column"] == column]
        signed = np.where(mine["side"] == "buy", mine["size"], -mine["size"])
        where = f"{asset} limit {limit} stop {stop}"
        assert list(mine["bar"]) == [t for t, _, _ in want_fills], where
        np.testing.assert_allclose(signed, [u for _, u, _ in want_fills], rtol=1e-12, err_msg=where)
        np.testing.assert_allclose(
            mine["price"], [p for _, _, p in want_fills], rtol=1e-12, err_msg=where
        )
        assert set(mine["cause"]) <= {"limit" if limit else "stop" if stop else "order"}, where
        none = refused[refused["column"] == column]
        assert list(none["bar"]) == [t for t, _ in want_refused], where
        assert set(none["reason"]) <= {"its price was not reached"}, where
        assert none["price"].isna().all(), where
        seen["fills"] += len(want_fills)
        seen["refusals"] += len(want_refused)
    assert min(seen.values()) > 100


def test_at_the_close_a_limit_sees_the_close_alone():
    """The bar's low is past by then: a limit better than the close is never reached, one that
    the close is within always.
    """
    panel = bars(np.random.default_rng(7), 200, 1, ranges=True)
    terms = {"size": gq.Size(size_type="units", amount=UNITS), "cash": 1e6, "fill": "same_close"}
    never, always = (
        gq.backtest(panel, Patient(limit=limit, stop=0.0), **terms) for limit in (0.0001, -0.0001)
    )
    assert never.measures["orders"][0] == 0.0 < never.measures["rejects"][0]
    assert always.measures["rejects"][0] == 0.0 < always.measures["orders"][0]
    np.testing.assert_array_equal(always.orders()["price"], panel.close[always.orders()["bar"], 0])


def test_a_margin_call_waits_for_no_price():
    class Greedy(Patient):
        @staticmethod
        def decide(r, i, state, past, k):
            return (
                (state[0] + 1.0,),
                1.0,
                past.close(0) * (1.5 if state[0] == 0.0 else 0.01),
                0.0,
            )  # buys at once, then at no price that comes

    close = np.array([100.0, 100.0, 100.0, 60.0, 58.0, 55.0])[:, None]
    panel = gq.Panel(
        close,
        np.arange("2020-01-01", "2020-01-07", dtype="datetime64[D]").astype("datetime64[ns]"),
        ("A",),
    )
    found = gq.backtest(
        panel,
        Greedy(limit=0.0, stop=0.0),
        size=gq.Size(size_type="equity", amount=2.0),
        margin=gq.Margin(initial=0.4, maintenance=0.3),
        cash=1e4,
    )
    assert list(found.orders()["cause"]) == ["limit", "margin call"]


@pytest.mark.parametrize("halts", [True, False])
def test_a_bar_without_prices_says_so(halts):
    panel = bars(np.random.default_rng(8), 300, 1, ranges=True, allow_halts=halts)
    refused = gq.backtest(
        panel,
        Patient(limit=0.002, stop=0.0),
        size=gq.Size(size_type="units", amount=UNITS),
        cash=1e6,
    ).rejects()
    for bar, reason in zip(refused["bar"], refused["reason"], strict=True):
        assert reason == (
            "no price" if np.isnan(panel.close[bar, 0]) else "its price was not reached"
        )
    assert ("no price" in set(refused["reason"])) == halts


def test_a_limit_does_not_slip_and_a_stop_does():
    panel = bars(np.random.default_rng(5), 300, 1, ranges=True)
    size, slips = gq.Size(size_type="units", amount=UNITS), gq.costs.Proportional(slippage=0.01)
    for terms, moved in (
        ({"limit": 0.005, "stop": 0.0}, False),
        ({"limit": 0.0, "stop": 0.01}, True),
    ):
        smooth, rough = (
            gq.backtest(panel, Patient(**terms), size=size, costs=c, cash=1e6).orders()
            for c in (None, slips)
        )
        assert list(smooth["bar"]) == list(rough["bar"])
        assert len(smooth) > 20
        way = np.where(smooth["side"] == "buy", 1.0, -1.0)
        np.testing.assert_allclose(
            rough["price"], smooth["price"] * (1.0 + 0.01 * way * moved), rtol=1e-12
        )


def test_a_price_that_is_not_known_is_no_wish():
    class Blind(Patient):
        @staticmethod
        def decide(r, i, state, past, k):
            return (
                state,
                1.0,
                r.limit[i] * past.close(1e6 * r.stop[i]),
                0.0,
            )  # a close before the first bar, or a price below zero

    for limit, stop in ((1.0, 1.0), (-1.0, 0.0)):
        found = gq.backtest(bars(np.random.default_rng(6), 60, 1), Blind(limit=limit, stop=stop))
        assert found.measures["orders"][0] == found.measures["rejects"][0] == 0.0


def test_a_priced_rule_knows_no_future():
    """Its limit is met within the next bar, whose low it does not know: the check must see
    neither a leak there nor an error.
    """
    panel = bars(np.random.default_rng(1), 120, 2, ranges=True)
    found = lookahead.check(Patient(limit=0.01, stop=0.0), panel)
    assert not found, found


def test_a_rule_that_forgets_its_prices_is_named():
    class Forgets(Patient):
        @staticmethod
        def decide(r, i, state, past, k):
            return state, 1.0

    with pytest.raises(
        MemberError,
        match=(
            r"Forgets.decide returns \(state, 1.0\): must be \(state, target, limit, stop\), as "
            r"priced = True"
        ),
    ):
        gq.backtest(bars(np.random.default_rng(6), 60, 1), Forgets(limit=0.0, stop=0.0))
