"""How many short rows a second: the load of SimulatedOptions, 166,000 rows of 1024 paths x 21
steps?
"""

from __future__ import annotations

import statistics

import numpy as np

import gpuquant as gq
from benchmarks.common import Row, seconds

ROWS, PATHS, STEPS = 166_000, 1024, 21


def run() -> list[Row]:
    """Verify a few rows against a price of their own, then time."""
    volatility = np.random.default_rng(0).uniform(0.1, 0.6, ROWS)
    asian = gq.payoffs.Asian(option_type="call", strike=1.0, maturity=STEPS / 252, fixings=STEPS)

    def price(vol: np.ndarray) -> np.ndarray:
        model = gq.models.BlackScholes(spot=1.0, rate=0.0, volatility=vol)
        return gq.price(
            asian,
            model,
            engine="monte_carlo",
            paths=PATHS,
            precision="single",
            common_random_numbers=True,
            device="cpu:2",
            progress=False,
        ).price

    whole = price(volatility)
    for row in (0, 777, ROWS - 1):
        assert whole[row] == price(volatility[row : row + 1])[0]
    took = statistics.median(seconds(lambda: price(volatility)) for _ in range(5))
    detail = f"{ROWS * PATHS * STEPS / took / 1e6:.0f} M path-steps/s on two cores"
    return [
        Row(
            "166,000 rows of 1024 paths x 21 steps, Black-Scholes Asian, float32",
            ROWS / took,
            "rows/s",
            80_000,
            True,
            detail,
        )
    ]
