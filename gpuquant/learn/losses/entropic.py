"""The entropic risk as a loss: exponential utility."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gpuquant.data.arguments import scalar
from gpuquant.learn.losses.positions import Positions


@dataclass(frozen=True)
class Entropic(Positions):
    """log(mean exp(-a p)) / a, the certain amount that a trader with exponential utility would pay
    to be rid of the profits p; about a / 2 var(p) - mean(p).

    Parameters
    ----------
    risk_aversion : float
        a, in one over the unit of profits; > 0.

    References
    ----------
    Buehler, Gonon, Teichmann and Wood (2019), section 3.3; Foellmer and Schied (2016), example
    4.34.

    Examples
    --------
    >>> import torch
    >>> from gpuquant import learn
    >>> profit, all_of_them = torch.tensor([1.0, -1.0]), torch.tensor([True, True])
    >>> loss = learn.losses.Entropic(risk_aversion=0.1)
    >>> round(float(loss.of(profit, all_of_them)), 4)
    0.0499
    """

    abstract: ClassVar[bool] = False

    risk_aversion: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        scalar("Entropic risk_aversion", self.risk_aversion)

    def of(self, profit: Tensor, mask: Tensor) -> Tensor:
        """The risk of profits."""
        exponent = torch.where(mask, -self.risk_aversion * profit, -math.inf)
        count = mask.sum().clamp(min=1).to(profit.dtype)
        return (torch.logsumexp(exponent.flatten(), 0) - torch.log(count)) / self.risk_aversion
