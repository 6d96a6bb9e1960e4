"""Signals with a stop-loss, a take-profit and a trailing stop on OHLC, and plain signal arrays,
beside vectorbt?
"""

from __future__ import annotations

import statistics

import numpy as np

import gpuquant as gq
from benchmarks.common import Row, seconds
from gpuquant import costs
from gpuquant.data.panel import Panel

BARS, ASSETS = 8313, 100
ROUNDS = 9


def market() -> tuple[Panel, np.ndarray, np.ndarray]:
    """Made-up bars, and entries and exits."""
    draw = np.random.default_rng(2)
    close = np.round(
        50.0 * np.exp(np.cumsum(draw.normal(0.0002, 0.015, (BARS, ASSETS)), axis=0)), 3
    )
    first = np.round(close * np.exp(draw.normal(0.0, 0.005, close.shape)), 3)
    high = np.round(np.maximum(first, close) * (1.0 + draw.uniform(0.0, 0.01, close.shape)), 3)
    low = np.round(np.minimum(first, close) * (1.0 - draw.uniform(0.0, 0.01, close.shape)), 3)
    dates = (np.datetime64("1990-01-01", "D") + np.arange(BARS)).astype("datetime64[ns]")
    panel = Panel(
        close,
        dates,
        tuple(f"S{j}" for j in range(ASSETS)),
        open=first,
        high=np.maximum(high, close),
        low=np.minimum(low, close),
    )
    return panel, draw.random(close.shape) < 0.03, draw.random(close.shape) < 0.03


PANEL, ENTRIES, EXITS = market()
EXITS &= ~ENTRIES
SIGNALS = np.where(ENTRIES, 1.0, np.where(EXITS, 0.0, np.nan))
FEES = costs.Proportional(rate=0.001)


def ours(stops: gq.Stops | None, device: str = "cpu:1") -> gq.backtesting.result.Backtest:
    """Every measure but tails and excursions."""
    found = gq.backtest(
        PANEL,
        signals=SIGNALS,
        size=gq.Size(size_type="cash"),
        stops=stops,
        costs=FEES,
        fill="same_close",
        cash=10_000.0,
        detail=False,
        device=device,
        progress=False,
    )
    _ = found.measures
    return found


def vectorbt(**stops: object) -> tuple[np.ndarray, ...]:
    """The same from its signals, and four measures."""
    import pandas as pd
    import vectorbt as vbt

    close, first, high, low = (
        pd.DataFrame(x, index=PANEL.dates, columns=list(PANEL.assets))
        for x in (PANEL.close, PANEL.open, PANEL.high, PANEL.low)
    )
    bars = {"open": first, "high": high, "low": low} if stops else {}
    entries, exits = (
        pd.DataFrame(x, index=PANEL.dates, columns=list(PANEL.assets)) for x in (ENTRIES, EXITS)
    )
    held = vbt.Portfolio.from_signals(
        close, entries, exits, init_cash=1e4, fees=0.001, freq="1D", **bars, **stops
    )
    return tuple(
        np.asarray(m)
        for m in (
            held.total_return(),
            held.sharpe_ratio(),
            held.max_drawdown(),
            held.orders.count(),
        )
    )


def timed(
    mine: gq.Stops | None, theirs: dict[str, object]
) -> dict[str, tuple[float, float, float]]:
    """After checking that all returns and orders are equal: the ratio, and both seconds, on one
    thread and on two.
    """
    found, told = ours(mine), vectorbt(**theirs)
    np.testing.assert_allclose(found.measures["total_return"], told[0], rtol=1e-9)
    np.testing.assert_array_equal(found.measures["orders"], told[3])
    devices = {"one thread": "cpu:1", "two threads": "cpu:2"}
    rounds = []
    for _ in range(ROUNDS):
        own = {
            name: statistics.median(
                seconds(lambda device=device: ours(mine, device)) for _ in range(3)
            )
            for name, device in devices.items()
        }
        rounds.append((own, seconds(lambda: vectorbt(**theirs))))
    middle = statistics.median(b for _, b in rounds)
    return {
        name: (
            statistics.median(b / own[name] for own, b in rounds),
            statistics.median(own[name] for own, _ in rounds),
            middle,
        )
        for name in devices
    }


def run() -> list[Row]:
    """Verify, then time; the bars are for two threads: all the cores of this machine, which is
    what a user gets.
    """
    rows = []
    plain = {"entry_reference": "close", "slip_stops": False}
    for question, mine, theirs, bar in (
        ("user-supplied signals", None, {}, 10.0),
        (
            "signals with a stop-loss and a take-profit",
            gq.Stops(stop_loss=0.05, take_profit=0.1, **plain),
            {"sl_stop": 0.05, "tp_stop": 0.1},
            30.0,
        ),
        (
            "signals with a trailing stop and a take-profit",
            gq.Stops(trailing=0.05, take_profit=0.1, **plain),
            {"sl_stop": 0.05, "sl_trail": True, "tp_stop": 0.1},
            30.0,
        ),
    ):
        for threads, (ratio, a, b) in timed(mine, theirs).items():
            detail = (
                f"{a * 1e3:.1f} against {b * 1e3:.0f} ms; {BARS * ASSETS / a / 1e6:.0f} M "
                "bar-columns/s; all columns equal"
            )
            rows.append(
                Row(
                    f"{question}, {ASSETS} x {BARS}, {threads}, against vectorbt",
                    ratio,
                    "x",
                    bar if threads == "two threads" else None,
                    True,
                    detail,
                )
            )
    return rows
