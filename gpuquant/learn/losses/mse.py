"""The mean squared error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gpuquant.learn.losses.base import Loss, mean_where


@dataclass(frozen=True)
class MSE(Loss):
    """mean (output - label)^2; the forecast is the mean of the label given the features."""

    standardise: ClassVar[bool] = True

    def __call__(self, outputs: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        return mean_where((outputs - labels).square(), mask)
