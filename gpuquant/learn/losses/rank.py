"""A listwise loss of the order of assets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gpuquant.learn.losses.base import Loss, mean_where
from gpuquant.learn.losses.ic import centred


@dataclass(frozen=True)
class Rank(Loss):
    """The cross-entropy, over the assets of a bar, of softmax(label) and softmax(output).

    Labels are standardised across the assets of each bar, so that a quiet bar counts as much as a
    wild one.

    References
    ----------
    Cao, Qin, Liu, Tsai and Li (2007), "Learning to rank: from pairwise approach to listwise
    approach", equation 3 with the top-one probability.
    """

    batch: ClassVar[str] = "bars"

    def __call__(self, outputs: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        y = centred(labels, mask)
        count = mask.sum(-1, keepdim=True).clamp(min=1)
        y = y / (y.square().sum(-1, keepdim=True) / count + 1e-24).sqrt()
        hidden = torch.where(mask, 0.0, -1e9)
        wanted = torch.softmax(y + hidden, -1)
        told = torch.log_softmax(outputs + hidden, -1)
        return mean_where(-(wanted * told * mask).sum(-1), mask.sum(-1) >= 2)
