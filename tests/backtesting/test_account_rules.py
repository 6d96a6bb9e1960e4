"""Rules that see their account: against a loop that anyone can follow, on every target."""

import re

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant.backtesting.kernels import build as kernels
from gpuquant.backtesting.kernels.records import Account, Position, Run
from gpuquant.compiler import build
from gpuquant.errors import MemberError, NameUnknown
from gpuquant.rules.base import NO_CHANGE, Rule
from tests import ptx, twin
from tests.backtesting.account_rules import Bracket, Holds, Scaled
from tests.backtesting.test_terms import bars

FEE = 0.001


class View:
    """What a rule sees."""

    def __init__(self, units, cost, entry, close, cash):
        self.position, self.cash = units, cash
        self.entry_price = cost / units if units else np.nan
        self.entry_bar = entry if units else np.nan
        self.profit = units * close - cost if units else 0.0
        self.equity = cash + units * close


class Past:
    """The closes up to a bar."""

    def __init__(self, close, k):
        self.close_, self.k = close, k

    def close(self, n):
        return self.close_[self.k - int(n)]

    def sum(self, n):
        n = int(n)
        window = np.round(100.0 * self.close_[self.k - n + 1 : self.k + 1])
        return window.sum() if self.k >= n - 1 else np.nan  # in whole ticks


class Row:
    """One row of a rule's parameters, as columns."""

    def __init__(self, **numbers):
        for name, number in numbers.items():
            setattr(self, name, [number])


def followed(rule, row, close, first, fill, size, cash):
    """Fills (bar, signed units, price) and the equity of every bar, of a rule on one asset."""
    state, begins = rule.begin(row, 0)
    units, cost, entry, fills, equity, waiting = 0.0, 0.0, 0, [], [], NO_CHANGE
    for t in range(len(close)):
        if fill == "same_close" and t >= begins:
            seen = View(units, cost, entry, close[t], cash)
            state, waiting = rule.decide(row, 0, state, Past(close, t), float(t), seen)
        price = first[t] if fill == "next" else close[t]
        wanted = 0.0
        if waiting != NO_CHANGE:
            if rule.decides == "units":
                wanted = waiting - units
            elif waiting * units <= 0.0 and not (waiting == 0.0 and units == 0.0):
                wanted = np.sign(waiting) * size - units
        if wanted:
            fee = FEE * abs(wanted) * price
            if units * wanted >= 0.0:
                cost, entry = cost + wanted * price + fee, t if units == 0.0 else entry
            else:
                cost *= 1.0 + wanted / units
            units, cash = units + wanted, cash - wanted * price - fee
            fills.append((t, wanted, price))
        waiting = NO_CHANGE
        equity.append(cash + units * close[t])
        if fill == "next" and t >= begins:
            seen = View(units, cost, entry, close[t], cash)
            state, waiting = rule.decide(row, 0, state, Past(close, t), float(t), seen)
    return fills, np.array(equity)


RULES = {
    "Bracket": Bracket(window=[5, 12], gain=[0.01, 0.04], loss=[0.01, 0.03], patience=[4, 30]),
    "Scaled": Scaled(step=[0.005, 0.02, 0.04], most=[1, 3, 6]),
}


@pytest.mark.parametrize("fill", ["next", "same_close"])
@pytest.mark.parametrize("name", RULES)
def test_it_trades_as_a_slow_loop_does(name, fill):
    panel = bars(np.random.default_rng(7), 300, 2, ranges=True)
    rule = RULES[name]
    found = gq.backtest(
        panel,
        rule,
        fill=fill,
        costs=gq.costs.Proportional(rate=FEE),
        size=gq.Size(size_type="units", amount=10.0),
        cash=1e6,
    )
    orders, traded = found.orders(), 0
    for column in range(len(found.labels["asset"])):
        asset = panel.asset(found.labels["asset"][column])
        row = Row(**{n: float(found.labels[n][column]) for n in rule.columns()})
        close, first = panel.close[:, asset], panel.open[:, asset]
        fills, equity = followed(type(rule), row, close, first, fill, 10.0, 1e6)
        mine = orders[orders["column"] == column]
        signed = np.where(mine["side"] == "buy", mine["size"], -mine["size"])
        where = {k: v[column] for k, v in found.labels.items()}
        assert mine["bar"].tolist() == [t for t, _, _ in fills], where
        np.testing.assert_allclose(signed, [u for _, u, _ in fills], rtol=1e-12, err_msg=where)
        np.testing.assert_allclose(mine["price"], [p for *_, p in fills], rtol=1e-12)
        held = found.equity(column).to_numpy().ravel()
        np.testing.assert_allclose(held, equity, rtol=1e-12, err_msg=str(where))
        traded += len(fills)
    assert traded > 50


