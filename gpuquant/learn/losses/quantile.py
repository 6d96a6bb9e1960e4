"""The pinball loss of quantiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gpuquant.errors import InputError
from gpuquant.learn.losses.base import Loss, constant, mean_where


@dataclass(frozen=True)
class Quantile(Loss):
    """mean max(q e, (q - 1) e) with e = label - output, over all levels q; a network needs one
    output for each level.

    The forecast is the output of the level nearest to one half.

    Parameters
    ----------
    levels : tuple of float
        Increasing, within (0, 1).

    References
    ----------
    Koenker and Bassett (1978), equation 2.
    """

    standardise: ClassVar[bool] = True
    one_output: ClassVar[bool] = False

    levels: tuple[float, ...] = (0.1, 0.5, 0.9)

    def __post_init__(self) -> None:
        levels = tuple(self.levels)
        if not levels or any(not 0.0 < q < 1.0 for q in levels) or sorted(set(levels)) != [*levels]:
            raise InputError(f"Quantile levels = {self.levels!r}: must increase within 0 and 1")
        object.__setattr__(self, "levels", levels)

    def __call__(self, outputs: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        several(outputs, len(self.levels), "Quantile")
        levels = constant(self.levels, outputs.dtype, outputs.device)
        error = labels[..., None] - outputs
        return mean_where(torch.maximum(levels * error, (levels - 1.0) * error).mean(-1), mask)

    def forecast(self, outputs: Tensor) -> Tensor:
        middle = min(range(len(self.levels)), key=lambda k: abs(self.levels[k] - 0.5))
        return outputs[..., middle]


def several(outputs: Tensor, count: int, loss: str) -> None:
    """Refuse outputs that are not `count` for each asset."""
    if outputs.ndim < 4 or outputs.shape[-1] != count:
        given = outputs.shape[-1] if outputs.ndim > 3 else 1
        raise InputError(
            f"{loss} needs {count} outputs for each asset; the network gives {given}: "
            f"MLP(outputs={count}), for one"
        )
