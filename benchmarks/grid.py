"""A grid of moving-average crosses, 20 stocks x 8313 days x 1000 pairs, beside vectorbt at its
best chunk, unchunked, and raptorbt?
"""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys

import numpy as np

import gpuquant as gq
from benchmarks.common import RESULTS, Row, seconds
from gpuquant import costs, data, rules

FAST, SLOW = range(5, 30), range(30, 70)
FEES = costs.Proportional(rate=0.001, slippage=0.0005)
PANEL = data.us20()
BAR_COLUMNS = PANEL.close.size * len(FAST) * len(SLOW)
ROUNDS = 3


def ours(
    device: str, fast: range = FAST, slow: range = SLOW, *, detail: bool = False
) -> gq.backtesting.result.Backtest:
    """The grid with every measure; with `detail` the tails and excursions, too."""
    found = gq.backtest(
        PANEL,
        rules.MovingAverageCross(fast=fast, slow=slow),
        costs=FEES,
        fill="same_close",
        cash=10_000.0,
        periods=365.0,
        detail=detail,
        device=device,
        progress=False,
    )
    _ = found.measures
    return found


def vectorbt(chunk: int, fast: range = FAST, slow: range = SLOW) -> tuple[np.ndarray, ...]:
    """Indicator, signals, portfolio and four measures, `chunk` pairs at a time."""
    import vectorbt as vbt

    close = PANEL.to_frame()
    f, s = (w.ravel() for w in np.meshgrid(fast, slow, indexing="ij"))
    parts = []
    for at in range(0, len(f), chunk):
        a = vbt.MA.run(
            close, window=f[at : at + chunk].tolist(), short_name="fast", hide_params=["ewm"]
        )
        b = vbt.MA.run(
            close, window=s[at : at + chunk].tolist(), short_name="slow", hide_params=["ewm"]
        )
        held = vbt.Portfolio.from_signals(
            close,
            a.ma_crossed_above(b),
            a.ma_crossed_below(b),
            init_cash=1e4,
            fees=0.001,
            slippage=0.0005,
            freq="1D",
        )
        parts.append(
            [
                np.asarray(m)
                for m in (
                    held.total_return(),
                    held.sharpe_ratio(),
                    held.max_drawdown(),
                    held.orders.count(),
                )
            ]
        )
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def raptorbt() -> float:
    """NumPy averages and crosses, then its batch of back-tests for each stock, on all cores; the
    sum of the returns.
    """
    import raptorbt as rb

    config = rb.BacktestConfig(
        initial_capital=1e4, fees=0.001, slippage=0.0005, fill_timing="same_bar_close"
    )
    stamps = PANEL.dates.astype("datetime64[ns]").astype(np.int64)
    total = 0.0
    for asset in range(len(PANEL.assets)):
        price = np.ascontiguousarray(PANEL.close[:, asset])
        sums = np.concatenate([[0.0], np.cumsum(price)])
        average = {}
        for w in {*FAST, *SLOW}:
            average[w] = np.full(len(price), np.nan)
            average[w][w - 1 :] = (sums[w:] - sums[:-w]) / w
        items = []
        for f in FAST:
            for s in SLOW:
                gap = average[f] - average[s]
                up, down = gap > 0, gap < 0
                entries, exits = np.zeros(len(price), bool), np.zeros(len(price), bool)
                entries[1:], exits[1:] = up[1:] & down[:-1], down[1:] & up[:-1]
                items.append(
                    rb.BatchSingleItem(
                        item_id=f"{f}-{s}",
                        entries=entries,
                        exits=exits,
                        direction=1,
                        weight=1.0,
                        symbol="X",
                    )
                )
        done = rb.batch_single_backtest(
            stamps, price, price, price, price, np.ones(len(price)), items, config
        )
        total += sum(result.metrics.total_return_pct / 100.0 for _, result in done)
    return total


