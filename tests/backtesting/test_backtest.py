"""Back-tests: V16 in all its columns, accounting against a slow oracle, and the laws of an
honest account.
"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuquant as gq
from gpuquant import costs, measures, rules
from gpuquant.data.panel import Panel
from gpuquant.errors import DataError, GpuquantError, InputError, NameUnknown
from tests import ptx, twin
from tests.conftest import ROOT

FEES = costs.Proportional(rate=0.001, slippage=0.0005)


def panel_of(close, decimals=2):
    close = np.round(np.asarray(close, dtype=float), decimals)
    dates = (np.datetime64("2020-01-01", "D") + np.arange(len(close))).astype("datetime64[ns]")
    return Panel(close, dates, tuple(f"S{j}" for j in range(close.shape[1])))


def test_v16_in_all_2000_columns(us20, device):
    """tests/reference/V16_grid.csv: exact integer crossings with vectorbt 1.2.0's fills; its
    conventions are in the issue's reference.
    """
    rule = rules.MovingAverageCross(fast=range(5, 15), slow=range(15, 25))
    found = gq.backtest(
        us20, rule, costs=FEES, fill="same_close", cash=10_000.0, periods=365.0, device=device
    ).frame
    expected = pd.read_csv(ROOT / "tests" / "reference" / "V16_grid.csv")
    both = expected.merge(
        found, on=["asset", "fast", "slow"], suffixes=("_expected", ""), validate="one_to_one"
    )
    assert len(both) == 2000
    assert (both["n_orders"] == both["orders"]).all()
    n = us20.bars - 1  # returns; vectorbt counts the first bar as one more, of nothing
    mean, second = (
        both["sharpe"] * both["volatility"] / 365.0,
        both["volatility"] ** 2 / 365.0 * (n - 1),
    )
    both["sharpe"] = (
        mean * n / (n + 1) / np.sqrt((second + mean**2 * n / (n + 1)) / n) * np.sqrt(365.0)
    )
    for theirs, ours in (
        ("total_return_expected", "total_return"),
        ("sharpe_365", "sharpe"),
        ("max_drawdown_expected", "max_drawdown"),
    ):
        np.testing.assert_allclose(both[ours], both[theirs], rtol=1e-9, err_msg=ours)


def oracle(panel, weights, cost, cash, same_close):
    """A slow, obvious account with shared cash: (equity, orders)."""
    rate, slip = float(cost.rate[0]), float(cost.slippage[0])
    hold, equity, orders = np.zeros(panel.close.shape[1]), [], []
    waiting = None
    for t, prices in enumerate(panel.close):
        target = weights[t] if same_close else waiting
        if target is not None and np.isfinite(target).any():
            worth = cash + hold @ prices
            sizes = np.where(np.isfinite(target), target * worth / prices - hold, 0.0)
            cover = np.clip(-hold, 0.0, np.maximum(sizes, 0.0))
            for buying in (False, True):
                paid = prices * (1 + slip if buying else 1 - slip)
                # shorts are cut by one factor to what the account is worth, those that are bought
                # back not among them
                if not buying:
                    opening = np.maximum(-sizes - np.maximum(hold, 0.0), 0.0) * (sizes < 0)
                    kept = np.minimum(hold + cover, 0.0) @ prices
                    share = (
                        min(1.0, max(worth + kept, 0.0) / (opening @ prices))
                        if opening.any()
                        else 1.0
                    )
                    sizes = np.where(sizes < 0, sizes + (1.0 - share) * opening, sizes)
                # a short is always bought back; the other buys are cut by one factor to the cash
                # there is
                if buying:
                    room = max(cash - (cover * paid).sum() * (1 + rate), 0.0) / (1 + rate)
                    wanted = ((np.maximum(sizes, 0.0) - cover) * paid).sum()
                    sizes = np.where(
                        sizes > 0,
                        cover + min(1.0, room / wanted if wanted > 0 else 1.0) * (sizes - cover),
                        sizes,
                    )
                for j in np.flatnonzero(np.isfinite(target)):
                    size = sizes[j]
                    if abs(size) < 1e-8 or (size > 0) != buying:
                        continue
                    fee = rate * abs(size) * paid[j]
                    cash -= size * paid[j] + fee
                    hold[j] = 0.0 if target[j] == 0 else hold[j] + size
                    orders.append((t, j, size, paid[j], fee))
        waiting = weights[t]
        equity.append(cash + hold @ prices)
        if equity[-1] <= 0:
            equity += [equity[-1]] * (len(panel.close) - t - 1)
            break
    return np.array(equity), np.array(orders).reshape(-1, 5)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(2, 40),
    st.integers(1, 5),
    st.booleans(),
    st.booleans(),
    st.floats(0.0, 0.02),
)
def test_accounting_against_the_oracle(seed, bars, assets, same_close, short, rate):
    draw = np.random.default_rng(seed)
    panel = panel_of(20 * np.exp(np.cumsum(draw.normal(0, 0.05, (bars, assets)), axis=0)) + 0.5)
    weights = draw.dirichlet(np.ones(assets), bars) * draw.uniform(0, 1.2, (bars, 1))
    if short:
        weights *= draw.choice([-0.5, 1.0], (bars, assets))
    weights[draw.random((bars, assets)) < 0.4] = np.nan
    weights[draw.random((bars, assets)) < 0.1] = 0.0
    cost = costs.Proportional(rate=rate, slippage=rate / 2)
    found = gq.backtest(
        panel, weights=weights, costs=cost, fill="same_close" if same_close else "next", cash=1e5
    )
    equity, orders = oracle(panel, weights, cost, 1e5, same_close)
    np.testing.assert_allclose(found.equity()[0], equity, rtol=1e-9, err_msg=str(seed))
    got = found.orders()
    assert len(got) == len(orders) == found.measures["orders"][0]
    np.testing.assert_array_equal(got["bar"], orders[:, 0])
    np.testing.assert_allclose(got["price"], orders[:, 3], rtol=1e-12)
    np.testing.assert_allclose(
        np.where(got["side"] == "buy", 1, -1) * got["size"], orders[:, 2], rtol=1e-7, atol=1e-9
    )
    assert found.measures["fees"][0] == pytest.approx(orders[:, 4].sum(), rel=1e-9, abs=1e-9)
    # cash and holdings are equity at every bar, from the orders alone
    cash, hold = 1e5, np.zeros(assets)
    at = 0
    for t in range(bars):
        while at < len(orders) and orders[at, 0] == t:
            _, j, size, paid, fee = orders[at]
            cash -= size * paid + fee
            hold[int(j)] += size
            at += 1
        assert cash + hold @ panel.close[t] == pytest.approx(equity[t], rel=1e-9)


def test_measures_of_the_walk_are_those_of_the_returns(walk_panel):
    grid = gq.backtest(walk_panel, rules.MovingAverageCross(fast=(3, 8), slow=(15, 30)), costs=FEES)
    returns = grid.returns().to_numpy()
    again = measures.from_sums(measures.sums_of(returns), len(returns), 365.0)
    for name in (
        "total_return",
        "cagr",
        "volatility",
        "sharpe",
        "sortino",
        "max_drawdown",
        "calmar",
        "skew",
        "kurtosis",
        "best_bar",
        "worst_bar",
    ):
        np.testing.assert_allclose(
            grid.measures[name], again[name], rtol=1e-8, atol=1e-12, err_msg=name
        )
    np.testing.assert_array_equal(grid.measures["max_drawdown_bars"], again["max_drawdown_bars"])
    assert len(grid.measures) >= 12


def test_trades_and_wins_add_up(walk_panel):
    grid = gq.backtest(
        walk_panel, rules.MovingAverageCross(fast=3, slow=15), costs=FEES, cash=1000.0
    )
    for column in range(len(grid)):
        orders = grid.orders([column])
        sides = orders["side"].tolist()
        assert sides == ["buy", "sell"] * (len(sides) // 2) + ["buy"] * (len(sides) % 2)
        flows = (
            np.where(orders["side"] == "sell", 1, -1) * orders["size"] * orders["price"]
            - orders["fee"]
        )
        gains = flows.to_numpy()[: len(flows) // 2 * 2].reshape(-1, 2).sum(axis=1)
        assert grid.measures["trades"][column] == len(gains)
        assert grid.measures["win_rate"][column] == pytest.approx((gains > 0).mean())
        assert grid.measures["profit_factor"][column] == pytest.approx(
            gains[gains > 0].sum() / -gains[gains < 0].sum()
        )


def test_orders_fill_at_the_next_bar_unless_asked(walk_panel):
    rule = rules.MovingAverageCross(fast=3, slow=15)
    late, same = (
        gq.backtest(walk_panel, rule, fill=fill).orders() for fill in ("next", "same_close")
    )
    assert (late["bar"].to_numpy()[: len(same)] - 1 == same["bar"].to_numpy()[: len(late)]).all()
    opened = Panel(
        walk_panel.close, walk_panel.dates, walk_panel.assets, open=walk_panel.close * 1.01
    )
    orders = gq.backtest(opened, rule).orders()
    expected = opened.open[orders["bar"], [opened.asset(a) for a in orders["asset"]]]
    np.testing.assert_allclose(orders["price"], expected)


def test_the_past_does_not_move_when_the_future_does(walk_panel):
    """Changing prices after bar t changes no order up to t."""
    rule, cut = rules.MovingAverageCross(fast=(3, 5), slow=(15, 20)), 600
    changed = walk_panel.close.copy()
    changed[cut + 1 :] = np.round(changed[cut + 1 :] * 1.7, 2)
    before, after = (
        gq.backtest(p, rule).orders()
        for p in (walk_panel, Panel(changed, walk_panel.dates, walk_panel.assets))
    )
    pd.testing.assert_frame_equal(
        before[before["bar"] <= cut].reset_index(drop=True),
        after[after["bar"] <= cut].reset_index(drop=True),
    )


def test_permuted_assets_permute_results(walk_panel):
    order = [3, 0, 5, 1, 4, 2]
    mixed = Panel(
        walk_panel.close[:, order], walk_panel.dates, tuple(walk_panel.assets[j] for j in order)
    )
    rule = rules.MovingAverageCross(fast=(3, 5), slow=20)
    one, other = (
        gq.backtest(p, rule, costs=FEES).frame.set_index(["asset", "fast"])
        for p in (walk_panel, mixed)
    )
    pd.testing.assert_frame_equal(
        one.sort_index().drop(columns="below"), other.sort_index().drop(columns="below")
    )


def test_the_same_bits_for_any_threads_and_chunks(walk_panel, monkeypatch):
    from gpuquant.device import launch

    rule = rules.MovingAverageCross(fast=range(2, 10), slow=range(12, 30))
    true, results = launch.run, []
    for device in ("cpu:1", "cpu:2"):
        for chunk in (1, 2, 3, 7, 20, 1000):
            monkeypatch.setattr(
                launch, "run", lambda *a, chunk=chunk, **k: true(*a, **{**k, "chunk": chunk})
            )
            results.append(gq.backtest(walk_panel, rule, costs=FEES, device=device).sums)
    for other in results[1:]:
        for name, values in other.items():
            np.testing.assert_array_equal(values, results[0][name])


@pytest.mark.parametrize("entry", ["signals", "weights", "amounts"])
def test_an_array_that_is_changed_afterwards_changes_no_result(entry, walk_panel):
    given = np.random.default_rng(11).choice(
        [1.0, 0.0, np.nan], walk_panel.close.shape, p=[0.1, 0.1, 0.8]
    ) * (1.0 if entry == "signals" else 0.1)
    found, untouched = (
        gq.backtest(walk_panel, **{entry: array}) for array in (given, given.copy())
    )
    given[:] = 0.0
    assert len(found.orders()) > 5
    pd.testing.assert_frame_equal(found.orders(), untouched.orders())


def test_signals_are_a_rule_written_out(walk_panel):
    """The crossing rule's own targets, given as an array, make the same account."""
    rule = rules.MovingAverageCross(fast=3, slow=15)
    by_rule = gq.backtest(walk_panel, rule, costs=FEES)
    signals = np.full(walk_panel.close.shape, np.nan)
    same = gq.backtest(walk_panel, rule, fill="same_close").orders()
    for bar, asset, side in zip(same["bar"], same["asset"], same["side"], strict=True):
        signals[bar, walk_panel.asset(asset)] = 1.0 if side == "buy" else 0.0
    by_array = gq.backtest(walk_panel, signals=signals, costs=FEES)
    np.testing.assert_allclose(
        by_array.measures["total_return"], by_rule.measures["total_return"], rtol=1e-12
    )


