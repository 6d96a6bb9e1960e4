"""Sizing by what is expected and by how far it was from what came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuquant.data.arguments import scalar, whole_number
from gpuquant.data.calendar import TRADING_DAYS
from gpuquant.errors import InputError
from gpuquant.forecast import conformal_widths
from gpuquant.sizing.base import Sizing


@dataclass(frozen=True)
class Conformal(Sizing):
    """A fraction of Kelly's weight, with the error of forecasts in the place of volatility:

        weight_j = fraction m_j / s_j^2,  m_j = b_t f_j.

    b_t, the return per bar of a forecast of one, is the slope b of past returns on past forecasts,
    shrunk by its own error e to b max(0, 1 - (e / b)^2), and zero where it is negative: the less a
    forecast has been of use, the less is held, and nobody trades against it. s_j is half the width
    of the conformal interval of asset j for a return per bar; see `forecast.conformal_widths`. Bar
    t knows the returns that have ended by t.

    Parameters
    ----------
    fraction : float
        Of Kelly's weight; > 0.
    max_gross : float
        Largest sum of absolute weights; > 0.
    horizon : int
        Bars over which forecasts are compared with returns.
    level : float
        Share of errors within the width, within (0, 1); 0.683 is one deviation of a normal error.
    window : int
        Bars of past errors; a quarter of it is needed before anything is held.

    References
    ----------
    Kelly (1956), and Thorp (2006), section 7, for the weight; Vovk, Gammerman and Shafer (2005),
    section 2.2, for the width; James and Stein (1961), for the shrinkage.
    """

    fraction: float = 0.25
    max_gross: float = 1.0
    horizon: int = 1
    level: float = 0.683
    window: int = 252

    def __post_init__(self) -> None:
        for name in ("fraction", "max_gross"):
            scalar(f"Conformal {name}", getattr(self, name))
        scalar("Conformal level", self.level, high=1.0)
        for name, least in (("horizon", 1), ("window", 2)):
            whole_number(f"Conformal {name}", getattr(self, name), least)
        if self.level >= 1.0 or self.level * (1.0 + 1.0 / self.window) > 1.0:
            raise InputError(
                f"Conformal level = {self.level}, window = {self.window}: a width for this share "
                "of errors takes more of them"
            )

    def size(
        self, forecast: np.ndarray, close: np.ndarray, periods: float = TRADING_DAYS
    ) -> np.ndarray:
        ahead, span = self._returns(close), self.horizon + 1
        expected = self._slopes(forecast, ahead, span)[:, None] * forecast
        width = conformal_widths(
            expected, ahead, span, level=self.level, window=self.window, by_asset=True
        )
        # an error of a mean of h bars is smaller than that of one bar by the root of h
        variance = np.where(width > 0.0, width, np.nan) ** 2 * self.horizon
        weight = np.nan_to_num(self.fraction * expected / variance)
        gross = np.abs(weight).sum(axis=1, keepdims=True)
        weight *= np.minimum(1.0, self.max_gross / np.maximum(gross, 1e-300))
        return np.where(np.isfinite(forecast), weight, np.nan)

    def _returns(self, close: np.ndarray) -> np.ndarray:
        """The return per bar after a fill one bar later; NaN where it has not ended."""
        out = np.full(close.shape, np.nan)
        if len(close) > self.horizon + 1:
            entry, end = close[1 : -self.horizon], close[1 + self.horizon :]
            out[: -1 - self.horizon] = (end / entry - 1.0) / self.horizon
        return out

    def _slopes(self, forecast: np.ndarray, ahead: np.ndarray, span: int) -> np.ndarray:
        """The shrunk return per bar of a forecast of one, as each bar knows it."""
        known = np.isfinite(forecast) & np.isfinite(ahead)
        told, came = np.where(known, forecast, 0.0), np.where(known, ahead, 0.0)
        products, squares = (told * came).sum(axis=1), (told * told).sum(axis=1)
        out = np.zeros(len(forecast))
        for t in range(span, len(forecast)):
            past = slice(max(t - span - self.window + 1, 0), t - span + 1)
            total, dates = squares[past].sum(), int((squares[past] > 0.0).sum())
            if dates < max(self.window // 4, 2):
                continue
            slope = products[past].sum() / total
            # dates count as one each, and as many as overlap as one
            wrong = products[past] - slope * squares[past]
            error = np.square(wrong).sum() * self.horizon / total**2 * dates / (dates - 1)
            out[t] = slope * max(0.0, 1.0 - error / slope**2) if slope > 0.0 else 0.0
        return out
