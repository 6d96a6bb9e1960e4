"""Which of three barriers a position meets first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuquant.errors import InputError
from gpuquant.indicators.series import whole
from gpuquant.learn.labels.holding import closes, holding, volatility
from gpuquant.shown import Shown


@dataclass(frozen=True)
class TripleBarrier(Shown):
    """What a position earns until it first closes beyond a barrier, or its time is up: 1 where the
    upper barrier comes first, -1 where the lower one does, else the share of the way that it has
    gone.

    The barriers lie `up` and `down` times volatility x sqrt(horizon) from the fill, volatility
    being that of a bar, known at the label's bar. A position is looked at at closes.

    Parameters
    ----------
    horizon : int
        Bars after the fill.
    up, down : float
        Distances of the barriers; > 0.
    window : int
        Bars of the volatility; >= 2.

    References
    ----------
    Lopez de Prado (2018), section 3.4.
    """

    horizon: int = 21
    up: float = 1.0
    down: float = 1.0
    window: int = 21
    BARRIERS: ClassVar[tuple[str, str]] = ("up", "down")

    def __post_init__(self) -> None:
        whole(self.horizon, "horizon")
        for name in self.BARRIERS:
            if not getattr(self, name) > 0.0:
                raise InputError(f"TripleBarrier {name} = {getattr(self, name)!r}: must be > 0")

    def of(self, prices: Any) -> np.ndarray:
        """The label of each bar and asset."""
        return self._touched(prices)[0]

    def spans(self, prices: Any) -> np.ndarray:
        """Bars after its bar at which each label is decided; NaN where there is none."""
        return self._touched(prices)[1]

    def _touched(self, prices: Any) -> tuple[np.ndarray, np.ndarray]:
        value, paid, tradable = holding(prices)
        close = closes(prices)
        unit = volatility(prices, self.window) * np.sqrt(self.horizon)
        out, span = np.full(value.shape, np.nan), np.full(value.shape, np.nan)
        last = len(value) - 1 - self.horizon  # of the bars whose label is decided
        if last < 1:
            return out, span
        entry, scale = value[1 : last + 1], unit[:last]
        open_ = tradable[1 : last + 1] & np.isfinite(scale) & (scale > 0.0)
        decided = np.zeros(entry.shape, bool)
        with np.errstate(divide="ignore", invalid="ignore"):
            for k in range(self.horizon + 1):
                there = slice(1 + k, last + 1 + k)
                earned = (close[there] + paid[there] - paid[1 : last + 1]) / entry - 1.0
                way = np.where(earned > 0.0, earned / self.up, earned / self.down) / scale
                met = ~decided & ((np.abs(way) >= 1.0) | (k == self.horizon))
                out[:last][met] = np.clip(way, -1.0, 1.0)[met]
                span[:last][met] = 1.0 + k
                decided |= met
        out[:last][~open_] = np.nan
        span[:last][~open_] = np.nan
        return out, span