def test_to_wish_for_what_is_held_changes_nothing(walk_panel):
    """A direction at every bar is the account of its changes alone; a stop's turnover does not
    rest on how many targets its block has.
    """
    draw = np.random.default_rng(12)
    changes = draw.choice(
        [1.0, 0.0, -1.0, np.nan], walk_panel.close.shape, p=[0.04, 0.04, 0.04, 0.88]
    )
    always = pd.DataFrame(changes).ffill().to_numpy()
    for fill in ("next", "same_close"):
        one, other = (
            gq.backtest(walk_panel, signals=array, costs=FEES, fill=fill)
            for array in (changes, always)
        )
        pd.testing.assert_frame_equal(one.orders(), other.orders())
        for name, values in one.sums.items():
            np.testing.assert_allclose(
                other.sums[name], values, rtol=1e-12, atol=1e-12, err_msg=name
            )
    first, close = (
        np.array([100.0, 100, 101, 102, 101, 90, 90, 90]),
        np.array([100.0, 100, 102, 103, 90, 90, 90, 90]),
    )
    days = walk_panel.dates[:8]
    bars = Panel(
        close[:, None],
        days,
        ("A",),
        open=first[:, None],
        high=np.maximum(first, close)[:, None],
        low=np.minimum(first, close)[:, None],
    )
    turnovers = []
    for asked in (1, 2, 3, 4):
        signals = np.full((8, 1), np.nan)
        signals[:asked] = 1.0
        turnovers.append(
            gq.backtest(bars, signals=signals, stops=gq.Stops(stop_loss=0.05)).measures["turnover"][
                0
            ]
        )
    assert len(set(turnovers)) == 1, turnovers


