"""Volatility target: weights scaled so that the book's recent volatility equals the target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuquant.data.arguments import scalar, whole_number
from gpuquant.data.calendar import TRADING_DAYS
from gpuquant.sizing.base import Sizing


@dataclass(frozen=True)
class VolatilityTarget(Sizing):
    """tanh(forecast) divided by each asset's volatility, then scaled to a volatility of the whole
    book with a cap on gross exposure.

    At each bar the book's volatility is computed from the new weights and the returns of the last
    `window` bars, so that correlations count. An asset without a price at a bar keeps its weight.

    Parameters
    ----------
    target : float
        Annual volatility of the book; > 0.
    max_gross : float
        Largest sum of absolute weights; > 0.
    window : int
        Bars of returns.
    smooth : float
        Share of the way from the previous bar's weights to the new ones, within (0, 1]; a smaller
        share trades less.

    References
    ----------
    Moskowitz, Ooi and Pedersen (2012), section 2.3.
    """

    target: float = 0.10
    max_gross: float = 1.0
    window: int = 63
    smooth: float = 0.1

    def __post_init__(self) -> None:
        for name, high in (("target", np.inf), ("max_gross", np.inf), ("smooth", 1.0)):
            scalar(f"VolatilityTarget {name}", getattr(self, name), high=high)
        whole_number("VolatilityTarget window", self.window, 2)

    def size(
        self, forecast: np.ndarray, close: np.ndarray, periods: float = TRADING_DAYS
    ) -> np.ndarray:
        returns = last_returns(close)
        wish = np.tanh(np.nan_to_num(forecast))
        trades = np.isfinite(close)
        out = np.full(forecast.shape, np.nan)
        held = np.zeros(forecast.shape[1])
        for t in np.flatnonzero(np.isfinite(forecast).any(axis=1)):
            recent = returns[max(t - self.window + 1, 1) : t + 1]
            if len(recent) < 2:
                continue
            deviation = recent.std(axis=0)
            raw = np.where(deviation > 0, wish[t] / np.where(deviation > 0, deviation, 1.0), 0.0)
            book = float((recent @ raw).std()) * np.sqrt(periods)
            wanted = raw * (self.target / book if book > 0 else 0.0)
            wanted *= min(1.0, self.max_gross / max(np.abs(wanted).sum(), 1e-300))
            held = np.where(trades[t], held + self.smooth * (wanted - held), held)
            out[t] = held
        return out


def last_returns(close: np.ndarray) -> np.ndarray:
    """Return of each bar from the last close before it, shape (bars, assets); zero at a bar without
    a close and before the second.
    """
    known = np.isfinite(close)
    last = np.maximum.accumulate(np.where(known, np.arange(len(close))[:, None], 0), axis=0)
    filled = np.take_along_axis(close, last, axis=0)
    out = np.zeros(close.shape)
    out[1:] = filled[1:] / filled[:-1] - 1.0
    return np.nan_to_num(out)
