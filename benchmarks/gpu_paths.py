"""How many Asian and European path-steps a second on a GPU, beside a two-pass CuPy/cuRAND and
torch eager?
"""

from __future__ import annotations

import statistics

import gpuquant as gq
from benchmarks.asian import DATES, MODEL, RATE, SPOT, STRIKE, VOLATILITY, ours, torch_eager
from benchmarks.common import Row, ratio, seconds
from gpuquant.device import resolve_device
from gpuquant.meter import Meter

PATHS = 1 << 25


def cupy_two_pass(paths: int, block: int = 1 << 20) -> float:
    """Normals by cuRAND into memory, then a cumulative sum and a mean over it."""
    import cupy as cp

    step, total = 1.0 / DATES, 0.0
    for k in range(paths // block):
        z = cp.random.Generator(cp.random.XORWOW(k)).standard_normal(
            (DATES, block), dtype=cp.float32
        )
        x = cp.cumsum(
            cp.float32((RATE - 0.5 * VOLATILITY**2) * step)
            + cp.float32(VOLATILITY * step**0.5) * z,
            axis=0,
        )
        total += float(cp.maximum(SPOT * cp.exp(x).mean(axis=0) - STRIKE, 0).sum(dtype=cp.float64))
    return total / paths * 2.718281828459045**-RATE


def european() -> float:
    """Path-steps a second of a European over 252 steps."""
    call = gq.payoffs.European(option_type="call", strike=STRIKE, maturity=1.0)

    def price() -> None:
        gq.price(
            call,
            MODEL,
            paths=PATHS,
            steps=DATES,
            engine="monte_carlo",
            precision="single",
            device="cuda",
            progress=False,
        )

    price()
    return PATHS * DATES / statistics.median(seconds(price) for _ in range(5))


def run() -> list[Row]:
    """Verify against the CPU's draws, then time."""
    device = resolve_device("cuda")
    for precision, bound in (("single", 1e-5), ("double", 1e-12)):
        cpu, gpu = (ours(100_000, device, precision)[0] for device in ("cpu", "cuda"))
        assert abs(gpu / cpu - 1.0) < bound, (precision, cpu, gpu)
    few = 1 << 22
    rows = []
    for name, work in (
        ("a two-pass CuPy/cuRAND", cupy_two_pass),
        ("torch eager", lambda n: torch_eager(n, 1 << 20, "cuda")),
    ):
        value, fast, slow = ratio(
            lambda: ours(PATHS, "cuda"), lambda work=work: work(few), 5, PATHS * DATES, few * DATES
        )
        rows.append(
            Row(
                f"Asian, 252 dates, float32, GPU, against {name}",
                value,
                "x",
                None,
                True,
                f"{fast / 1e9:.1f} against {slow / 1e9:.2f} G path-steps/s",
            )
        )
    with Meter(device) as meter:
        ours(PATHS, "cuda")
    joules = (
        f"{meter.joules:.1f} J ({meter.source})"
        if meter.joules is not None
        else "joules unreadable"
    )
    rows.append(
        Row(
            "European, 252 steps, float32, GPU",
            european() / 1e9,
            "G path-steps/s",
            None,
            True,
            f"{joules} for {PATHS * DATES:.3g} Asian path-steps",
        )
    )
    return rows
