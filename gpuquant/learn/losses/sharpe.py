"""The Sharpe ratio after costs as a loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gpuquant.learn.losses.base import mean_where
from gpuquant.learn.losses.positions import Positions


@dataclass(frozen=True)
class Sharpe(Positions):
    """Minus the Sharpe ratio per bar of all runs of a batch together, after costs of turnover:
    -mean(p) / std(p), of the profits p of `Positions`.

    References
    ----------
    Moody and Saffell (2001), equation 8, for training on a ratio of performance.
    """

    abstract: ClassVar[bool] = False
    cash_invariant: ClassVar[bool] = False

    def of(self, profit: Tensor, mask: Tensor) -> Tensor:
        """Minus the ratio of profits."""
        mean = mean_where(profit, mask)
        return -mean / (mean_where((profit - mean).square(), mask) + 1e-16).sqrt()
