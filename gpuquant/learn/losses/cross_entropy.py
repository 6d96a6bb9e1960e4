"""The cross-entropy of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gpuquant.errors import InputError
from gpuquant.learn.losses.base import Loss, constant, mean_where
from gpuquant.learn.losses.quantile import several


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """mean -log p(class of the label), with p the softmax of a network's outputs, one for each
    class.

    A label belongs to the class whose value is nearest. The forecast is the mean of the values
    under p.

    Parameters
    ----------
    values : tuple of float
        The label's value in each class, increasing.
    """

    one_output: ClassVar[bool] = False

    values: tuple[float, ...] = (-1.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        values = tuple(self.values)
        if len(values) < 2 or sorted(set(values)) != [*values]:
            raise InputError(f"CrossEntropy values = {self.values!r}: must be two or more, rising")
        object.__setattr__(self, "values", values)

    def __call__(self, outputs: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        several(outputs, len(self.values), "CrossEntropy")
        code = (labels[..., None] - self._values(outputs)).abs().argmin(-1, keepdim=True)
        chosen = torch.log_softmax(outputs, -1).gather(-1, code)[..., 0]
        return mean_where(-chosen, mask)

    def forecast(self, outputs: Tensor) -> Tensor:
        return (torch.softmax(outputs, -1) * self._values(outputs)).sum(-1)

    def _values(self, outputs: Tensor) -> Tensor:
        return constant(self.values, outputs.dtype, outputs.device)