def test_a_process_that_flushes_small_numbers_sells_all_the_same(python):
    """As torch does when it is told to: what is next to nothing is then nothing to every
    comparison.
    """
    pytest.importorskip("torch")
    python(
        """
        import numpy as np, torch, gpuquant as gq
        from tests.backtesting.test_backtest import panel_of
        draw = np.random.default_rng(3)
        panel = panel_of(30 * np.exp(np.cumsum(draw.normal(0, 0.03, (200, 2)), axis=0)))
        signals = draw.choice([1.0, 0.0, -1.0], (200, 2))
        orders = gq.backtest(panel, signals=signals, device="cpu:1").orders()
        assert torch.set_flush_denormal(True) and len(orders) > 100
        assert orders.equals(gq.backtest(panel, signals=signals, device="cpu:1").orders())
        """
    )


def test_shorts_gain_when_prices_fall():
    falling = panel_of(np.linspace(100, 50, 26)[:, None])
    signals = np.full((26, 1), np.nan)
    signals[0] = -1
    found = gq.backtest(falling, signals=signals, fill="same_close", cash=100.0)
    assert found.measures["total_return"][0] == pytest.approx(0.5)
    flat = gq.backtest(falling, rules.MovingAverageCross(fast=2, slow=4, below="short"), cash=100.0)
    assert flat.measures["orders"][0] == 0  # it never crossed


