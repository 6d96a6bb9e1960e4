"""A rule that sees its account, 10 assets x 2,520 bars x 100 rows of parameters, beside vectorbt's
`from_order_func`, and beside a rule that does not ask?
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import gpuquant as gq
from benchmarks.common import Row, ratio
from gpuquant import costs, rules
from gpuquant.data.domains import Column, integer, positive
from gpuquant.rules.base import NO_CHANGE, Rule

BARS, ASSETS = 2520, 10
WINDOWS, GAINS, LOSSES = range(5, 30), (0.05, 0.1), (0.03, 0.05)
RATE, SLIPPAGE, UNITS, CASH = 0.001, 0.0005, 10.0, 1e6
FEES = costs.Proportional(rate=RATE, slippage=SLIPPAGE)
BAR_COLUMNS = BARS * ASSETS * len(WINDOWS) * len(GAINS) * len(LOSSES)
_draw = np.random.default_rng(0)
CLOSE = np.round(50.0 * np.exp(np.cumsum(_draw.normal(0.0, 0.02, (BARS, ASSETS)), axis=0)), 2)
DATES = np.datetime64("2015-01-01") + np.arange(BARS)
PANEL = gq.Panel(close=CLOSE, dates=DATES, assets=tuple(f"A{j}" for j in range(ASSETS)))


@dataclass(frozen=True)
class Bracket(Rule):
    """Buys above its average, only if flat; sells at a profit or a loss of so much."""

    window: Column = integer(sample=10.0)
    gain: Column = positive(sample=0.05)
    loss: Column = positive(sample=0.03)

    @staticmethod
    def begin(r, i):
        return (0.0,), r.window[i] - 1.0

    @staticmethod
    def decide(r, i, state, past, k, account):
        rises = past.sum(1.0) * r.window[i] > past.sum(r.window[i])
        worth = account.entry_price * account.position
        done = account.profit > r.gain[i] * worth or account.profit < -r.loss[i] * worth
        flat = account.position == 0.0
        return state, (1.0 if rises else NO_CHANGE) if flat else (0.0 if done else NO_CHANGE)


def ours(rule: Rule) -> Any:
    """The grid with every measure."""
    found = gq.backtest(
        PANEL,
        rule,
        size=gq.Size(size_type="units", amount=UNITS),
        costs=FEES,
        fill="same_close",
        cash=CASH,
        periods=365.0,
        detail=False,
        device="cpu:2",
        progress=False,
    )
    _ = found.measures
    return found


def vectorbt() -> tuple[np.ndarray, ...]:
    """The same rule as a compiled function of its simulation, and four measures."""
    import vectorbt as vbt
    from numba import njit
    from vectorbt.portfolio import nb

    mesh = np.meshgrid(WINDOWS, GAINS, LOSSES, indexing="ij")
    window, gain, loss = (np.tile(one.ravel(), ASSETS).astype(float) for one in mesh)
    rows = mesh[0].size
    ticks = np.round(100.0 * CLOSE)
    sums = np.vstack([np.zeros((1, ASSETS)), np.cumsum(ticks, axis=0)])

    @njit
    def order(c, window, gain, loss, ticks, sums, cost, rows):
        i, col, w = c.i, c.col, int(window[c.col])
        if i < w - 1:
            return nb.order_nothing_nb()
        asset, price, held = col // rows, c.close[c.i, c.col], c.position_now
        if held == 0.0:
            if not ticks[i, asset] * w > sums[i + 1, asset] - sums[i + 1 - w, asset]:
                return nb.order_nothing_nb()
            cost[col] = UNITS * price * (1.0 + SLIPPAGE) * (1.0 + RATE)
            return nb.order_nb(size=UNITS, price=price, fees=RATE, slippage=SLIPPAGE)
        profit = held * price - cost[col]
        if profit > gain[col] * cost[col] or profit < -loss[col] * cost[col]:
            return nb.order_nb(size=-held, price=price, fees=RATE, slippage=SLIPPAGE)
        return nb.order_nothing_nb()

    global _compiled
    _compiled = _compiled or order
    held = vbt.Portfolio.from_order_func(
        np.repeat(CLOSE, rows, axis=1), _compiled, window, gain, loss, ticks, sums,
        np.zeros(rows * ASSETS), rows, init_cash=CASH, freq="1D",
    )  # fmt: skip
    return tuple(
        np.asarray(one)
        for one in (
            held.total_return(), held.sharpe_ratio(), held.max_drawdown(), held.orders.count(),
        )
    )  # fmt: skip


_compiled: Any = None
RULE = Bracket(window=list(WINDOWS), gain=list(GAINS), loss=list(LOSSES))
PLAIN = rules.MovingAverageCross(fast=list(range(5, 15)), slow=list(range(20, 30)))


def run() -> list[Row]:
    """Both are checked to trade alike, then timed."""
    mine, theirs = ours(RULE), vectorbt()
    names = ("loss", "gain", "window")
    keys = [*(mine.labels[name] for name in names), mine.labels["asset"].astype(str)]
    order = np.lexsort(tuple(keys))
    np.testing.assert_array_equal(mine.measures["orders"][order], theirs[3])
    np.testing.assert_allclose(
        mine.measures["total_return"][order], theirs[0], rtol=1e-9, atol=1e-12
    )
    value, fast, slow = ratio(partial(ours, RULE), vectorbt, 5, BAR_COLUMNS, BAR_COLUMNS)
    plain, without, asking = ratio(
        partial(ours, PLAIN), partial(ours, RULE), 5, BAR_COLUMNS, BAR_COLUMNS
    )
    return [
        Row(
            "a rule that sees its account, against vectorbt's from_order_func",
            value,
            "x",
            20.0,
            True,
            f"{fast / 1e6:.1f} against {slow / 1e6:.2f} M bars a second, two threads against one",
        ),
        Row(
            "a rule that does not ask, over one that does",
            plain,
            "x",
            None,
            True,
            f"{without / 1e6:.0f} against {asking / 1e6:.0f} M bars a second",
        ),
    ]
