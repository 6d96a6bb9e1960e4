"""Series derived from a panel's closes, splits, dividends and delistings: the total return, the
last known close, prices in whole ticks.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.data.calendar import Dated
from gpuquant.device import Device

EXACT = 2.0**53
LONGEST_WINDOW = 512  # a sum over this many bars, times as many, stays exact


class AdjustedPrices(Dated):
    """The base of a panel: prices that are comparable over time."""

    if TYPE_CHECKING:  # a panel has them as fields
        close: np.ndarray
        low: np.ndarray | None
        high: np.ndarray | None
        open: np.ndarray | None
        volume: np.ndarray | None
        splits: np.ndarray | None
        dividends: np.ndarray | None
        delistings: np.ndarray | None
        members: np.ndarray | None
        allow_halts: bool
        assets: tuple[str, ...]

        @property
        def bars(self) -> int:
            """Number of dates."""

        def extra_fields(self) -> dict[str, np.ndarray]:
            """What is known besides closes."""

    @cached_property
    def shares(self) -> np.ndarray | None:
        """How many shares one share of the first bar has become at each bar, shape (bars,
        assets); None where nothing splits.
        """
        return (
            None if self.splits is None else np.cumprod(np.nan_to_num(self.splits, nan=1.0), axis=0)
        )

    @property
    def tradable(self) -> np.ndarray:
        """Where an asset has a close, shape (bars, assets) of bool."""
        return np.isfinite(self.close)

    @property
    def eligible(self) -> np.ndarray:
        """Where an asset trades and belongs to the universe, shape (bars, assets) of bool."""
        return self.tradable if self.members is None else self.tradable & self.members

    @cached_property
    def listed(self) -> np.ndarray:
        """From the first close of an asset to the bar of its delisting, shape (bars, assets) of
        bool; to the end where no delisting is known.
        """
        begun = np.maximum.accumulate(self.tradable, axis=0)
        if self.delistings is None:
            return begun
        gone = np.maximum.accumulate(np.isfinite(self.delistings), axis=0)
        before = np.concatenate([np.zeros((1, gone.shape[1]), bool), gone[:-1]])
        return begun & ~before

    @cached_property
    def last_close(self) -> np.ndarray:
        """The latest close at or before each bar, restated for the splits since that close; NaN
        before the first close of an asset.
        """
        if not self.allow_halts:
            return self.close
        last = np.maximum.accumulate(
            np.where(np.isfinite(self.close), np.arange(self.bars)[:, None], -1), axis=0
        )
        result = np.take_along_axis(self._restated(self.close), np.maximum(last, 0), axis=0)
        return np.where(last >= 0, result if self.shares is None else result / self.shares, np.nan)

    def _restated(self, prices: np.ndarray) -> np.ndarray:
        """Prices times `shares`: the value of one share of the first bar. A split makes no jump,
        and a later split changes no earlier value.
        """
        return prices if self.shares is None else prices * self.shares

    @property
    def total_return_index(self) -> np.ndarray:
        """As `total_return`, but NaN at a bar without a close or a delisting of the asset."""
        return np.where(
            np.isfinite(self.close)
            | (False if self.delistings is None else np.isfinite(self.delistings)),
            self.total_return,
            np.nan,
        )

    @cached_property
    def total_return(self) -> np.ndarray:
        """Closes adjusted for splits, dividends and delistings, from the first close on, shape
        (bars, assets); at a halt, the last value.

        The series is the growth of a holding that reinvests each dividend at the close of its day.
        No later event changes an earlier value. Without such events it equals `last_close`.
        """
        if self.splits is None and self.delistings is None:
            return self.last_close
        last, columns = self.last_close, np.arange(len(self.assets))
        shares = np.ones(last.shape) if self.shares is None else self.shares
        began = np.argmax(np.isfinite(last), axis=0)
        gained: Any = np.ones(last.shape)
        if self.dividends is not None:
            splits = np.ones(last.shape) if self.splits is None else self.splits
            with np.errstate(invalid="ignore"):
                gained = 1.0 + np.nan_to_num(self.dividends) / (
                    np.nan_to_num(splits, nan=1.0) * last
                )
        if self.delistings is not None:
            gone = np.isfinite(self.delistings)
            gained = np.where(gone, 1.0 + np.nan_to_num(self.delistings), gained)
        since = np.arange(self.bars)[:, None] > began
        gained = np.cumprod(np.where(since & np.isfinite(gained), gained, 1.0), axis=0)
        # without dividends the factor is 1, and equal closes stay equal
        return last * (shares / shares[began, columns]) * gained

    def kernel_fields(self) -> dict[str, np.ndarray]:
        """The fields that a kernel reads besides closes and fills: the extra fields, `shares` if
        there are splits, and an `opening` price if there are highs and lows but no opens.

        The `opening` is the close before, restated for a split and moved to the nearest price in
        the range of the bar.
        """
        held = self.extra_fields()
        if self.shares is not None:
            held["shares"] = self.shares
        if {"high", "low"} <= set(held) and "open" not in held:
            before = np.concatenate([self.last_close[:1], self.last_close[:-1]])
            if self.splits is not None:
                before = before / np.nan_to_num(self.splits, nan=1.0)
            held["opening"] = np.clip(
                np.where(np.isfinite(before), before, held["low"]), held["low"], held["high"]
            )
        return held

    def adjusted_bars(self, device: Device) -> AdjustedBars:
        """The bars that indicators read, on a device; they go up the first time and stay."""
        if device.name not in self._bars_on:
            self._bars_on[device.name] = AdjustedBars.of_panel(self, device)
        return self._bars_on[device.name]

    @cached_property
    def _bars_on(self) -> dict[str, AdjustedBars]:
        return {}

    @cached_property
    def tick(self) -> tuple[Any, bool]:
        """The tick, and whether it is exact: the largest power of ten, at most 1, of which every
        close, restated for the splits before it, is a multiple; and True.

        If no such power keeps sums exact in float64, each asset's tick is 2^-26 of its first close,
        with False. Only signals use the rounded closes; this tick depends on no later price.
        """
        close = self._restated(self.close)
        highest = float(np.nanmax(close))
        there = np.isfinite(close)
        for digits in range(10):
            if highest * 10.0**digits * max(LONGEST_WINDOW**2, self.bars) >= EXACT:
                break
            scaled = close * 10.0**digits
            if (np.abs(scaled - np.rint(scaled)) <= 1e-15 * scaled)[there].all():
                return 10.0**-digits, True
        first = close[np.argmax(there, axis=0), np.arange(len(self.assets))]
        return np.where(np.isfinite(first), first, 1.0) * 2.0**-26, False

    @cached_property
    def ticks(self) -> np.ndarray:
        """Closes in whole ticks, restated for the splits before them, shape (bars, assets)."""
        return np.asarray(np.rint(self._restated(self.last_close) / self.tick[0]))

    @cached_property
    def max_ticks(self) -> float:
        """The highest close in whole ticks."""
        return float(np.nanmax(self.ticks, initial=0.0))