def verify() -> float:
    """V16's 2000 columns are ours, exactly; the share of vectorbt's own grid that is equal to
    ours, for its averages round where ours tie.
    """
    import pandas as pd

    found = ours("cpu:1", range(5, 15), range(15, 25))
    reference = pd.read_csv(RESULTS.parents[1] / "tests" / "reference" / "V16_grid.csv")
    both = reference.merge(
        found.frame, on=["asset", "fast", "slow"], suffixes=("_expected", ""), validate="one_to_one"
    )
    assert len(both) == 2000 and (both["n_orders"] == both["orders"]).all()
    for expected, name in (
        ("total_return_expected", "total_return"),
        ("sharpe_365", "sharpe"),
        ("max_drawdown_expected", "max_drawdown"),
    ):
        np.testing.assert_allclose(both[name], both[expected], rtol=1e-9, err_msg=name)
    mine = ours("cpu:1", range(5, 7), range(30, 40))
    theirs = vectorbt(20, range(5, 7), range(30, 40))
    order = np.lexsort(
        (mine.labels["asset"].astype(str), mine.labels["slow"], mine.labels["fast"])
    )  # pairs first, then assets, as vectorbt
    same = float(
        np.isclose(mine.measures["total_return"][order], theirs[0], rtol=1e-9, atol=1e-12).mean()
    )
    assert same > 0.8, same
    return same


def unchunked() -> float:
    """Seconds of vectorbt on the whole grid at once, in a process of its own; NaN, which misses
    its bar, where that process fails.
    """
    code = (
        "import warnings; warnings.simplefilter('ignore'); from benchmarks.grid import *; "
        "vectorbt(2, range(5, 6), range(30, 32)); print(seconds(lambda: vectorbt(10**6)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": "."},
    )
    return float(done.stdout.split()[-1]) if done.returncode == 0 else float("nan")


def run() -> list[Row]:
    """Verify, then time: every round runs each of ours three times, and each rival once."""
    import warnings

    warnings.simplefilter("ignore")
    whole = unchunked()  # first, and alone: it takes most of the memory of this machine
    same = verify()
    chunks = {
        chunk: seconds(lambda chunk=chunk: vectorbt(chunk, range(5, 10), range(30, 50)))
        for chunk in (5, 10, 20, 50)
    }
    chunk = min(chunks, key=chunks.__getitem__)
    kinds = {"one thread": "cpu:1", "two threads": "cpu:2"}
    times: dict[str, list[float]] = {name: [] for name in (*kinds, "full", "vectorbt", "raptorbt")}
    for device in kinds.values():
        ours(device)
        ours(device, detail=True)
    for _ in range(ROUNDS):
        for name, device in kinds.items():
            times[name].append(
                statistics.median(seconds(lambda device=device: ours(device)) for _ in range(3))
            )
        times["full"].append(seconds(lambda: ours("cpu:2", detail=True)))
        times["vectorbt"].append(seconds(lambda: vectorbt(chunk)))
        times["raptorbt"].append(seconds(raptorbt))
        gc.collect()  # vectorbt's objects hold each other

    def against(mine: str, rival: str) -> float:
        return statistics.median(b / a for a, b in zip(times[mine], times[rival], strict=True))

    middle = {name: statistics.median(values) for name, values in times.items()}
    rows = []
    for name, bar, alone in (("one thread", 55.0, 120.0), ("two threads", 100.0, 220.0)):
        detail = (
            f"{middle[name] * 1e3:.0f} ms against {middle['vectorbt']:.1f} s at chunks of "
            f"{chunk}; {BAR_COLUMNS / middle[name] / 1e6:.0f} M bar-columns/s; equal to V16, "
            f"to vectorbt in {same:.1%}: its rounded averages decide ties"
        )
        rows.append(
            Row(
                f"moving-average grid, 20 x 8313 x 1000, {name}, against vectorbt",
                against(name, "vectorbt"),
                "x",
                bar,
                True,
                detail,
            )
        )
        rows.append(
            Row(
                f"the same, {name}, against vectorbt unchunked",
                whole / middle[name],
                "x",
                alone,
                True,
                f"{whole:.1f} s, all pairs at once",
            )
        )
    rows.append(
        Row(
            "the same, two threads, against raptorbt",
            against("two threads", "raptorbt"),
            "x",
            15.0,
            True,
            f"{middle['raptorbt']:.1f} s, its own fee and fill conventions",
        )
    )
    detail = (
        f"{middle['full'] * 1e3:.0f} ms; {BAR_COLUMNS / middle['full'] / 1e6:.0f} M bar-columns/s"
    )
    rows.append(
        Row(
            "the same with tails and excursions, two threads, against vectorbt's four measures",
            against("full", "vectorbt"),
            "x",
            None,
            True,
            detail,
        )
    )
    return rows
