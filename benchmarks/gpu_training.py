"""What does a GPU make of training: many seeds and folds as one recorded step, what input costs,
half precision, each network beside a plain loop, and the joules of a model and of a point of IC?
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import time

import numpy as np
import torch

from benchmarks import sizes
from benchmarks.common import Row, seconds
from gpuquant import learn
from gpuquant.device import resolve_device
from gpuquant.learn.accelerator import synchronize
from gpuquant.meter import Meter

DEVICE = "cuda:0"
SEEDS, FOLDS, STEPS = 64, 16, 300
ROWS = [np.arange(100 * k, 100 * k + 1_400) for k in range(FOLDS)]


def samples(assets: int = 50, columns: int = 20, bars: int = 3_100) -> learn.Samples:
    """A label of which the first feature tells little."""
    draw = np.random.default_rng(0)
    features = draw.normal(size=(bars, assets, columns)).astype(np.float32)
    return learn.Samples(features, 0.05 * features[..., 0] + draw.normal(size=(bars, assets)))


def learner(engine: str, steps: int = STEPS, **how: object) -> learn.Learner:
    """Networks of two small layers, with batches of 256 windows."""
    config = learn.TrainingConfig(steps=steps, batch_windows=256, engine=engine, **how)
    return learn.Learner(learn.networks.MLP(), ensemble=SEEDS, training=config)


def ensemble(data: learn.Samples) -> list[Row]:
    """All seeds and folds: recorded, as one program, and one after the other (fewer of them)."""
    took = {}
    for engine in ("cuda_graph", "vmap"):
        made = learner(engine)
        made.fit_folds(data, ROWS, device=DEVICE)
        took[engine] = seconds(lambda: made.fit_folds(data, ROWS, device=DEVICE))  # noqa: B023
    few = dataclasses.replace(learner("sequential"), ensemble=4)
    few.fit(data, ROWS[0], device=DEVICE)
    alone = seconds(lambda: few.fit(data, ROWS[0], device=DEVICE)) / 4
    each = SEEDS * FOLDS * alone
    both = [
        dataclasses.replace(learner(engine, steps=30), ensemble=4).fit(data, ROWS[0], device=DEVICE)
        for engine in ("cuda_graph", "sequential")
    ]
    far = np.abs(both[0].history.loss - both[1].history.loss).max()
    name = f"{SEEDS} seeds x {FOLDS} folds of an MLP"
    rows = [Row("losses of a recorded step and a plain one, apart", far, "", 1e-3, False, "")]
    for engine, words, bar in (("cuda_graph", "in one CUDA graph", 20.0), ("vmap", "as one", None)):
        detail = f"{took[engine]:.2f} s against {each:.1f} s, from 4 of them"
        rows.append(
            Row(f"{name} {words}, over one by one", each / took[engine], "x", bar, True, detail)
        )
    return rows


def inputs(data: learn.Samples) -> list[Row]:
    """Seconds of batches alone, over a training's."""
    config = learn.TrainingConfig(steps=STEPS, batch_windows=16_384, engine="sequential")
    made = learn.Learner(learn.networks.MLP(hidden=512), ensemble=1, training=config)
    made.fit(data, ROWS[0], device=DEVICE)
    whole = seconds(lambda: made.fit(data, ROWS[0], device=DEVICE))
    stream = learn.batches(data, ROWS[0], size=16_384, device=DEVICE)
    next(stream)
    synchronize(DEVICE)
    start = time.perf_counter()
    for _ in itertools.islice(stream, STEPS):
        pass
    synchronize(DEVICE)
    alone = time.perf_counter() - start
    return [Row("batches alone, over training", alone / whole, "x", 0.05, False, f"{whole:.2f} s")]


def half(data: learn.Samples) -> list[Row]:
    """A wide network in bfloat16, beside float32."""
    took = {}
    for precision in ("float32", "bfloat16"):
        config = learn.TrainingConfig(
            steps=STEPS, batch_windows=16_384, engine="sequential", precision=precision
        )
        made = learn.Learner(learn.networks.MLP(hidden=4_096), ensemble=1, training=config)
        made.fit(data, ROWS[0], device=DEVICE)
        took[precision] = seconds(lambda: made.fit(data, ROWS[0], device=DEVICE))  # noqa: B023
    ratio = took["float32"] / took["bfloat16"]
    detail = ", ".join(f"{name} {value:.2f} s" for name, value in took.items())
    return [Row("an MLP of 4,096 in bfloat16, over float32", ratio, "x", None, True, detail)]


def networks(data: learn.Samples) -> list[Row]:
    """A step of each network that sees one asset, beside a plain loop with the same batches."""
    rows = []
    for name in ("MLP", "TCN", "LSTM", "GRU", "Transformer"):
        network = getattr(learn.networks, name)()
        config = learn.TrainingConfig(steps=100, batch_windows=1_024)
        made = learn.Learner(network, ensemble=1, window=20, training=config)

        def plain(network: object = network) -> None:
            one = network.build(20, 20).to(DEVICE)
            optimiser = torch.optim.AdamW(one.parameters(), 3e-3, fused=True)
            stream = learn.batches(data, ROWS[0], window=20, size=1_024, device=DEVICE)
            for batch in itertools.islice(stream, 100):
                out = one(batch.windows.flatten(0, 1))[:, 0]
                loss = (out - batch.labels.flatten()).square().mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            synchronize(DEVICE)

        def ours(made: learn.Learner = made) -> None:
            made.fit(data, ROWS[0], device=DEVICE)

        ours(), plain()
        pairs = [(seconds(ours), seconds(plain)) for _ in range(3)]
        ratio = statistics.median(a / b for a, b in pairs)
        rows.append(Row(f"{name}, over a plain loop's time", ratio, "x", 1.05, False, ""))
    return rows


def energy(data: learn.Samples) -> list[Row]:
    """Joules of a model, on the GPU and on the CPU."""
    rows = []
    for place in (DEVICE, "cpu"):
        made = dataclasses.replace(learner("auto"), ensemble=8 if place == "cpu" else SEEDS)
        made.fit(data, ROWS[0], device=place)
        with Meter(resolve_device(place)) as meter:
            fitted = made.fit(data, ROWS[0], device=place)
        told = made.predict(fitted, data, np.arange(1_500, 3_000), device=place)
        ic = float(np.corrcoef(told.ravel(), data.labels[1_500:3_000].ravel())[0, 1])
        joules = float("nan") if meter.joules is None else meter.joules
        detail = f"{meter.source}, {1e3 * meter.seconds / made.ensemble:.1f} ms a model"
        rows += [
            Row(f"joules a model on {place}", joules / made.ensemble, "J", None, False, detail),
            Row(f"joules a point of IC on {place}", joules / (100 * ic), "J", None, False, detail),
        ]
    return rows


def run() -> list[Row]:
    """All of them, and the sizes at which the CPU wins."""
    data = samples()
    rows = ensemble(data) + inputs(data) + half(data) + networks(data) + energy(data)
    return [row for row in rows if row.value == row.value] + sizes.run()