def test_a_rule_that_forgets_what_it_holds_would_be_seen(monkeypatch):
    """The mutant: the account looks empty, and it buys what it has."""

    def see_account(run: Run, account: Account, positions: list[Position], t):
        return (0.0, 0.0, 0.0, 0.0, account.cash, account.cash)

    monkeypatch.setitem(kernels.HELPERS, "see_account", see_account)
    kernels._cached_source.cache_clear()
    monkeypatch.setattr(kernels.compiler, "cached_source", lambda make, *identity: make())
    with pytest.raises(AssertionError):
        test_it_trades_as_a_slow_loop_does("Scaled", "next")
    kernels._cached_source.cache_clear()


@pytest.mark.parametrize("device", ["python", "cuda"])
@pytest.mark.parametrize("name", RULES)
def test_python_and_a_gpus_threads_say_the_same(name, device, monkeypatch):
    panel = bars(np.random.default_rng(3), 40, 1)
    how = {"size": gq.Size(size_type="units", amount=10.0), "cash": 1e5}
    host = gq.backtest(panel, RULES[name], device="cpu", **how).measures
    with monkeypatch.context() as patch:
        twin.stand_in(patch)
        found = gq.backtest(panel, RULES[name], device=device, **how).measures
    for column in ("total_return", "orders", "max_drawdown"):
        np.testing.assert_allclose(found[column], host[column], rtol=1e-12, atol=1e-14)


def test_a_column_has_the_same_bits_alone_and_in_a_grid():
    panel = bars(np.random.default_rng(5), 300, 2)
    together = gq.backtest(panel, RULES["Bracket"]).frame
    alone = gq.backtest(panel, Bracket(window=12, gain=0.04, loss=0.01, patience=4)).frame
    labels = ["asset", "window", "gain", "loss", "patience"]
    both = together.merge(alone, on=labels, suffixes=("", "_alone"))
    assert len(both) == 2 and (both["total_return"] == both["total_return_alone"]).all()


def test_at_the_same_close_it_sees_the_account_after_the_split():
    """Units are of today's shares, and the equity is that of today's price."""
    days = pd.bdate_range("2025-01-02", periods=6)
    close = pd.DataFrame({"A": [100.0, 100.0, 100.0, 50.0, 50.0, 50.0]}, index=days)
    splits = close * 0.0 + 1.0
    splits.iloc[3] = 2.0
    panel = gq.Panel.from_frames(close=close, splits=splits, dividends=close * 0.0)
    for fill in ("same_close", "next"):
        found = gq.backtest(panel, Holds(units=8.0), fill=fill, cash=1000.0)
        assert found.orders()["size"].tolist() == [8.0], fill
        assert found.equity().iloc[-1, 0] == 1000.0


def test_a_word_that_is_no_target_is_refused():
    class Wrong(Holds):
        decides = "unit"

    with pytest.raises(NameUnknown, match=r"decides 'unit'; did you mean 'units'"):
        Wrong(units=1.0)


def test_a_parameter_in_units_is_no_window():
    panel = bars(np.random.default_rng(1), 30, 1)
    assert gq.backtest(panel, Holds(units=1e6), cash=1e9).measures["orders"][0] == 1.0


def test_an_account_has_no_other_numbers():
    class Asks(Rule):
        @staticmethod
        def begin(r, i):
            return (0.0,), 0.0

        @staticmethod
        def decide(r, i, state, past, k, account):
            return state, account.leverage

    with pytest.raises(
        MemberError, match=r"account.leverage. is not there: account has position, entry_price"
    ):
        gq.backtest(bars(np.random.default_rng(1), 20, 1), Asks())


@pytest.mark.parametrize("name", RULES)
def test_the_kernel_compiles_to_ptx_without_a_gpu(name):
    panel = bars(np.random.default_rng(1), 30, 1, ranges=True)
    made = gq.backtest(panel, RULES[name])
    kind = made.account.kind
    assembly = build.ptx(kind.source("cuda"), ptx.backtesting(kind)).decode()
    assert ".visible .entry" in assembly and not re.search(r"^\s+call", assembly, re.M)
