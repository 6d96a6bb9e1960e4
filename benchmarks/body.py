"""What does generality cost: the one body for any pair against a loop fused by hand for this
one?
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

import numpy as np

from benchmarks.asian import DATES, RATE, SPOT, STRIKE, VOLATILITY, ours
from benchmarks.common import Row, ratio
from gpuquant.compiler import kernel as compiler
from gpuquant.device import launch, resolve_device

PATHS = 400_000
TILE = 2048


def fused(unit, lane0, stream, purpose, k0, k1, drift, deviation, x0, strike, out):
    """Drawn four steps at a time into a block and then stepped, as the experiments found
    fastest.
    """
    x = array((1, LANES), f32)
    a = array((1, LANES), f32)
    z = array((4, LANES), f32)
    total = 0.0
    for block in range(TILE // WIDTH):
        base = unit * TILE + block * WIDTH
        for lane in lanes():
            x[0, lane] = x0
            a[0, lane] = f32(0.0)
        for group in range(DATES // 4):
            for lane in lanes():
                c0, c1, c2, c3 = counter(base + lane, group, stream, purpose)
                q0, q1, q2, q3 = philox(c0, c1, c2, c3, k0, k1)
                z[0, lane], z[1, lane] = normals32(q0, q1)
                z[2, lane], z[3, lane] = normals32(q2, q3)
            for k in range(4):
                for lane in lanes():
                    y = x[0, lane] + (drift + deviation * z[k, lane])
                    x[0, lane] = y
                    a[0, lane] += exp32(y)
        for lane in lanes():
            total += f64(max(a[0, lane] / f32(DATES) - strike, f32(0.0)))
    out[unit] = total


def by_hand() -> float:
    """Price by the fused loop, on the same draws."""
    step = 1.0 / DATES
    units = PATHS // TILE
    out = np.empty(units)
    drawn = (
        0,
        np.uint32(0),
        np.uint32(0),
        np.uint32(0),
    )  # stream, purpose and seed, as the general body is given them
    arguments = (
        *drawn,
        np.float32((RATE - 0.5 * VOLATILITY**2) * step),
        np.float32(VOLATILITY * step**0.5),
        np.float32(np.log(SPOT)),
        np.float32(STRIKE),
        out,
    )
    launch.run(
        lambda target: TEXT, resolve_device("cpu:1"), units, arguments, name="body", chunk=units
    )
    return out.sum() / (units * TILE) * np.exp(-RATE)


TEXT = compiler.source(
    fused, [], target="cpu", precision="single", constants={"DATES": DATES, "TILE": TILE}
).text()


def run() -> list[Row]:
    """Verify that both give the same price on the same draws, then time."""
    paths = PATHS // TILE * TILE
    assert abs(by_hand() / ours(paths)[0] - 1.0) < 1e-5, (by_hand(), ours(paths))
    value, general, hand = ratio(lambda: ours(paths), by_hand, 9, paths * DATES, paths * DATES)
    detail = f"{general / 1e6:.0f} against {hand / 1e6:.0f} M path-steps/s"
    return [
        Row(
            "the general body against a hand-fused split loop of the same maths",
            value,
            "x",
            0.95,
            True,
            detail,
        )
    ]
