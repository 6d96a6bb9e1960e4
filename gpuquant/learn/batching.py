"""Batches: which windows a step of training sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import torch
from torch import Tensor

from gpuquant.errors import DataError, unknown
from gpuquant.learn.draws import blocks, indices, uniforms
from gpuquant.learn.windows import Resident, Samples, Standardizer, Windows

KINDS = ("windows", "bars", "runs")
AT_ONCE = 1 << 18  # places of windows that are drawn at once
FEWEST_RUNS = 4  # a ratio of performance needs bars from several times


@dataclass(frozen=True)
class Batch:
    """Windows with their labels; in training with one axis more, the first: members.

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

    def member(self, number: int) -> Batch:
        """What it has for one member, without the axis of members."""
        return Batch(*(getattr(self, one.name)[number] for one in fields(self)))


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
    drawn = Batches(windows, [Choices.of(windows, rows, kind, size, length)])
    for batch in drawn.stream([seed]):
        yield batch.member(0)


@dataclass(frozen=True)
class Choices:
    """What the batches of a fold are drawn from.

    Attributes
    ----------
    kind : str
        windows, bars or runs; see `losses.base.Loss`.
    places : Tensor of int, shape (choices,)
        Of windows: asset x bars + bar; else the first bar of a run.
    inside : Tensor of bool, shape (bars,)
        Bars whose labels may be used.
    chances : Tensor, shape (choices,), optional
        Running sums of the weights of the choices; of a run, those of all its labels.
    count, length : int
        Choices of a batch, and bars of a run.
    every : int
        Assets of each bar of a run; 1 where a choice is a window.
    """

    kind: str
    places: Tensor
    inside: Tensor
    chances: Tensor | None
    count: int
    length: int
    every: int

    @classmethod
    def of(cls, windows: Windows, rows: np.ndarray, kind: str, size: int, length: int) -> Choices:
        """Of training bars `rows`, for batches of about `size` windows and runs of `length` bars.

        Raises
        ------
        DataError
            There is none.
        """
        resident = windows.resident
        device = resident.features.device
        inside = torch.zeros(resident.known.shape[1], dtype=torch.bool)
        inside[torch.from_numpy(rows)] = True
        inside = inside.to(device)
        usable = _usable(windows) & inside
        if kind == "windows":
            places, count, length = torch.nonzero(usable.flatten())[:, 0], size, 1
        else:
            bars = usable.any(dim=0)
            length = 1 if kind == "bars" else min(length, int(bars.sum()))
            places = torch.nonzero(_runs(bars, length))[:, 0]
            fewest = 1 if kind == "bars" else FEWEST_RUNS
            count = max(fewest, size // max(length * len(usable), 1))
        if not bool(usable.any()):
            raise DataError(
                "no window of training bars has every feature and a label: the history is shorter "
                "than the features' lookback, or the bars that train are too few"
            )
        if not len(places) or (kind == "runs" and length < 2):
            raise DataError(
                f"the training bars have no run of {max(length, 2)} bars that follow one another, "
                "which the loss needs: give a smaller sequence_length"
            )
        chances = _chances(resident, usable, kind, places, length)
        if chances is not None and not float(chances[-1]) > 0.0:
            raise DataError("the weights of all labels of the training bars are zero")
        every = 1 if kind == "windows" else len(usable)
        return cls(kind, places.int(), inside, chances, count, length, every)

    @property
    def shape(self) -> tuple[int, int]:
        """Folds of one shape fit into one batch."""
        return self.count, self.length

    @property
    def windows(self) -> int:
        """Windows of a batch."""
        return self.count * self.length * self.every


class Batches:
    """Draws batches for members whose folds have one shape.

    Parameters
    ----------
    windows : Windows
        Standardised for each member.
    folds : sequence of Choices
        Of each member.
    units : Tensor, shape (members, labels), optional
        Labels are divided by them.
    """

    def __init__(
        self, windows: Windows, folds: Sequence[Choices], units: Tensor | None = None
    ) -> None:
        self.windows, self.resident, self.first = windows, windows.resident, folds[0]
        self.device = windows.resident.features.device
        self.usable, self.known = _usable(windows), self.resident.whole(windows.bars)
        self.inside = torch.stack([fold.inside for fold in folds])
        self.units = units
        self.chances = [fold.chances for fold in folds if fold.chances is not None]
        each = {id(fold): fold for fold in folds}  # members of a fold share what it has
        begins = np.cumsum([0, *(len(fold.places) for fold in each.values())])
        begin = dict(zip(each, begins, strict=False))
        self.places = torch.cat([fold.places for fold in each.values()])
        self.begin, self.below = (
            torch.tensor(values, device=self.device)
            for values in (
                [int(begin[id(fold)]) for fold in folds],
                [len(fold.places) for fold in folds],
            )
        )

    def stream(self, seeds: Sequence[int], first: int = 0) -> Iterator[Batch]:
        """Batches at random from step `first` on, with replacement, without end; a choice comes as
        often as its weight says. Each member has its seed.
        """
        given = torch.tensor(seeds, device=self.device)
        size = len(seeds) * self.first.windows
        for at in blocks(partial(self._draw, given), first, AT_ONCE // size, self.device):
            yield from self.take(at)

    def _draw(self, seeds: Tensor, steps: Tensor) -> Tensor:
        """The choices of steps, shape (steps, members, choices)."""
        count = self.first.count
        if not self.chances:
            return indices(seeds, steps, count, self.below)
        each = zip(self.chances, uniforms(seeds, steps, count).unbind(1), strict=True)
        at = [torch.searchsorted(chances, drawn * chances[-1]) for chances, drawn in each]
        return torch.minimum(torch.stack(at, 1), self.below[:, None] - 1)

    def take(self, at: Tensor) -> Iterator[Batch]:
        """The batches of these choices, shape (steps, members, choices): labels and masks for all
        steps at once, windows step by step.
        """
        chosen, fold = self.places[self.begin[:, None] + at].long(), self.first
        leading, every = at.shape[:2], len(self.usable)
        if fold.kind == "windows":
            total = self.usable.shape[1]
            assets, ends = (chosen // total)[..., None], (chosen % total)[..., None]
        else:
            bars = (chosen[..., None] + torch.arange(fold.length, device=self.device)).flatten(2)
            ends = bars[..., None].expand(*bars.shape, every)
            assets = torch.arange(every, device=self.device).expand_as(ends)
        labels = self.resident.labels[assets, ends]
        several = tuple(labels.shape[4:])
        members = torch.arange(leading[1], device=self.device)[:, None, None]
        mask = self.usable[assets, ends] & self.inside[members, ends]
        if several:
            mask = mask[..., None] & self.resident.labelled[assets, ends]
        if self.units is not None:
            labels = labels / self.units.view(leading[1], 1, 1, *several)
        known = self.known[assets, ends]
        shape = (
            *leading,
            *((1, at.shape[2], 1) if fold.kind == "windows" else (at.shape[2], fold.length, every)),
        )
        steps = zip(
            (labels * mask).view(shape + several),
            mask.view(shape + several),
            known,
            ends.reshape(shape),
            assets.reshape(shape),
            strict=True,
        )
        for step, parts in enumerate(steps):
            yield Batch(self.windows.gather(assets[step], ends[step]), *parts)


def _usable(windows: Windows) -> Tensor:
    """Where there is a window and a label."""
    resident = windows.resident
    labelled = resident.labelled if resident.labels.ndim == 2 else resident.labelled.any(-1)
    return resident.whole(windows.bars) & labelled


def _chances(
    resident: Resident, usable: Tensor, kind: str, places: Tensor, length: int
) -> Tensor | None:
    if resident.weights is None:
        return None
    counted = (resident.weights * usable).double()
    if kind == "windows":
        return torch.cumsum(counted.flatten()[places], 0)
    totals = torch.nn.functional.pad(torch.cumsum(counted.sum(dim=0), 0), (1, 0))
    return torch.cumsum(totals[places + length] - totals[places], 0)


def _runs(bars: Tensor, length: int) -> Tensor:
    """Where a run of `length` bars in the mask begins."""
    total = torch.cumsum(torch.nn.functional.pad(bars.long(), (1, 0)), 0)
    return (
        total[length:] - total[:-length] == length
        if len(bars) >= length > 0
        else torch.zeros(0, dtype=torch.bool, device=bars.device)
    )
