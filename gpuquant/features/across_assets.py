"""The base of features that say where an asset stands among the others at a bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuquant.data.panel import Panel
from gpuquant.device import Device
from gpuquant.errors import InputError
from gpuquant.features.base import Feature


@dataclass(frozen=True)
class AcrossAssets(Feature):
    """The base of features that compare another feature's values across assets, bar by bar."""

    abstract: ClassVar[bool] = True
    name: ClassVar[str] = ""

    feature: Feature

    def __post_init__(self) -> None:
        if not isinstance(self.feature, Feature):
            raise InputError(
                f"{type(self).__name__} feature = {type(self.feature).__name__}: must be a feature"
            )

    @property
    def lookback(self) -> int:
        return self.feature.lookback

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"{self.name}_{column}" for column in self.feature.columns)

    def compared(self, values: Any, panel: Panel, device: Device) -> Any:
        """The values of some last bars, shape (bars, assets, columns), across assets."""
        raise NotImplementedError

    def compute(self, panel: Panel, device: Device) -> Any:
        return self.compared(self.feature.compute(panel, device), panel, device)

    def latest(self, panel: Panel, device: Device, count: int) -> Any:
        return self.compared(self.feature.latest(panel, device, count), panel, device)


def less_mean(values: Any, known: Any) -> Any:
    """Values less their mean across the known assets."""
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    return values - np.where(known, values, 0.0).sum(axis=1, keepdims=True) / count
