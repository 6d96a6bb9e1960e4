"""How fast are batches of windows, alone and with an MLP that trains on them, beside a DataLoader
over a Dataset that gives one window at a time: a plain slice, or what qlib's sampler of time series
does for each, which looks its rows up and fills those that are missing?
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from benchmarks.common import Row, ratio
from gpuquant import learn

ASSETS, BARS, COLUMNS, WINDOW = 20, 8_000, 20, 20
BATCH, ROUNDS = 800, 3
STEPS = learn.TrainingConfig().steps  # batches of a training by default
ROWS = np.arange(WINDOW, BARS - 2)


class PanelWindows(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """The window and the label of a bar and an asset, one at a time."""

    def __init__(self, features: np.ndarray, labels: np.ndarray) -> None:
        self.x = torch.from_numpy(features).transpose(0, 1).contiguous()
        self.y = torch.from_numpy(labels).float().T.contiguous()

    def __len__(self) -> int:
        return ASSETS * len(ROWS)

    def __getitem__(self, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        asset, bar = k % ASSETS, WINDOW + k // ASSETS
        return self.x[asset, bar - WINDOW + 1 : bar + 1], self.y[asset, bar]


class FilledWindows(PanelWindows):
    """The same windows by a table of rows, whose missing ones take the row before or after."""

    def __init__(self, features: np.ndarray, labels: np.ndarray) -> None:
        super().__init__(features, labels)
        both = np.concatenate([features, labels[..., None].astype(np.float32)], axis=2)
        self.table = both.transpose(1, 0, 2).reshape(ASSETS * BARS, COLUMNS + 1)
        self.rows = np.arange(ASSETS * BARS, dtype=np.float64).reshape(ASSETS, BARS)

    def __getitem__(self, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        asset, bar = k % ASSETS, WINDOW + k // ASSETS
        rows = self.rows[asset, bar - WINDOW + 1 : bar + 1]
        for _ in range(2):  # forwards, then backwards
            last = np.maximum.accumulate(np.where(np.isnan(rows), 0, np.arange(len(rows))))
            rows = rows[last][::-1]
        window = self.table[rows.astype(np.int64)]
        return torch.from_numpy(window[:, :-1]), torch.tensor(window[-1, -1])


def run() -> list[Row]:
    """The windows of all are the same; then the rates of each."""
    draw = np.random.default_rng(0)
    features = draw.normal(size=(BARS, ASSETS, COLUMNS)).astype(np.float32)
    labels = 0.05 * features[..., 0] + draw.normal(size=(BARS, ASSETS))
    samples = learn.Samples(features, labels)
    how = {"window": WINDOW, "size": BATCH}
    batch = next(learn.batches(samples, ROWS, **how))
    scale = learn.windows.Standardizer.of(samples.on("cpu"), ROWS)
    config = learn.TrainingConfig(batch_windows=BATCH)
    alone, eight = (
        learn.Learner(learn.networks.MLP(), ensemble=count, window=WINDOW, training=config)
        for count in (1, 8)
    )
    rows = []
    for kind, name, bars in (
        (FilledWindows, "a DataLoader with filled windows", (30.0, 10.0)),
        (PanelWindows, "a DataLoader with plain slices", (None, None)),
    ):
        data = kind(features, labels)
        for k in range(10):
            asset, bar = int(batch.assets[0, k, 0]), int(batch.bars[0, k, 0])
            window = data[(bar - WINDOW) * ASSETS + asset][0].numpy()
            theirs = (window - scale.mean) / scale.deviation
            np.testing.assert_allclose(batch.windows[k, 0], theirs, atol=1e-4)
        fed = ratio(
            partial(_feed, partial(learn.batches, samples, ROWS, **how)),
            partial(_feed, partial(_loader, data)),
            ROUNDS,
        )
        one, many = (
            ratio(
                partial(learner.fit, samples, ROWS), partial(_plain, data), ROUNDS, ours_work=work
            )
            for learner, work in ((alone, 1.0), (eight, 8.0))
        )
        ours, theirs = (rate * STEPS * BATCH / 1e6 for rate in fed[1:])
        detail = f"{ours:.2f} against {theirs:.3f} million a second"
        rows += [
            Row(f"windows a second, over {name}", fed[0], "x", bars[0], True, detail),
            Row(f"training an MLP, over {name}", one[0], "x", bars[1], True, _seconds(one)),
            Row(f"eight MLPs, each, over {name}", many[0], "x", None, True, _seconds(many)),
        ]
    return rows


def _loader(data: PanelWindows) -> Iterator[list[torch.Tensor]]:
    while True:
        yield from DataLoader(data, batch_size=BATCH, shuffle=True, drop_last=True)


def _feed(batches: Callable[[], Iterator[object]]) -> None:
    for _ in itertools.islice(batches(), STEPS):
        pass


def _plain(data: PanelWindows) -> None:
    network = learn.networks.MLP().build(WINDOW, COLUMNS)
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3)
    for x, y in itertools.islice(_loader(data), STEPS):
        loss = (network(x)[:, 0] - y).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def _seconds(both: tuple[float, float, float]) -> str:
    return f"{1.0 / both[1]:.3f} s a model against {1.0 / both[2]:.3f} s"
