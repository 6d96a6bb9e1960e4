"""How much memory does a strategy take that learns from 5,000 assets x 2,500 bars x 60 features?"""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.common import Row

SOURCE = """
import json, time
from pathlib import Path

import numpy as np
import pandas as pd

import gpuquant as gq
from gpuquant import features, learn, sizing, splits

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

BARS, ASSETS = 2_500, 5_000
draw = np.random.default_rng(0)
steps = draw.normal(0.0, 0.01, (BARS, ASSETS)).astype(np.float32)
close = 100.0 * np.exp(np.cumsum(steps, axis=0))
names = [f"A{k:04d}" for k in range(ASSETS)]
prices = gq.Panel.of(pd.DataFrame(close, pd.bdate_range("2010-01-04", periods=BARS), names))
kinds = (features.Momentum, features.RealizedVolatility, features.MovingAverage, features.Skewness)
made = [kind(window) for kind in kinds for window in range(10, 85, 5)]
learner = learn.Learner(
    learn.networks.MLP(hidden=32), ensemble=2, training=learn.TrainingConfig(steps=100)
)
strategy = gq.Strategy(made, learner, sizing.Equal())
columns = sum(len(one.columns) for one in made)
assert columns == 60, columns
before, start = status("VmRSS"), time.perf_counter()
how = splits.WalkForward(train="8Y", test="1Y")
trained = strategy.train(prices, splits=how, device="cpu", progress=False)
seconds = time.perf_counter() - start
print(json.dumps({"peak": status("VmHWM") - before, "seconds": seconds}))
"""
NUMBERS = 2_500 * 5_000 * 60


def run() -> list[Row]:
    """The growth of the peak resident size, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", SOURCE], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    return [
        Row(
            "memory of training on 5,000 assets x 2,500 bars x 60 features",
            told["peak"] / 1e9,
            "GB",
            6.0,
            False,
            f"{told['peak'] / 4 / NUMBERS:.2f} times its features in 32 bits; "
            f"{told['seconds']:.0f} s",
        )
    ]
