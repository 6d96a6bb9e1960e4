"""What losses of positions share: the profit of a book whose weights a network gives."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from gpuquant.data.arguments import scalar
from gpuquant.learn.losses.base import Loss


@dataclass(frozen=True)
class Positions(Loss):
    """The base of losses of the return of each bar, after costs of turnover:

        p_t = sum_j w_tj r_tj - cost sum_j |w_tj - w_(t-1)j|,  w = tanh(output) / assets,

    so that gross exposure is at most 1. The first bar of a run has no turnover.

    Parameters
    ----------
    cost : float, optional
        Of one unit of turnover; by default the costs that training is given.
    """

    abstract: ClassVar[bool] = True
    batch: ClassVar[str] = "runs"
    cash_invariant: ClassVar[bool] = True  # with one unit more for sure, the loss is one less

    cost: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.cost is not None:
            scalar(f"{type(self).__name__} cost", self.cost, closed=True)

    def __call__(self, outputs: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        weights = torch.tanh(outputs) * mask / mask.sum(-1, keepdim=True).clamp(min=1)
        gross = (weights * labels).sum(-1)
        moved = (weights[..., 1:, :] - weights[..., :-1, :]).abs().sum(-1)
        net = gross - (self.cost or 0.0) * torch.nn.functional.pad(moved, (1, 0))
        return self.of(net, mask.any(-1))

    def of(self, profit: Tensor, mask: Tensor) -> Tensor:
        """The loss of profits, of those in the mask."""
        raise NotImplementedError

    def charged(self, cost: float) -> Self:
        return replace(self, cost=cost) if self.cost is None else self

    def typical(self, forecast: Tensor) -> float:
        return 1.0  # the outputs are positions before the tanh
