"""A grid of moving-average crosses, 20 stocks x 8313 days x 100 pairs, beside vectorbt at its best chunk?"""

from __future__ import annotations

import statistics

import numpy as np

import gpuquant as gq
from benchmarks.common import RESULTS, Row, seconds
from gpuquant import costs, data, rules

FAST, SLOW = range(5, 15), range(15, 25)
FEES = costs.Proportional(rate=0.001, slippage=0.0005)
PANEL = data.us20()


def ours(device: str) -> gq.backtesting.engine.Backtest:
    """The grid with every measure."""
    found = gq.backtest(
        PANEL, rules.MovingAverageCross(fast=FAST, slow=SLOW), costs=FEES, fill="same_close", cash=10_000.0, periods=365.0, device=device, progress=False
    )
    _ = found.measures
    return found


def vectorbt(chunk: int) -> tuple[np.ndarray, ...]:
    """Indicator, signals, portfolio and four measures, `chunk` pairs at a time."""
    import vectorbt as vbt

    close = PANEL.to_frame()
    fast, slow = (w.ravel() for w in np.meshgrid(FAST, SLOW, indexing="ij"))
    parts = []
    for at in range(0, len(fast), chunk):
        a = vbt.MA.run(close, window=fast[at : at + chunk].tolist(), short_name="fast", hide_params=["ewm"])
        b = vbt.MA.run(close, window=slow[at : at + chunk].tolist(), short_name="slow", hide_params=["ewm"])
        held = vbt.Portfolio.from_signals(close, a.ma_crossed_above(b), a.ma_crossed_below(b), init_cash=1e4, fees=0.001, slippage=0.0005, freq="1D")
        parts.append([np.asarray(m) for m in (held.total_return(), held.sharpe_ratio(), held.max_drawdown(), held.orders.count())])
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def verify(found: gq.backtesting.engine.Backtest, theirs: tuple[np.ndarray, ...]) -> float:
    """All 2000 columns are V16's, vectorbt's fills on exact crossings; the share of them that vectorbt itself reaches, whose averages round."""
    import pandas as pd

    reference = pd.read_csv(RESULTS.parents[1] / "tests" / "reference" / "V16_grid.csv")
    both = reference.merge(found.frame, on=["asset", "fast", "slow"], suffixes=("_expected", ""), validate="one_to_one")
    assert len(both) == 2000 and (both["n_orders"] == both["orders"]).all()
    for expected, ours_name in (("total_return_expected", "total_return"), ("sharpe_365", "sharpe"), ("max_drawdown_expected", "max_drawdown")):
        np.testing.assert_allclose(both[ours_name], both[expected], rtol=1e-9, err_msg=ours_name)
    order = np.lexsort((found.labels["asset"].astype(str), found.labels["slow"], found.labels["fast"]))  # pairs first, then assets, as vectorbt
    same = float(np.isclose(found.measures["total_return"][order], theirs[0], rtol=1e-9, atol=1e-12).mean())
    assert same > 0.8, same
    return same


def run() -> list[Row]:
    """Verify, then time."""
    import warnings

    warnings.simplefilter("ignore")
    same = verify(ours("cpu:1"), vectorbt(20))
    chunks = {chunk: statistics.median(seconds(lambda chunk=chunk: vectorbt(chunk)) for _ in range(2)) for chunk in (10, 20, 50)}
    best = min(chunks, key=chunks.__getitem__)
    rows = []
    for device, bar in (("cpu:1", 55.0), ("cpu:2", 90.0)):
        ours(device)
        pairs = [(statistics.median(seconds(lambda device=device: ours(device)) for _ in range(5)), seconds(lambda: vectorbt(best))) for _ in range(5)]
        value = statistics.median(b / a for a, b in pairs)
        a, b = statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)
        threads = "one thread" if device == "cpu:1" else "two threads"
        detail = f"{a * 1e3:.0f} ms against {b * 1e3:.0f} ms at chunks of {best}; {PANEL.close.size * 100 / a / 1e6:.0f} M bar-columns/s; equal to V16 in all columns, to vectorbt in {same:.1%}: its rounded averages decide ties"
        rows.append(Row(f"moving-average grid, 20 x 8313 x 100, {threads}, against vectorbt", value, "x", bar, True, detail))
    return rows