def test_ties_are_exact():
    """Prices whose averages tie in decimals but not in binary: a tie is no sign, so no order."""
    close = np.array([0.1, 0.2, 0.3, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2])[:, None]
    assert (
        gq.backtest(panel_of(close, 1), rules.MovingAverageCross(fast=2, slow=4)).measures[
            "orders"
        ][0]
        == 0
    )
    assert panel_of(close, 1).tick == (0.1, True)


def test_prices_too_fine_for_ticks_are_flagged():
    draw = np.random.default_rng(0)
    fine = panel_of(1e6 * (1 + draw.random((50, 1))), 12)
    assert not fine.tick[1]
    assert gq.backtest(fine, rules.MovingAverageCross(fast=2, slow=4)).meta["exact_ticks"] is False


def test_a_rule_of_the_users_runs_in_the_same_kernel():
    from tests.backtesting.own_rule import BuyTheDip

    panel = panel_of(np.array([10.0, 9, 8, 9, 10, 11, 10, 9, 8, 7])[:, None])
    grid = gq.backtest(panel, BuyTheDip(depth=[0.05, 0.15]), fill="same_close", cash=100.0)
    assert list(grid.frame["depth"]) == [0.05, 0.15]
    first = grid.orders([0])
    assert first["bar"].tolist()[:2] == [1, 4]


