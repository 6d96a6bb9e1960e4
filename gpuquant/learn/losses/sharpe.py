"""The Sharpe ratio after costs as a loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from gpuquant.data.arguments import scalar
from gpuquant.learn.losses.base import Loss, mean_where


@dataclass(frozen=True)
class Sharpe(Loss):
    """Minus the Sharpe ratio per bar of all runs of a batch together, after costs of turnover.

    mean(p) / std(p) with p_t = sum_j w_tj r_tj - cost sum_j |w_tj - w_(t-1)j| and
    w = tanh(output) / assets: gross exposure is at most 1. The first bar of a run has no turnover.

    Parameters
    ----------
    cost : float, optional
        Of one unit of turnover; by default the costs that training is given.

    References
    ----------
    Moody and Saffell (2001), equation 8, for training on a ratio of performance.
    """

    batch: ClassVar[str] = "runs"

    cost: float | None = None

    def __post_init__(self) -> None:
        if self.cost is not None:
            scalar("Sharpe cost", self.cost, closed=True)

    def __call__(self, outputs: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        weights = torch.tanh(outputs) * mask / mask.sum(-1, keepdim=True).clamp(min=1)
        gross = (weights * labels).sum(-1)
        moved = (weights[..., 1:, :] - weights[..., :-1, :]).abs().sum(-1)
        net = gross - (self.cost or 0.0) * torch.nn.functional.pad(moved, (1, 0))
        invested = mask.any(-1)
        mean = mean_where(net, invested)
        return -mean / (mean_where((net - mean).square(), invested) + 1e-16).sqrt()

    def charged(self, cost: float) -> Loss:
        return replace(self, cost=cost) if self.cost is None else self

    def typical(self, forecast: Tensor) -> float:
        return 1.0  # the outputs are positions before the tanh
