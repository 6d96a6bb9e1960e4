"""How many bar-columns a second does a grid reach on a GPU, for how many joules, and from how
many columns on is it faster than the CPU?
"""

from __future__ import annotations

import statistics

import numpy as np

import gpuquant as gq
from benchmarks.common import Row, seconds
from benchmarks.grid import FEES, PANEL
from gpuquant import rules
from gpuquant.device import CROSSOVER_COLUMNS, resolve_device
from gpuquant.meter import Meter

SIZES = (
    (1, 1),
    (5, 1),
    (5, 5),
    (10, 10),
    (20, 25),
    (50, 50),
    (100, 100),
)  # of fast and slow windows
HELD = 3.0  # seconds of work whose energy is read: the counter moves in steps


def grid(device: str, fast: int, slow: int) -> gq.backtesting.result.Backtest:
    """So many pairs of windows on 20 stocks, without the tails, which a GPU does not measure."""
    rule = rules.MovingAverageCross(fast=range(5, 5 + fast), slow=range(105, 105 + slow))
    found = gq.backtest(
        PANEL,
        rule,
        costs=FEES,
        fill="same_close",
        cash=10_000.0,
        detail=False,
        device=device,
        progress=False,
    )
    _ = found.measures
    return found


def verify(one: str, other: str) -> None:
    """Both devices give the same orders and, to rounding, the same measures."""
    a, b = (grid(device, 10, 10).sums for device in (one, other))
    np.testing.assert_array_equal(a["orders"], b["orders"])
    for name, values in a.items():
        np.testing.assert_allclose(b[name], values, rtol=1e-9, atol=1e-9, err_msg=name)


def took(device: str, fast: int, slow: int) -> float:
    """Median seconds of a grid, after one that compiles and carries the prices up."""
    grid(device, fast, slow)
    return statistics.median(seconds(lambda: grid(device, fast, slow)) for _ in range(5))


def crossover(fast: str, slow: str) -> tuple[float, str]:
    """The least number of columns that was tried from which on the device `fast` needs less
    time; NaN where it never does.
    """
    times = [(20 * f * s, took(fast, f, s), took(slow, f, s)) for f, s in SIZES]
    lost = [k for k, (_, a, b) in enumerate(times) if a >= b]
    first = lost[-1] + 1 if lost else 0
    shown = ", ".join(
        f"{columns}: {a * 1e3:.1f} against {b * 1e3:.1f} ms" for columns, a, b in times
    )
    return (float(times[first][0]) if first < len(times) else float("nan")), shown


def joules(device: str, fast: int, slow: int) -> tuple[float, str]:
    """Joules per 1e9 bar-columns and where they were read; NaN where they cannot be."""
    turns = max(1, round(HELD / took(device, fast, slow)))
    with Meter(resolve_device(device)) as meter:
        for _ in range(turns):
            grid(device, fast, slow)
    work = turns * PANEL.close.size * fast * slow
    return (float("nan") if meter.joules is None else meter.joules / work * 1e9), meter.source


def paths_seconds(device: str) -> float:
    """Median seconds of a rule over 100,000 simulated paths of 252 bars, made as they are
    traded.
    """
    model = gq.models.BlackScholes(spot=100.0, rate=0.02, volatility=0.2)
    paths = gq.SimulatedPrices(model=model, paths=100_000, bars=252)

    def go() -> None:
        _ = gq.backtest(
            paths,
            rules.MovingAverageCross(fast=5, slow=20),
            costs=FEES,
            detail=False,
            device=device,
            progress=False,
        ).measures

    go()
    return statistics.median(seconds(go) for _ in range(5))


def run(gpu: str = "cuda", cpu: str = "cpu") -> list[Row]:
    """Verify, then time."""
    verify(gpu, cpu)
    fast, slow = SIZES[-1]
    columns, work = 20 * fast * slow, PANEL.close.size * fast * slow
    a, b = took(gpu, fast, slow), took(cpu, fast, slow)
    detail = f"{a * 1e3:.0f} ms; {b / a:.1f} times the CPU's {work / b / 1e9:.2f} on all its cores"
    rows = [
        Row(
            f"moving-average grid, {columns} columns of {PANEL.bars} bars, GPU",
            work / a / 1e9,
            "G bar-columns/s",
            20.0,
            True,
            detail,
        )
    ]
    used, source = joules(gpu, fast, slow)
    by_cpu, its = joules(cpu, fast, slow)
    rows.append(
        Row(
            "joules of 1e9 bar-columns, GPU",
            used,
            "J",
            None,
            False,
            f"read by {source}; the CPU's {by_cpu:.1f}, read by {its}",
        )
    )
    least, shown = crossover(gpu, cpu)
    rows.append(
        Row(
            "columns from which on the GPU is faster",
            least,
            "columns",
            None,
            False,
            f"auto takes it from {CROSSOVER_COLUMNS}; {shown}",
        )
    )
    a, b = paths_seconds(gpu), paths_seconds(cpu)
    rows.append(
        Row(
            "a rule over 100,000 simulated paths of 252 bars, GPU against the CPU",
            b / a,
            "x",
            None,
            True,
            f"{a * 1e3:.0f} against {b * 1e3:.0f} ms",
        )
    )
    return rows