def test_a_rule_reads_the_whole_bar():
    """Open, high, low and volume give the orders that the same words give in numpy."""
    from tests.backtesting.own_rule import Breakout
    from tests.backtesting.test_terms import bars

    panel = bars(np.random.default_rng(4), 200, 2, ranges=True, volume=True)
    close, before = panel.close[1:], slice(0, -1)
    rises = (close > panel.high[before]) & (panel.volume[1:] > panel.volume[before])
    falls = (close < panel.low[before]) | (close < panel.open[1:] * 0.98)
    signals = np.full(panel.close.shape, np.nan)
    signals[1:] = np.where(rises, 1.0, np.where(falls, 0.0, np.nan))
    own, told = (
        gq.backtest(panel, Breakout(fade=0.02)).orders(),
        gq.backtest(panel, signals=signals).orders(),
    )
    assert len(told) > 20
    pd.testing.assert_frame_equal(own, told)


def test_a_rule_sees_no_future_and_nothing_before_the_first_bar():
    from tests.backtesting.own_rule import BuyWhenSeen

    panel = panel_of(np.linspace(10.0, 20.0, 200)[:, None])
    grid = gq.backtest(
        panel, BuyWhenSeen(back=[-1.0, 0.0, 3.0, 150.0, 200.0, 1e6, -1e300]), fill="same_close"
    )
    assert list(grid.orders()["column"]) == [1, 2, 3] and list(grid.orders()["bar"]) == [0, 3, 150]


def test_an_account_that_stands_at_exactly_nothing_has_measures():
    panel = panel_of(np.array([100.0, 100.0, 200.0, 150.0, 120.0, 130.0])[:, None])
    found = gq.backtest(
        panel, weights=np.array([[-1.0], *[[np.nan]] * 5]), fill="same_close", cash=100.0
    )
    assert found.equity()[0].tolist() == [100.0, 100.0, 0.0, 0.0, 0.0, 0.0]
    assert (
        found.measures["total_return"][0]
        == -1.0
        == found.measures["worst_bar"][0]
        == found.measures["max_drawdown"][0]
    )
    assert np.isfinite(found.measures["volatility"][0])


FEW = ("grid", "weights", "paths")
OTHERS = (
    "stops",
    "trails",
    "targets at every bar",
    "brackets",
    "orders",
    "halts",
    "margin",
    "locked",
    "benchmark",
    "resampled",
    "priced",
)


