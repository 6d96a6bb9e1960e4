"""The expected shortfall as a loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gpuquant.data.arguments import scalar
from gpuquant.learn.losses.positions import Positions


@dataclass(frozen=True)
class ExpectedShortfall(Positions):
    """Minus the mean of the worst profits, those beyond the quantile `level` of losses.

    Parameters
    ----------
    level : float
        > 0 and <= 1; the worst share 1 - level counts, one profit at least.

    References
    ----------
    Acerbi and Tasche (2002), definition 2.6; Rockafellar and Uryasev (2000), theorem 1.

    Examples
    --------
    >>> import torch
    >>> from gpuquant import learn
    >>> profit = torch.tensor([3.0, -1.0, -3.0, 2.0])
    >>> loss = learn.losses.ExpectedShortfall(level=0.5)
    >>> float(loss.of(profit, torch.ones(4, dtype=torch.bool)))
    2.0
    """

    abstract: ClassVar[bool] = False

    level: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        scalar("ExpectedShortfall level", self.level, high=1.0)

    def of(self, profit: Tensor, mask: Tensor) -> Tensor:
        """The shortfall of profits."""
        losses = torch.where(mask, -profit, -math.inf).flatten()
        worst = torch.sort(losses, descending=True).values
        # a whole share, such as a tenth of ten, is not one more by the rounding of 1 - level
        count = (mask.sum().double() * (1.0 - self.level) - 1e-9).ceil().clamp(min=1)
        counted = torch.arange(len(worst), device=worst.device) < count
        outside = worst == -math.inf  # the mask
        return torch.where(counted & ~outside, worst, 0.0).sum() / count.to(worst.dtype)
