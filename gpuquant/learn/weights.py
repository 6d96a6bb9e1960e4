"""Weights of labels in training: how much each one adds to what the others say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gpuquant.errors import InputError
from gpuquant.shown import Shown


class Weights(Protocol):
    """What `Learner(weights=)` takes."""

    def of(self, labels: np.ndarray, spans: np.ndarray) -> np.ndarray:
        """The weight of each label, from the labels and the bars that each looks ahead."""


@dataclass(frozen=True)
class Uniqueness(Shown):
    """The mean, over the bars that a label looks at, of one over the number of labels of its asset
    that look at the bar.

    References
    ----------
    Lopez de Prado (2018), section 4.3.

    Examples
    --------
    >>> import numpy as np
    >>> from gpuquant.learn import weights
    >>> two = np.array([[0.1], [0.2], [np.nan], [np.nan]])
    >>> weights.Uniqueness().of(two, np.full((4, 1), 2.0))[:2, 0].tolist()
    [0.75, 0.75]
    """

    def of(self, labels: np.ndarray, spans: np.ndarray) -> np.ndarray:
        """The weight of each label."""
        bars = np.arange(len(labels))[:, None]
        known = np.isfinite(labels)
        first = np.minimum(bars + 1, len(labels))
        last = np.where(known, np.minimum(bars + np.nan_to_num(spans), len(labels) - 1), -1)
        ends = last.astype(int) + 1  # the label looks at bars first .. ends - 1
        steps = np.zeros((len(labels) + 1, labels.shape[1]))
        columns = np.broadcast_to(np.arange(labels.shape[1]), labels.shape)
        np.add.at(steps, (np.broadcast_to(first, labels.shape)[known], columns[known]), 1.0)
        np.add.at(steps, (ends[known], columns[known]), -1.0)
        count = np.cumsum(steps, axis=0)[:-1]
        share = np.cumsum(np.where(count > 0.0, 1.0 / np.maximum(count, 1.0), 0.0), axis=0)
        share = np.concatenate([np.zeros((1, labels.shape[1])), share])
        ends = np.maximum(ends, first)
        total = np.take_along_axis(share, ends, axis=0) - np.take_along_axis(
            share, np.broadcast_to(first, labels.shape), axis=0
        )
        return np.where(known, total / np.maximum(ends - first, 1), 0.0)


@dataclass(frozen=True)
class TimeDecay(Shown):
    """Half as much for every `half_life` bars that a label is older.

    Parameters
    ----------
    half_life : float
        Bars; > 0.
    """

    half_life: float = 500.0

    def __post_init__(self) -> None:
        if not self.half_life > 0.0:
            raise InputError(f"TimeDecay half_life = {self.half_life!r}: must be > 0 bars")

    def of(self, labels: np.ndarray, spans: np.ndarray) -> np.ndarray:
        """The weight of each label."""
        age = np.arange(len(labels))[::-1, None] / self.half_life
        return np.where(np.isfinite(labels), 0.5**age, 0.0)


def product(several: Any, labels: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """All weights multiplied."""
    out = np.ones(labels.shape)
    for one in several:
        out = out * one.of(labels, spans)
    return out
