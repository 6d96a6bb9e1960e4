"""Trading with costs: a part of the way towards where the forecast will still point."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gpuquant.data.arguments import scalar, whole_number
from gpuquant.data.calendar import TRADING_DAYS
from gpuquant.sizing.base import Sizing
from gpuquant.sizing.volatility_target import last_returns


@dataclass(frozen=True)
class GarleanuPedersen(Sizing):
    """The positions that are best for a forecast that decays, under quadratic costs, for each asset
    by itself.

    They maximise the mean of x f - gamma / 2 sigma^2 x^2 - lambda / 2 sigma^2 (change of x)^2, for
    an expected return f that keeps a share 1 - phi from bar to bar:

        x_t = x_(t-1) + a / lambda (aim_t - x_(t-1)),
        aim_t = f_t / (gamma sigma^2 (1 + phi a / gamma)),
        a = (sqrt(gamma^2 + 4 gamma lambda) - gamma) / 2.

    Parameters
    ----------
    risk_aversion : float
        gamma, of equity; > 0.
    cost_aversion : float
        lambda: the cost of changing a weight by d is lambda / 2 sigma^2 d^2; > 0.
    decay : float
        phi, the share of a forecast that is gone after a bar; within [0, 1].
    typical_return : float
        Expected return per bar of a forecast of 1; > 0. A learner's is `size` times `unit` of its
        state.
    max_gross : float
        Largest sum of absolute weights; > 0.
    window : int
        Bars of returns for sigma, the volatility per bar.

    References
    ----------
    Garleanu and Pedersen (2013), propositions 1 and 2 and example 2, without discounting.

    Examples
    --------
    >>> import numpy as np
    >>> from gpuquant import sizing
    >>> close = np.cumprod(1.0 + np.tile([0.01, -0.01], 50))[:, None]
    >>> patient = sizing.GarleanuPedersen(typical_return=1e-4, decay=0.05)
    >>> weights = patient.size(np.ones((100, 1)), close)
    >>> bool(weights[40, 0] < weights[60, 0] < weights[99, 0])
    True
    """

    risk_aversion: float = 10.0
    cost_aversion: float = 50.0
    decay: float = 0.05
    typical_return: float = 1e-4
    max_gross: float = math.inf
    window: int = 63

    def __post_init__(self) -> None:
        for name in ("risk_aversion", "cost_aversion", "typical_return"):
            scalar(f"GarleanuPedersen {name}", getattr(self, name))
        scalar("GarleanuPedersen decay", self.decay, high=1.0, closed=True)
        if not self.max_gross > 0.0:
            scalar("GarleanuPedersen max_gross", self.max_gross)
        whole_number("GarleanuPedersen window", self.window, 2)

    @property
    def speed(self) -> float:
        """The share of the way to the aim that is traded at a bar, a / lambda."""
        return self._a / self.cost_aversion

    @property
    def _a(self) -> float:
        gamma = self.risk_aversion
        return 0.5 * (math.sqrt(gamma * (gamma + 4.0 * self.cost_aversion)) - gamma)

    def size(
        self, forecast: np.ndarray, close: np.ndarray, periods: float = TRADING_DAYS
    ) -> np.ndarray:
        returns, trades = last_returns(close), np.isfinite(close)
        patience = self.risk_aversion * (1.0 + self.decay * self._a / self.risk_aversion)
        out = np.full(forecast.shape, np.nan)
        held = np.zeros(forecast.shape[1])
        for t in np.flatnonzero(np.isfinite(forecast).any(axis=1)):
            recent = returns[max(t - self.window + 1, 1) : t + 1]
            if len(recent) < 2:
                continue
            variance = np.square(recent).mean(axis=0)
            expected = self.typical_return * np.nan_to_num(forecast[t])
            moves = variance > 0.0
            aim = np.where(moves, expected / np.where(moves, patience * variance, 1.0), 0.0)
            wanted = held + self.speed * (aim - held)
            wanted *= min(1.0, self.max_gross / max(np.abs(wanted).sum(), 1e-300))
            held = np.where(trades[t], wanted, held)
            out[t] = held
        return out
