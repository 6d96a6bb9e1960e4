"""Windows: the features and labels of a panel, put on a device once. A batch is a vector of assets
and one of last bars; only `gather` copies features.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.utils.dlpack
from torch import Tensor

from gpuquant.device import Device
from gpuquant.device.traffic import crossed
from gpuquant.errors import DataError, DeviceUnavailable, InputError
from gpuquant.shown import Shown

CHUNK = 1 << 22  # numbers that are standardised or predicted at once
FARTHEST = 5.0  # deviations to which a feature is drawn in


def torch_device(device: Device) -> str:
    """The name that torch has for `device`.

    Raises
    ------
    DeviceUnavailable
        The device is a GPU and this torch has none.
    """
    if device.kind != "cuda":
        return "cpu"
    if not torch.cuda.is_available():
        raise DeviceUnavailable(
            f"networks cannot run on {device.name}: torch {torch.__version__} finds no "
            "GPU; install a torch built for CUDA, or ask for device='cpu'"
        )
    return device.name


@dataclass(frozen=True)
class Names(Shown):
    """What columns, bars and assets of samples are called; their numbers where nothing is said."""

    columns: tuple[str, ...] = ()
    dates: np.ndarray | None = None
    assets: tuple[str, ...] = ()

    def column(self, number: int) -> str:
        """The name of a column."""
        return self.columns[number] if self.columns else f"column {number}"

    def at(self, bar: int, asset: int) -> str:
        """The date and the asset of a sample."""
        date = f"bar {bar}" if self.dates is None else str(self.dates[bar])[:16]
        return f"{date}, {self.assets[asset] if self.assets else f'asset {asset}'}"


@dataclass(frozen=True)
class Samples(Shown):
    """What a learner learns from: features, and the labels of the same bars and assets.

    Parameters
    ----------
    features : array, shape (bars, assets, columns)
        Less `offset`; NaN where unknown; row t knows no bar after t. An array of 32 bits that is
        laid out asset by asset is not copied on its device.
    labels : array, shape (bars, assets) or (bars, assets, labels), optional
        NaN where there is none.
    weights : array, shape (bars, assets), optional
        Of the labels in training; >= 0.
    offset : array, shape (columns,), optional
        What the features are less.
    names : Names, optional
        Of columns, dates and assets, for messages.
    """

    features: Any
    labels: np.ndarray | None = None
    weights: np.ndarray | None = None
    offset: np.ndarray | None = None
    names: Names = field(default_factory=lambda: Names())
    _on: dict[str, Resident] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.features.ndim != 3:
            raise DataError(
                f"features have shape {self.features.shape}: must be (bars, assets, columns)"
            )
        shape = self.features.shape[:2]
        if self.labels is not None and (
            self.labels.shape[:2] != shape or self.labels.ndim not in (2, 3)
        ):
            raise DataError(f"labels have shape {self.labels.shape}: must be {shape}, or more")
        if self.weights is not None:
            self._check_weights(self.weights)

    def _check_weights(self, weights: np.ndarray) -> None:
        if weights.shape != self.features.shape[:2]:
            raise DataError(
                f"weights have shape {weights.shape}: must be {self.features.shape[:2]}"
            )
        wrong = ~(np.isfinite(weights) & (weights >= 0.0))
        if self.labels is not None:  # a weight counts where there is a label
            wrong &= np.isfinite(self.first_label)
        if wrong.any():
            row, asset = (int(k) for k in np.argwhere(wrong)[0])
            raise DataError(
                f"weights[{self.names.at(row, asset)}] = {float(weights[row, asset])!r}: "
                "must be finite and >= 0"
            )

    @property
    def first_label(self) -> np.ndarray:
        """The labels, shape (bars, assets); the first ones where there are several."""
        if self.labels is None:
            raise InputError("samples have no labels: Samples(features, labels)")
        return self.labels if self.labels.ndim == 2 else self.labels[..., 0]

    def on(self, device: str) -> Resident:
        """The samples on a device of torch; they go up the first time and stay."""
        if device not in self._on:
            self._on[device] = Resident.of(self, device)
        return self._on[device]


@dataclass(frozen=True)
class Resident(Shown):
    """Samples on a device.

    Parameters
    ----------
    features : Tensor, shape (assets, bars, columns)
        Less `offset`, which keeps large levels exact in 32 bits; unknown values are NaN.
    known : Tensor of bool, shape (assets, bars)
        Where every feature is known.
    labels : Tensor, shape (assets, bars) or (assets, bars, labels)
        Zero where there is none.
    labelled : Tensor of bool, of that shape
    weights : Tensor, shape (assets, bars), optional
        Of the labels.
    offset : Tensor, shape (columns,)
    names : Names
    """

    features: Tensor
    known: Tensor
    labels: Tensor
    labelled: Tensor
    weights: Tensor | None
    offset: Tensor
    names: Names
    _whole: dict[int, Tensor] = field(default_factory=dict, init=False, compare=False, repr=False)

    @classmethod
    def of(cls, samples: Samples, device: str) -> Resident:
        """Put samples on a device; features that lie there already stay where they are."""
        shape = samples.features.shape[:2]
        features, offset = _features(samples, device)
        labels = np.full(shape, np.nan) if samples.labels is None else samples.labels
        y = _up(labels.swapaxes(0, 1), device)
        weights = samples.weights
        known = [torch.isfinite(features[j]).all(dim=1) for j in range(len(features))]
        return cls(
            features,
            torch.stack(known),
            torch.nan_to_num(y, nan=0.0, posinf=0.0, neginf=0.0),
            torch.isfinite(y),
            None if weights is None else torch.nan_to_num(_up(weights.T, device)),
            torch.from_numpy(offset).to(device),
            samples.names,
        )

    @cached_property
    def complete(self) -> bool:
        """Whether every feature is known everywhere."""
        return bool(self.known.all())

    @cached_property
    def digest(self) -> str:
        """A hash of all of them, by sums of their bits over the assets."""
        result = hashlib.sha256()
        for values in (self.features, self.labels, self.weights):
            if values is not None:
                bits = torch.zeros(values.shape[1:], dtype=torch.int64, device=values.device)
                for k, one in enumerate(values):
                    bits += one.contiguous().view(torch.int32).long() * (2 * k + 1)
                result.update(bits.cpu().numpy().tobytes())
        return result.hexdigest()

    def whole(self, bars: int) -> Tensor:
        """Where a window of `bars` bars can end, shape (assets, bars): the bar's features are
        known, and the window begins no earlier than the first bar at which the asset's were.
        """
        if bars in self._whole:
            return self._whole[bars]
        seen = torch.cumsum(self.known, dim=1) > 0
        begun = torch.zeros_like(seen)
        begun[:, bars - 1 :] = seen[:, : max(seen.shape[1] - bars + 1, 0)]
        self._whole[bars] = self.known & begun
        return self._whole[bars]


def _features(samples: Samples, device: str) -> tuple[Tensor, np.ndarray]:
    """Features of shape (assets, bars, columns) in 32 bits, and what they are less."""
    given = samples.features
    offset = np.zeros(given.shape[2]) if samples.offset is None else samples.offset
    if not isinstance(given, np.ndarray):  # an array on a GPU
        return torch.utils.dlpack.from_dlpack(given.transpose(1, 0, 2)).to(
            device
        ).contiguous(), offset
    if given.dtype == np.float32:
        features = torch.from_numpy(np.ascontiguousarray(given.transpose(1, 0, 2)))
    else:  # large levels stay exact where the first known value is taken off first
        finite = np.isfinite(given).reshape(-1, given.shape[2])
        first = given.reshape(-1, given.shape[2])[finite.argmax(axis=0), np.arange(given.shape[2])]
        first = np.nan_to_num(first)
        features = torch.empty((given.shape[1], given.shape[0], given.shape[2]))
        for j in range(len(features)):
            features[j] = torch.from_numpy(given[:, j] - first)
        offset = offset + first
    crossed("up", "features", features.nbytes)
    return features.to(device), offset


def _up(values: np.ndarray, device: str) -> Tensor:
    """A table of labels or weights on a device, in 32 bits."""
    tensor = torch.from_numpy(np.ascontiguousarray(values, np.float32))
    crossed("up", "labels", tensor.nbytes)
    return tensor.to(device)


@dataclass(frozen=True)
class Standardizer(Shown):
    """Mean and deviation of each feature over the training bars, shape (columns,); of several folds
    (folds, columns).
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, resident: Resident, rows: np.ndarray) -> Standardizer:
        """Learnt from the training `rows` alone, where every feature is known."""
        where = torch.zeros(resident.known.shape[1], dtype=torch.bool)
        where[torch.from_numpy(rows)] = True
        use = resident.known & where.to(resident.known.device)
        count = int(use.sum())
        if not count:
            raise DataError(
                "no training bar has every feature: the history is shorter than the "
                "features' lookback"
            )
        bars, columns = resident.features.shape[1:]
        step = max(1, CHUNK // max(bars * columns, 1))
        parts = [slice(k, k + step) for k in range(0, len(use), step)]
        mean = sum(_total(resident.features[p], use[p]) for p in parts) / count
        away = torch.as_tensor(mean).float()
        squares = sum(_total((resident.features[p] - away).square(), use[p]) for p in parts)
        # squares are about the mean rounded to 32 bits; the square of that rounding is taken off
        deviation = torch.sqrt(torch.as_tensor(squares) / count - (mean - away.double()).square())
        return cls(
            (mean + resident.offset).cpu().numpy(),
            torch.where(deviation > 0, deviation, 1.0).cpu().numpy(),
        )

    @classmethod
    def stacked(cls, scales: Sequence[Standardizer]) -> Standardizer:
        """Those of several folds."""
        return cls(
            np.stack([one.mean for one in scales]), np.stack([one.deviation for one in scales])
        )


def _total(values: Tensor, where: Tensor) -> Tensor:
    """The sum of the values of each column in a mask, in 64 bits."""
    return torch.where(where[..., None], values, 0.0).sum((0, 1), dtype=torch.float64)


@dataclass(frozen=True)
class Windows(Shown):
    """Windows of `bars` bars that end at any bar and asset, standardised as they are gathered, by
    one fold or by several.
    """

    resident: Resident
    scale: Standardizer
    bars: int
    _each: Tensor = field(init=False, repr=False)  # a view, overlapping: a window from each row on
    _shift: Tensor = field(init=False, repr=False)  # of every number of a window
    _factor: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        at = self.resident.features.device
        shift = torch.from_numpy(self.scale.mean).to(at) - self.resident.offset
        factor = torch.from_numpy(1.0 / self.scale.deviation).to(at)
        table = self.resident.features.flatten(0, 1)
        if len(table) < self.bars:
            table = torch.nn.functional.pad(table, (0, 0, 0, self.bars - len(table)))
        shape = (len(table) - self.bars + 1, self.bars * self.columns)
        object.__setattr__(self, "_each", table.as_strided(shape, (self.columns, 1)))
        object.__setattr__(self, "_shift", torch.cat([shift.float()] * self.bars, -1))
        object.__setattr__(self, "_factor", torch.cat([factor.float()] * self.bars, -1))

    @property
    def columns(self) -> int:
        """Features of a bar."""
        return self.resident.features.shape[2]

    def gather(self, assets: Tensor, ends: Tensor) -> Tensor:
        """Windows, shape (*batch, bars, columns), that end at bars `ends` of `assets`, both of
        shape (*batch,), whose first axis is that of several folds. Values beyond five deviations
        are drawn in to five; unknown ones are the mean, zero. A window that would begin before the
        first bar begins there: see `Resident.whole`.
        """
        first = (ends - (self.bars - 1)).clamp(min=0) + assets * self.resident.features.shape[1]
        first = first.clamp(max=len(self._each) - 1)  # where no history is as long as a window
        taken = self._each.index_select(0, first.flatten()).view(*first.shape, -1)
        of_fold = (*self._shift.shape[:-1], *[1] * (taken.ndim - self._shift.ndim), taken.shape[-1])
        taken.sub_(self._shift.view(of_fold)).mul_(self._factor.view(of_fold))  # a copy, our own
        if not self.resident.complete:
            taken.nan_to_num_(nan=0.0)
        return taken.clamp_(-FARTHEST, FARTHEST).view(*first.shape, self.bars, self.columns)
