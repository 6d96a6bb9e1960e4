"""Is the engine that training chooses for an ensemble as fast as the best one, and how does it
compare with a plain loop?
"""

from __future__ import annotations

import os
import statistics
import tempfile

import numpy as np
import torch

from benchmarks.common import Row, seconds
from gpuquant import learn

ROUNDS = 5
MEMBERS = 16
STEPS = {64: 300, 1_280: 300, 6_400: 100, 32_000: 30}  # by windows
LSTM_STEPS = 300
BARS, COLUMNS, CUT = 2_000, 20, 1_900


def samples(assets: int) -> learn.Samples:
    """A label of which the first feature tells little."""
    draw = np.random.default_rng(0)
    features = draw.normal(size=(BARS, assets, COLUMNS)).astype(np.float32)
    return learn.Samples(features, 0.05 * features[..., 0] + draw.normal(size=(BARS, assets)))


def learner(network: object, windows: int, engine: str, members: int = MEMBERS) -> learn.Learner:
    """An ensemble with so many windows in a batch."""
    config = learn.TrainingConfig(steps=STEPS[windows], batch_windows=windows, engine=engine)
    return learn.Learner(network, ensemble=members, training=config)


def fit(network: object, data: learn.Samples, windows: int, engine: str) -> learn.fitted.Fitted:
    """The trained ensemble."""
    return learner(network, windows, engine).fit(data, np.arange(CUT))


def ensembles() -> list[Row]:
    """Sixteen networks: chosen, and by each engine that can be named; the choice included in the
    time of the first training, and kept for the others.
    """
    rows = []
    for assets, windows in ((20, 64), (20, 1_280), (100, 6_400), (500, 32_000)):
        data, network = samples(assets), learn.networks.MLP()
        told = [fit(network, data, windows, engine) for engine in ("sequential", "vmap")]
        far = np.abs(told[0].history.loss - told[1].history.loss).max()
        if far > 1e-3 * np.abs(told[0].history.loss).max():
            raise AssertionError(f"the engines do not learn the same: {far}")
        took: dict[str, list[float]] = {"auto": [], "sequential": [], "vmap": []}
        with tempfile.TemporaryDirectory() as empty:
            os.environ["GPUQUANT_CACHE"] = empty
            for _ in range(ROUNDS):
                for engine, each in took.items():
                    each.append(seconds(lambda: fit(network, data, windows, engine)))  # noqa: B023
            chosen = str(fit(network, data, windows, "auto").history.engine)
            del os.environ["GPUQUANT_CACHE"]
        middle = {engine: statistics.median(each) for engine, each in took.items()}
        best = min(("sequential", "vmap"), key=middle.__getitem__)
        pairs = zip(took[best], took["auto"], strict=True)
        value = statistics.median(one / auto for one, auto in pairs)
        detail = ", ".join(f"{name} {value:.2f} s" for name, value in middle.items())
        detail += f"; chosen: {chosen}; its first training {took['auto'][0]:.2f} s"
        name = f"16 MLPs, batches of {windows:,} windows of {assets} assets"
        if windows == 64:
            gain = middle["sequential"] / middle["auto"]
            rows.append(Row(f"{name}, over one after the other", gain, "x", 3.5, True, detail))
        rows.append(Row(f"{name}, over the best", value, "x", 0.95, True, detail))
    return rows


def lstm() -> list[Row]:
    """Two LSTMs one after the other, beside a loop as anybody would write it."""
    data, windows = samples(20), 256
    window, members = 20, 2
    made = learn.Learner(
        learn.networks.LSTM(),
        ensemble=members,
        window=window,
        training=learn.TrainingConfig(steps=LSTM_STEPS, batch_windows=windows),
    )
    x = torch.from_numpy(data.features).unfold(0, window, 1)
    y = torch.from_numpy(data.labels).float()[window - 1 :] / float(data.labels[:CUT].std())
    last = CUT - window

    def plain() -> list[torch.nn.Module]:
        networks = []
        for seed in range(members):
            torch.manual_seed(seed)
            network = learn.networks.LSTM().build(window, COLUMNS)
            optimiser = torch.optim.AdamW(network.parameters(), 1e-2, fused=True)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=LSTM_STEPS)
            for _ in range(LSTM_STEPS):
                at, asset = torch.randint(last, (windows,)), torch.randint(20, (windows,))
                out = network(x[at, asset].transpose(1, 2))[:, 0]
                loss = (out - y[at, asset]).square().mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
            networks.append(network)
        return networks

    fitted = made.fit(data, np.arange(CUT))
    ours, theirs = fitted.history.loss[:, -20:].mean(), _loss(plain()[0], x, y)
    if abs(ours - theirs) > 0.1:
        raise AssertionError(f"the loops do not learn alike: {ours} and {theirs}")
    pairs = [
        (seconds(lambda: made.fit(data, np.arange(CUT))), seconds(plain)) for _ in range(ROUNDS)
    ]
    ratio = statistics.median(ours / loop for ours, loop in pairs)
    detail = ", ".join(f"{ours:.2f} s against {loop:.2f} s" for ours, loop in pairs)
    return [Row("2 LSTMs, over a plain loop's time", ratio, "x", 1.05, False, detail)]


def _loss(network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    with torch.no_grad():
        out = network(x[:200].flatten(0, 1).transpose(1, 2))[:, 0]
        return float((out - y[:200].flatten()).square().mean())


def run() -> list[Row]:
    """All of them."""
    return ensembles() + lstm()
