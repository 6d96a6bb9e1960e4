"""What a feature is: numbers at each bar and asset, made from that bar and the ones before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.data.panel import Panel
from gpuquant.device import Device
from gpuquant.errors import InputError
from gpuquant.shown import Shown

BLOCK = 1 << 23  # numbers of a feature that are computed at once


@dataclass(frozen=True)
class Feature(Shown):
    """The base of every feature.

    `compute(panel, device)` gives an array of shape (bars, assets, columns), of NumPy or of the
    device's library, NaN before `lookback` bars are known; row t may read bars up to t and no
    later. `columns` names the last axis.
    """

    abstract: ClassVar[bool] = True
    made_before: ClassVar[bool] = False  # its values cannot be made anew from fewer prices

    @property
    def lookback(self) -> int:
        """Bars needed before the first value."""
        raise NotImplementedError

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the last axis."""
        raise NotImplementedError

    def compute(self, panel: Panel, device: Device) -> Any:
        """Values, shape (bars, assets, columns)."""
        raise NotImplementedError

    def latest(self, panel: Panel, device: Device, count: int) -> Any:
        """The last `count` bars of `compute`, shape (count, assets, columns): a feature that
        takes long may do without the others.
        """
        return self.compute(panel, device)[-count:]

    def blocks(
        self, panel: Panel, device: Device, count: int | None = None
    ) -> Iterator[tuple[slice, Any]]:
        """The values of all bars, or of the last `count`, in blocks of assets: the assets of each
        block, and their values. Here it is one block.
        """
        everything = slice(0, len(panel.assets))
        if count is None:
            yield everything, self.compute(panel, device)
        else:
            yield everything, self.latest(panel, device, count)


@dataclass(frozen=True)
class PriceFeature(Feature):
    """The base of features made by indicators: `values(bars)` gives them from adjusted bars, which
    have no gaps, as an array of the bars' library. A value is unknown where the asset does not
    trade or does not belong to the universe.
    """

    abstract: ClassVar[bool] = True
    per_asset: ClassVar[bool] = True  # a value depends on its own asset's bars alone

    @property
    def memory(self) -> int | None:
        """Bars before a bar that its value depends on; None for all of them."""
        return self.lookback

    def values(self, bars: AdjustedBars) -> Any:
        """Values, shape (bars, assets, columns)."""
        raise NotImplementedError

    def compute(self, panel: Panel, device: Device) -> Any:
        return self._known(panel.adjusted_bars(device))

    def latest(self, panel: Panel, device: Device, count: int) -> Any:
        return self._known(self._needed(panel.adjusted_bars(device), count))[-count:]

    def _needed(self, bars: AdjustedBars, count: int) -> AdjustedBars:
        """The bars that the last `count` values depend on."""
        return bars if self.memory is None else bars.last(count + self.memory)

    def blocks(
        self, panel: Panel, device: Device, count: int | None = None
    ) -> Iterator[tuple[slice, Any]]:
        bars, assets = panel.adjusted_bars(device), len(panel.assets)
        if count is not None:
            bars = self._needed(bars, count)
        numbers = len(bars.close) * len(self.columns)
        step = max(1, BLOCK // numbers) if self.per_asset else assets
        for begin in range(0, assets, step):
            some = slice(begin, min(begin + step, assets))
            yield some, self._known(bars.of(some))[-(count or len(bars.close)) :]

    def _known(self, bars: AdjustedBars) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = self.values(bars)
        return np.where(bars.eligible[..., None] & np.isfinite(values), values, np.nan)


@dataclass(frozen=True)
class WindowFeature(PriceFeature):
    """The base of features with one column for each window: `of_window(bars, window)` gives it.

    A member says its `name`, the `fewest` bars of a window, and how many bars `before` a window
    its first value needs.
    """

    abstract: ClassVar[bool] = True
    name: ClassVar[str] = ""
    fewest: ClassVar[int] = 1
    before: ClassVar[int] = 0

    window: int | Sequence[int] = 21

    def __post_init__(self) -> None:
        for window in self.windows:
            bars(window, f"{type(self).__name__} window", self.fewest)

    @property
    def windows(self) -> tuple[int, ...]:
        """Every window."""
        return tuple(self.window) if isinstance(self.window, Iterable) else (self.window,)

    @property
    def lookback(self) -> int:
        return max(self.windows) - 1 + self.before

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"{self.name}_{window}" for window in self.windows)

    def of_window(self, bars: AdjustedBars, window: int) -> Any:
        """The column of a window, shape (bars, assets)."""
        raise NotImplementedError

    def values(self, bars: AdjustedBars) -> Any:
        return stacked(self.of_window(bars, window) for window in self.windows)


def stacked(columns: Iterable[Any]) -> Any:
    """Columns of shape (bars, assets) side by side."""
    return np.stack(list(columns), axis=2)


def yearly(bars: AdjustedBars, periods: float | None) -> float:
    """Bars a year: as said, or as the dates have it; NaN where they do not tell."""
    return bars.periods if periods is None else periods


def log_returns(panel: Panel) -> np.ndarray:
    """Log return of each bar, splits, dividends and delistings counted, shape (bars, assets);
    zero at a bar at which the asset does not trade, NaN up to its first close.
    """
    out = np.full(panel.close.shape, np.nan)
    out[1:] = np.diff(np.log(panel.total_return), axis=0)
    return out


def bars(value: Any, name: str, low: int = 1) -> None:
    """Refuse a window that is not a whole number of bars."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
        raise InputError(f"{name} = {value!r}: must be a whole number of bars >= {low}")
