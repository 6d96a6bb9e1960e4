"""The information coefficient as a loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gpuquant.learn.losses.base import Loss, mean_where


@dataclass(frozen=True)
class IC(Loss):
    """Minus the mean, over bars, of the correlation across assets of output and label.

    A bar counts if at least three assets have a label.
    """

    batch: ClassVar[str] = "bars"

    def __call__(self, outputs: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        x, y = centred(outputs, mask), centred(labels, mask)
        bottom = (x.square().sum(-1) * y.square().sum(-1) + 1e-24).sqrt()
        return -mean_where((x * y).sum(-1) / bottom, mask.sum(-1) >= 3)


def centred(values: Tensor, mask: Tensor) -> Tensor:
    """Values less their mean over the assets in the mask; zero outside."""
    count = mask.sum(-1, keepdim=True).clamp(min=1)
    return (values - (values * mask).sum(-1, keepdim=True) / count) * mask
