"""Bars that are comparable over time, on a device: what indicators read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.device import Device
from gpuquant.errors import DataError

if TYPE_CHECKING:
    from gpuquant.data.adjustment import AdjustedPrices

PRICES = ("open", "high", "low")


@dataclass(frozen=True)
class AdjustedBars:
    """Prices adjusted for splits, dividends and delistings, each array of shape (bars, assets).

    At a bar at which an asset does not trade all prices are its last close, and its volume is 0. So
    a series has no gap from the asset's first bar on; before it, it is NaN.

    Attributes
    ----------
    close : array
        `Panel.total_return`.
    open, high, low : array or None
        Scaled as the close of their bar.
    volume : array or None
        In shares of the first bar.
    eligible : array of bool
        Where an asset trades and belongs to the universe.
    dates : datetime64 array, shape (bars,)
        In local time.
    periods : float
        Bars a year; NaN where the dates do not tell.
    """

    close: Any
    open: Any | None
    high: Any | None
    low: Any | None
    volume: Any | None
    eligible: Any
    dates: np.ndarray
    periods: float

    @classmethod
    def of_panel(cls, panel: AdjustedPrices, device: Device) -> AdjustedBars:
        """The bars of a panel; they go up once."""
        close, traded = panel.total_return, panel.tradable
        with np.errstate(invalid="ignore"):
            factor = close / panel.close
        fields: dict[str, Any] = dict.fromkeys((*PRICES, "volume"))
        for name in PRICES:
            raw = getattr(panel, name)
            if raw is not None:
                fields[name] = np.where(traded & np.isfinite(raw), raw * factor, close)
        if panel.volume is not None:
            shares = 1.0 if panel.shares is None else panel.shares
            units = np.where(traded, np.nan_to_num(panel.volume) / shares, 0.0)
            fields["volume"] = np.where(np.isfinite(close), units, np.nan)
        up = {
            name: None if array is None else device.put(array, name)
            for name, array in {
                "close": close,
                **fields,
                "eligible": panel.eligible,
            }.items()
        }
        return cls(dates=panel.clock, periods=panel.frequency.periods, **up)

    def field(self, name: str, user: str) -> Any:
        """A field that `user` needs."""
        values = getattr(self, name)
        if values is None:
            raise DataError(f"{user} needs the field {name!r}: the prices have none")
        return values

    def fields(self, user: str) -> tuple[Any, Any, Any, Any]:
        """Open, high, low and close, all of which `user` needs."""
        return *(self.field(name, user) for name in PRICES), self.close

    def market(self, values: Any) -> Any:
        """The mean over the eligible assets of a bar, for all assets, shape (bars, assets); NaN
        where an asset has no value, 0 where none is eligible.
        """
        known = self.eligible & np.isfinite(values)
        total = np.where(known, values, 0.0).sum(axis=1, keepdims=True)
        mean = total / np.maximum(known.sum(axis=1, keepdims=True), 1)
        return np.where(np.isfinite(values), mean, np.nan)

    def last(self, count: int) -> AdjustedBars:
        """The last `count` bars alone."""
        cut = {name: value[-count:] for name, value in self._arrays().items()}
        return replace(self, dates=self.dates[-count:], **cut)

    def of(self, assets: slice) -> AdjustedBars:
        """The bars of these assets alone."""
        return replace(self, **{name: value[:, assets] for name, value in self._arrays().items()})

    def _arrays(self) -> dict[str, Any]:
        """Every field of shape (bars, assets) that there is."""
        names = (*PRICES, "close", "volume", "eligible")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}