@pytest.mark.parametrize(
    "name", [*FEW, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
def test_python_and_a_gpus_threads_give_the_same_accounts(name, monkeypatch):
    from tests.backtesting.accounts import accounts, agree

    twin.stand_in(monkeypatch)
    prices, terms = accounts()[name]
    cpu, python, cuda = (
        gq.backtest(prices, device=device, **terms).sums for device in ("cpu", "python", "cuda")
    )
    agree(name, cpu, python)
    agree(name, cpu, cuda)


@pytest.mark.parametrize("fill", ["next", "same_close"])
def test_every_rule_and_cost_compiles_to_ptx(fill):
    """And for one asset the account stays in registers."""
    from gpuquant import family
    from gpuquant.backtesting.kernels.build import Kind
    from gpuquant.backtesting.kernels.flags import Flags
    from gpuquant.costs.base import Cost
    from gpuquant.rules.base import Rule

    for rule in family.members(Rule, "gpuquant.rules").values():
        for cost in family.members(Cost, "gpuquant.costs").values():
            if rule.__module__.startswith("gpuquant.") and cost.__module__.startswith("gpuquant."):
                assert ".local" not in ptx.of_account(
                    Kind(rule, cost, 1, fill, "equity", Flags(signals=True, partial_fills=True), ())
                ), (rule, cost)


@pytest.mark.parametrize("model", [gq.models.Heston, None], ids=["simulated", "resampled"])
def test_paths_compile_to_ptx(model):
    """Their thread holds a path in memory of its own, whose size the kernel knows."""
    from gpuquant.backtesting.kernels.build import Kind
    from gpuquant.backtesting.kernels.flags import Flags

    kind = Kind(
        rules.MovingAverageCross,
        costs.Proportional,
        1,
        "next",
        "equity",
        Flags(signals=True, partial_fills=True, detail=True, keep_returns=True, generated=True),
        (),
        model,
        252,
    )
    assert ".local" in ptx.of_account(kind)


@pytest.mark.slow
def test_every_kind_of_account_compiles_to_ptx():
    """With every term that goes together; an account of several assets keeps them in its
    thread's own memory.
    """
    from gpuquant import costs
    from gpuquant.backtesting.kernels.build import Kind
    from gpuquant.backtesting.kernels.flags import Flags
    from gpuquant.backtesting.kernels.given import Amounts, RestingOrders, Signals, Weights

    ohlc = ("open", "high", "low", "volume", "splits", "dividends", "delistings")
    stops = dict.fromkeys(
        (
            "stops",
            "ranges",
            "max_holding",
            "trails",
            "entry_from_signal",
            "entry_bar",
            "stops_slip",
            "limits_slip",
        ),
        True,
    )
    kinds = (
        Kind(
            Signals,
            costs.Commission,
            1,
            "next",
            "cash",
            Flags(
                signals=True,
                pyramiding=True,
                lots=True,
                volumes=True,
                partial_fills=True,
                long_only=True,
                **stops,
            ),
            ohlc,
        ),
        Kind(
            Signals,
            costs.Commission,
            1,
            "same_close",
            "risk",
            Flags(
                signals=True,
                stops=True,
                close_only=True,
                entry_from_close=True,
                allow_halts=True,
                short_only=True,
            ),
            (),
        ),
        Kind(
            Weights,
            costs.Commission,
            3,
            "next",
            "equity",
            Flags(
                margin=True,
                financing=True,
                actions=True,
                delistings=True,
                allow_halts=True,
                benchmark=True,
                partial_fills=True,
            ),
            ohlc,
        ),
        Kind(
            Amounts,
            costs.Proportional,
            3,
            "same_close",
            "equity",
            Flags(
                targets=True,
                lock_short_proceeds=True,
                financing=True,
                sequential_cash=True,
                partial_fills=True,
            ),
            (),
        ),
        Kind(
            RestingOrders,
            costs.Commission,
            3,
            "next",
            "units",
            Flags(
                resting_orders=True,
                signals=True,
                ranges=True,
                volumes=True,
                partial_fills=True,
                entry_bar=True,
            ),
            ohlc,
        ),
    )
    for kind in kinds:
        assert ".entry" in ptx.of_account(kind), kind


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda p: gq.backtest(p),
            InputError,
            "exactly one of rule, signals, weights, amounts and orders",
        ),
        (
            lambda p: gq.backtest(p, rules.MovingAverageCross(fast=2, slow=4), fill="close"),
            NameUnknown,
            "unknown fill 'close'",
        ),
        (
            lambda p: gq.backtest(p, rules.MovingAverageCross(fast=0, slow=4)),
            InputError,
            r"fast\[0\] = 0.0: must be a whole number >= 1",
        ),
        (
            lambda p: gq.backtest(p, rules.MovingAverageCross(fast=2, slow=4, below="shrt")),
            InputError,
            "did you mean 'short'",
        ),
        (lambda p: gq.backtest(p, "sma"), InputError, "rule = 'sma'"),
        (
            lambda p: gq.backtest(p, amounts=np.full(p.close.shape, 1e9)),
            InputError,
            r"amounts\[.*\] = 1000000000.0: must be below 1e\+09",
        ),
        (
            lambda p: gq.backtest(p, rules.MovingAverageCross(fast=2, slow=4), cash=-1),
            InputError,
            "cash = -1",
        ),
        (
            lambda p: gq.backtest(p, rules.MovingAverageCross(fast=2, slow=4), costs=0.001),
            InputError,
            "costs = 0.001",
        ),
        (
            lambda p: gq.backtest(p, weights=np.ones((3, 2))),
            DataError,
            r"weights have shape \(3, 2\)",
        ),
        (
            lambda p: gq.backtest(p, signals=np.full(p.close.shape, 0.5)),
            InputError,
            "must be 1, 0, -1 or NaN",
        ),
        (
            lambda p: gq.backtest(p, weights=np.full(p.close.shape, np.inf)),
            InputError,
            "must be finite, or NaN",
        ),
        (
            lambda p: gq.backtest(p, weights=p.to_frame().rename(columns={"A": "AA"})),
            NameUnknown,
            "unknown asset in weights 'AA'",
        ),
        (lambda p: costs.Proportional(rate=-0.1), InputError, r"rate\[0\] = -0.1"),
        (
            lambda p: gq.backtest(5, rules.MovingAverageCross(fast=2, slow=4)),
            InputError,
            "prices = int",
        ),
    ],
)
def test_bad_input_is_named(walk_panel, make, error, words):
    with pytest.raises(error, match=words) as caught:
        make(walk_panel)
    assert isinstance(caught.value, GpuquantError)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.iloc[[1, 0, *range(2, 900)]], "dates must increase"),
        (lambda f: pd.concat([f, f.iloc[-1:]]), "stands twice"),
        (
            lambda f: f.drop(columns=[]).assign(B=f["B"].where(f.index != f.index[5])),
            "must be finite and > 0",
        ),
        (lambda f: f * -1, "must be finite and > 0"),
        (lambda f: f * 0, "must be finite and > 0"),
        (lambda f: f.replace(f.iloc[3, 1], np.inf), r"close\[2015-01-04.*B\] = inf"),
        (lambda f: f.iloc[:0], "empty"),
        (lambda f: f.set_axis(["A", "A", "C", "D", "E", "F"], axis=1), "asset 'A' stands twice"),
        (lambda f: f.assign(A="x"), "must be numbers"),
        (
            lambda f: f.set_axis(
                [pd.Timestamp("2020-01-01", tz=z) for z in ["UTC", "Asia/Tokyo"] * 450]
            ),
            "one time zone|Mixed|[tT]z",
        ),
        (lambda f: f.set_axis([pd.NaT, *f.index[1:]]), r"dates\[0\] is missing"),
        (lambda f: f.reset_index(drop=True).set_axis(["x"] * 900), "must hold dates"),
    ],
)
def test_a_bad_panel_is_named(walk_panel, change, words):
    with pytest.raises(GpuquantError, match=words):
        Panel.of(change(walk_panel.to_frame()))


def test_a_panel_survives_its_file(walk_panel, tmp_path):
    walk_panel.to_parquet(tmp_path / "p.parquet")
    walk_panel.to_frame().to_csv(tmp_path / "p.csv")
    for name in ("p.parquet", "p.csv"):
        again = Panel.read(tmp_path / name)
        np.testing.assert_array_equal(again.close, walk_panel.close)
        assert (again.dates == walk_panel.dates).all() and again.assets == walk_panel.assets
