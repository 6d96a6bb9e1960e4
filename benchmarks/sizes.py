"""How long does training take by the size of its batches and of its network, and what energy, on
the CPU and on the accelerator, where there is one?
"""

from __future__ import annotations

import numpy as np

from benchmarks.common import Row
from gpuquant import learn
from gpuquant.learn.accelerator import devices
from gpuquant.meter import Meter

MEMBERS, COLUMNS, ASSETS, BARS = 8, 20, 50, 2_000
SIZES = ((32, 64), (32, 1_024), (32, 16_384), (512, 1_024), (512, 16_384))  # hidden, windows
HELD = 3.0  # seconds of work whose energy is read: the counter moves in steps
LEAST = 20  # steps


def run() -> list[Row]:
    """Milliseconds of a step of eight networks; batches, and the choice of the engine, included."""
    draw = np.random.default_rng(0)
    features = draw.normal(size=(BARS, ASSETS, COLUMNS)).astype(np.float32)
    samples = learn.Samples(features, features[..., 0] + draw.normal(size=(BARS, ASSETS)))
    rows = []
    for place in devices():
        for hidden, windows in SIZES:
            network = learn.networks.MLP(hidden=hidden)
            steps, took = LEAST, 0.0
            while True:
                config = learn.TrainingConfig(steps=steps, batch_windows=windows)
                learner = learn.Learner(network, ensemble=MEMBERS, training=config)
                with Meter(_device(place)) as meter:
                    fitted = learner.fit(samples, np.arange(BARS - 10), device=place)
                took = meter.seconds
                if took > HELD or steps > 100_000:
                    break
                steps = int(steps * max(2.0, 1.2 * HELD / took))
            joules = "joules unreadable"
            if meter.joules is not None:
                joules = f"{1e3 * meter.joules / steps:.3g} mJ a step ({meter.source})"
            rows.append(
                Row(
                    f"a step of {MEMBERS} MLPs of {hidden}, {windows:,} windows, on {place}",
                    1e3 * took / steps,
                    "ms",
                    None,
                    False,
                    f"{joules}, {fitted.history.engine}",
                )
            )
    return rows


def _device(place: str) -> object:
    from gpuquant.device import resolve_device

    return resolve_device(place if place.startswith("cuda") else "cpu")
