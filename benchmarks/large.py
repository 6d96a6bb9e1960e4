"""How large may a grid be: a million minute bars, and 10,000 pairs on 20 stocks; how much memory
and how long?
"""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.common import Row

MINUTES = """
    import numpy as np
    from gpuquant.data.panel import Panel
    moves = np.random.default_rng(7).normal(0.0, 3e-4, 1_000_000)
    close = np.round(100.0 * np.exp(np.cumsum(moves)), 2)[:, None]
    minutes = np.datetime64("2015-01-01", "m") + np.arange(1_000_000)
    panel = Panel(close, minutes.astype("datetime64[ns]"), ("X",))
    rule = rules.MovingAverageCross(fast=range(300, 900, 60), slow=range(900, 1500, 60))
"""
MANY = """
    panel = data.us20()
    rule = rules.MovingAverageCross(fast=range(5, 105), slow=range(105, 205))
"""
CODE = """
    import time
    from gpuquant import backtest, costs, data, rules
    fees = costs.Proportional(rate=0.001, slippage=0.0005)
    {prices}
    def peak():
        status = open("/proc/self/status").read().split("VmHWM:")[1]
        return int(status.split()[0]) / 1024
    def go(p, r):
        found = backtest(
            p,
            r,
            costs=fees,
            fill="same_close",
            cash=1e4,
            detail=False,
            device="cpu:2",
            progress=False,
        )
        found.measures
        return found
    go(panel.rows(range(2000)), rules.MovingAverageCross(fast=2, slow=4))
    before = peak()
    start = time.perf_counter()
    found = go(panel, rule)
    print(time.perf_counter() - start, peak() - before, len(found), panel.bars, peak())
"""
RIVAL = """
    import itertools, warnings
    warnings.simplefilter("ignore")
    import vectorbt as vbt
    frame = panel.to_frame()
    pairs = list(itertools.product(range(300, 900, 60), range(900, 1500, 60)))
    def chunk(some):
        fast, slow = (
            vbt.MA.run(
                frame, window=[pair[k] for pair in some], short_name=name, hide_params=["ewm"]
            )
            for k, name in enumerate(("fast", "slow"))
        )
        held = vbt.Portfolio.from_signals(
            frame,
            fast.ma_crossed_above(slow),
            fast.ma_crossed_below(slow),
            init_cash=1e4,
            fees=0.001,
            slippage=0.0005,
            freq="1min",
        )
        found = held.total_return(), held.sharpe_ratio(), held.max_drawdown(), held.orders.count()
        return [np.asarray(m) for m in found]
    chunk(pairs[:1])  # compiled
    start = time.perf_counter()
    parts = [chunk(pairs[k : k + 5]) for k in range(0, len(pairs), 5)]
    took = time.perf_counter() - start
    returns, orders = (np.concatenate([part[k] for part in parts]) for k in (0, 3))
    same = np.isclose(returns, found.measures["total_return"], rtol=1e-9).mean()
    print(took, same, np.abs(orders / found.measures["orders"] - 1.0).max())
"""
COLD = """
    import pandas, scipy.special, time
    from gpuquant import backtest, costs, data, rules
    panel = data.us20()
    start = time.perf_counter()
    fees = costs.Proportional(rate=0.001)
    cross = rules.MovingAverageCross(fast=5, slow=15)
    backtest(panel, cross, costs=fees, detail=False, progress=False)
    print(time.perf_counter() - start)
"""


def alone(code: str, **environment: str) -> list[float]:
    """What a process of its own prints."""
    import textwrap

    text = textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", text],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": ".", **environment},
    )
    return [float(word) for word in done.stdout.split()]


def run() -> list[Row]:
    """Each in a process of its own, so that its peak is its own."""
    import tempfile

    rows = []
    for name, prices, rival, bar in (
        ("1 x 1,000,000 minutes x 100", MINUTES, RIVAL, None),
        ("20 x 8313 x 10,000", MANY, "", 400.0),
    ):
        seconds, extra, columns, bars, peak, *other = alone(
            CODE.replace("{prices}", prices.strip()) + rival
        )
        detail = (
            f"{seconds:.2f} s, {columns * bars / seconds / 1e6:.0f} M bar-columns/s on two "
            f"threads; the whole process {peak:.0f} MB"
        )
        rows.append(
            Row(f"moving-average grid, {name}: extra memory", extra, "MB", bar, False, detail)
        )
        if other:
            took, same, apart = other
            assert apart < 0.01, apart  # the number of orders: long averages tie often
            detail = (
                f"{took:.1f} s at chunks of 5; returns equal in {same:.0%} of columns, orders "
                f"within {apart:.2%}: its rounded averages decide ties"
            )
            rows.append(
                Row(
                    f"moving-average grid, {name}, two threads, against vectorbt",
                    took / seconds,
                    "x",
                    None,
                    True,
                    detail,
                )
            )
    with tempfile.TemporaryDirectory() as empty:
        cold = alone(COLD, GPUQUANT_CACHE=empty)[0]
        kept = alone(COLD, GPUQUANT_CACHE=empty)[0]
    rows.append(
        Row(
            "first back-test with an empty kernel cache, packages imported",
            cold,
            "s",
            1.0,
            False,
            f"{kept:.2f} s in the next process, from the cache",
        )
    )
    return rows
