"""What a feature is: numbers at each bar and asset, made from that bar and the ones before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuquant.data.panel import Panel
from gpuquant.device import Device
from gpuquant.errors import InputError
from gpuquant.shown import Shown


@dataclass(frozen=True)
class Feature(Shown):
    """The base of every feature.

    `compute(panel, device)` gives an array of shape (bars, assets, columns), NaN before `lookback`
    bars are known; row t may read bars up to t and no later. `columns` names the last axis.
    """

    abstract: ClassVar[bool] = True

    @property
    def lookback(self) -> int:
        """Bars needed before the first value."""
        raise NotImplementedError

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the last axis."""
        raise NotImplementedError

    def compute(self, panel: Panel, device: Device) -> np.ndarray:
        """Values, shape (bars, assets, columns)."""
        raise NotImplementedError

    def latest(self, panel: Panel, device: Device, count: int) -> np.ndarray:
        """The last `count` bars of `compute`, shape (count, assets, columns): a feature that
        takes long may do without the others.
        """
        return self.compute(panel, device)[-count:]


def log_returns(panel: Panel) -> np.ndarray:
    """Log return of each bar, splits, dividends and delistings counted, shape (bars, assets);
    the first is NaN.
    """
    out = np.full(panel.close.shape, np.nan)
    out[1:] = np.diff(np.log(panel.total_return_index), axis=0)
    return out


def bars(value: Any, name: str, low: int = 1) -> None:
    """Refuse a window that is not a whole number of bars."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
        raise InputError(f"{name} = {value!r}: must be a whole number of bars >= {low}")
