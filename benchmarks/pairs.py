"""How many path-steps a second does every model make with every payoff, in float32 on one core, and
is that what its arithmetic takes?

A table of its own, `results/pairs-<core>.json`, with the operations of a path-step, the registers
of its GPU kernel where there is an assembler to ask, and the cause where a pair is far from what
its operations let expect.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace

import numpy as np

from benchmarks.common import RESULTS, Row, core, machine, seconds
from benchmarks.operations import operations
from gpuquant.device import resolve_device
from gpuquant.pricing.kernels.build import Pair
from gpuquant.pricing.pairs import every, pair, sample_batch
from gpuquant.pricing.request import Asked, checked
from gpuquant.pricing.simulation import Simulation
from gpuquant.pricing.time_grid import Grid
from gpuquant.progress import bar

PATHS, STEPS = 1 << 18, 64
FAR = 0.5  # of the speed that Black-Scholes with a European and the count of operations let expect
ROUNDS = 5


def speed(which: Pair) -> float:
    """Path-steps a second on one core, the fastest of a few runs: what disturbs a short run only
    ever slows it.
    """
    batch = sample_batch(which.model, which.payoff)
    task = replace(
        checked(Asked(0, "single", "monte_carlo", PATHS, STEPS, False), None, 1),
        device=resolve_device("cpu:1"),
    )
    paths = np.array([PATHS])
    Simulation.of(batch, task).run(paths)
    steps = int(Grid.of(batch, STEPS).steps[0])
    return (
        PATHS
        * steps
        / min(seconds(lambda: Simulation.of(batch, task).run(paths)) for _ in range(ROUNDS))
    )


def registers(which: Pair) -> tuple[int | None, int | None]:
    """Registers and spilled bytes of the pair's kernel for sm_90; unknown without the assembler,
    which cuda-bindings and nvidia-nvjitlink bring.
    """
    if (
        importlib.util.find_spec("cuda") is None
        or importlib.util.find_spec("cuda.bindings") is None
    ):
        return None, None
    from tests import ptx

    return ptx.registers(ptx.of_pair(which))


def run() -> list[Row]:
    """Measure every pair, write the table, and report the pair that is furthest from what its
    arithmetic takes.
    """
    rows = []
    found = every()
    with bar(len(found), "pairs", None) as tick:
        for model, payoff in found:
            which = pair(model, payoff)
            used, spilt = registers(which)
            rows.append(
                {
                    "model": model.__name__,
                    "payoff": payoff.__name__,
                    "path_steps_per_second": speed(which),
                    "operations": operations(which),
                    "registers": used,
                    "spilled_bytes": spilt,
                }
            )
            tick(1)
    plain = rows[[(r["model"], r["payoff"]) for r in rows].index(("BlackScholes", "European"))]
    for row in rows:
        row["of_expected"] = (
            row["path_steps_per_second"]
            * row["operations"]
            / (plain["path_steps_per_second"] * plain["operations"])
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"pairs-{core()}.json").write_text(
        json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n"
    )
    worst = min(rows, key=lambda r: r["of_expected"])
    question = "every pair, float32, one core: the least of the speed its operations let expect"
    found_rows = [
        Row(
            question,
            worst["of_expected"],
            "x",
            None,
            True,
            f"{worst['payoff']} under {worst['model']}, of {len(rows)} pairs",
        )
    ]
    known = [(r["registers"], r["spilled_bytes"]) for r in rows if r["registers"] is not None]
    if known:
        most = f"{max(used for used, _ in known)} registers at most"
        found_rows.append(
            Row(
                "every pair, float32, sm_90: bytes spilled by its registers, the most",
                float(max(spilt for _, spilt in known)),
                "bytes",
                0.0,
                False,
                most,
            )
        )
    return found_rows
