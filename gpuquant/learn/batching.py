"""Batches: which windows a step of training sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gpuquant.errors import DataError, unknown
from gpuquant.learn.windows import Resident, Samples, Standardizer, Windows

KINDS = ("windows", "bars", "runs")
PLANNED = 64  # steps that are drawn at once on the host, so that a GPU waits for one copy of many
FEWEST_RUNS = 4  # a ratio of performance needs bars from several times


@dataclass(frozen=True)
class Batch:
    """Windows with their labels.

    Parameters
    ----------
    windows : Tensor, shape (runs x bars, assets, window, columns)
    labels : Tensor, shape (runs, bars, assets), or with one more axis of several labels
        Zero outside the mask.
    mask : Tensor of bool, of that shape
        Where there is a label of a training row.
    known : Tensor of bool, shape (runs x bars, assets)
        Where the features are known, with a label or without.
    bars, assets : Tensor of int, shape (runs, bars, assets)
        The bar at which each window ends, and its asset.
    """

    windows: Tensor
    labels: Tensor
    mask: Tensor
    known: Tensor
    bars: Tensor
    assets: Tensor


def batches(
    samples: Samples,
    rows: np.ndarray,
    *,
    window: int = 1,
    kind: str = "windows",
    size: int = 2048,
    length: int = 63,
    seed: int = 0,
    device: str = "cpu",
) -> Iterator[Batch]:
    """Batches without end, for a training loop of one's own: on the device, masked, with features
    standardised by the training rows.

    Parameters
    ----------
    samples : Samples
    rows : int array
        Training bars.
    window : int
        Bars of features that a window has.
    kind : str
        windows (any of them), bars (all assets of a bar) or runs (all assets of consecutive bars).
    size, length : int
        Windows of a batch, about; and bars of a run.
    seed : int
        Of the draws.
    device : str
        Of torch.

    Examples
    --------
    >>> import numpy as np
    >>> from gpuquant import learn
    >>> draw = np.random.default_rng(0)
    >>> samples = learn.Samples(draw.normal(size=(300, 4, 2)), draw.normal(size=(300, 4)))
    >>> batch = next(learn.batches(samples, np.arange(200), window=5, kind="bars", size=40))
    >>> tuple(batch.windows.shape), tuple(batch.labels.shape), bool(batch.mask.all())
    ((10, 4, 5, 2), (10, 1, 4), True)
    """
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    resident = samples.on(device)
    windows = Windows(resident, Standardizer.of(resident, rows), window)
    drawn = Batches(windows, rows, kind, size, length)
    yield from drawn.stream(torch.Generator().manual_seed(seed))


class Batches:
    """Draws batches from training rows.

    Parameters
    ----------
    windows : Windows
    rows : int array
        Bars whose labels may be used.
    kind : str
        windows, bars or runs; see `losses.base.Loss`.
    size, length : int
        Windows of a batch, and bars of a run.
    """

    def __init__(
        self, windows: Windows, rows: np.ndarray, kind: str, size: int, length: int
    ) -> None:
        resident: Resident = windows.resident
        self.windows, self.kind, self.resident = windows, kind, resident
        device = resident.features.device
        inside = torch.zeros(resident.known.shape[1], dtype=torch.bool)
        inside[torch.from_numpy(rows)] = True
        self.known = resident.whole(windows.bars)
        labelled = resident.labelled if resident.labels.ndim == 2 else resident.labelled.any(-1)
        self.usable = self.known & labelled & inside.to(device)
        assets = len(self.usable)
        if kind == "windows":
            self.choices = torch.nonzero(self.usable.flatten())[:, 0]
            self.count, self.length = size, 1
        else:
            bars = self.usable.any(dim=0)
            self.length = 1 if kind == "bars" else min(length, int(bars.sum()))
            self.choices = torch.nonzero(_runs(bars, self.length))[:, 0]
            fewest = 1 if kind == "bars" else FEWEST_RUNS
            self.count = max(fewest, size // (self.length * assets))
        self.chances = self._chances()
        if not len(self.choices) or (kind == "runs" and self.length < 2):
            raise DataError(
                "no window of training bars has every feature and a label: the history is shorter "
                "than the features' lookback"
            )

    def stream(self, generator: torch.Generator) -> Iterator[Batch]:
        """Batches at random, with replacement, without end; a choice comes as often as its weight
        says.
        """
        device, chances = self.choices.device, self.chances
        if chances is None:
            for at in indices(generator, len(self.choices), self.count, device):
                yield self.take(at)
        else:
            for drawn in uniforms(generator, self.count, device):
                at = torch.searchsorted(chances, drawn * chances[-1])
                yield self.take(at.clamp(max=len(self.choices) - 1))

    def _chances(self) -> Tensor | None:
        """Running sums of the weights of the choices; of a run, those of all its labels."""
        weights = self.resident.weights
        if weights is None:
            return None
        counted = (weights * self.usable).double()
        if self.kind == "windows":
            return torch.cumsum(counted.flatten()[self.choices], 0)
        totals = torch.nn.functional.pad(torch.cumsum(counted.sum(dim=0), 0), (1, 0))
        return torch.cumsum(totals[self.choices + self.length] - totals[self.choices], 0)

    def take(self, at: Tensor) -> Batch:
        """The batch of these choices."""
        chosen, device = self.choices[at], self.choices.device
        if self.kind == "windows":
            total = self.usable.shape[1]
            assets, ends = (chosen // total)[:, None], (chosen % total)[:, None]
            shape = (1, len(at), 1)
        else:
            count = len(self.usable)
            bars = (chosen[:, None] + torch.arange(self.length, device=device)).flatten()
            ends = bars[:, None].expand(-1, count)
            assets = torch.arange(count, device=device).expand(len(bars), -1)
            shape = (len(at), self.length, count)
        mask, labels = self.usable[assets, ends], self.resident.labels[assets, ends]
        several = tuple(labels.shape[2:])
        if several:
            mask = mask[..., None] & self.resident.labelled[assets, ends]
        return Batch(
            self.windows.gather(assets, ends),
            (labels * mask).view(shape + several),
            mask.view(shape + several),
            self.known[assets, ends],
            ends.reshape(shape),
            assets.reshape(shape),
        )


def indices(
    generator: torch.Generator, below: int, count: int, device: torch.device | str
) -> Iterator[Tensor]:
    """So many whole numbers below a limit, again and again: the same on every device."""
    while True:
        drawn = torch.randint(below, (PLANNED, count), generator=generator)
        yield from drawn.to(device)


def uniforms(
    generator: torch.Generator, count: int, device: torch.device | str
) -> Iterator[Tensor]:
    """So many numbers from 0 to 1, again and again: the same on every device."""
    while True:
        drawn = torch.rand((PLANNED, count), generator=generator, dtype=torch.float64)
        yield from drawn.to(device)


def _runs(bars: Tensor, length: int) -> Tensor:
    """Where a run of `length` bars in the mask begins."""
    total = torch.cumsum(torch.nn.functional.pad(bars.long(), (1, 0)), 0)
    return (
        total[length:] - total[:-length] == length
        if len(bars) >= length > 0
        else torch.zeros(0, dtype=torch.bool, device=bars.device)
    )
