"""What a loss is: outputs, labels and a mask in, one number to minimise out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from gpuquant.errors import InputError, unknown
from gpuquant.family import members
from gpuquant.shown import Shown


@dataclass(frozen=True)
class Loss(Shown):
    """The base of every loss.

    `loss(outputs, labels, mask)` gives the number that training makes small. All three have the
    shape (runs, bars, assets); outputs have one more axis if the network has several outputs for
    each asset. Bars of a run are consecutive if `batch` is "runs". Where `mask` is False, labels
    are zero and nothing may depend on the output.

    Attributes
    ----------
    batch : str
        What a batch must hold: windows (any of them), bars (all assets of a bar) or runs (all
        assets of consecutive bars).
    standardise : bool
        Labels are divided by their deviation in the training rows.
    one_output : bool
        A network has one output for each asset and label.
    vectorised : bool
        All members are judged in one call of `torch.func.vmap`, which takes no index by a mask.
    """

    abstract: ClassVar[bool] = True
    batch: ClassVar[str] = "windows"
    standardise: ClassVar[bool] = False
    one_output: ClassVar[bool] = True
    vectorised: ClassVar[bool] = True

    def __call__(self, outputs: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        raise NotImplementedError

    def charged(self, cost: float) -> Loss:
        """The loss with the cost of one unit of turnover, where costs play a part."""
        return self

    def forecast(self, outputs: Tensor) -> Tensor:
        """One number per asset from its outputs."""
        return outputs

    def typical(self, forecast: Tensor) -> float:
        """The forecast that counts as one: the deviation over training rows."""
        size = float(forecast.std()) if forecast.numel() > 1 else 0.0
        return size if size > 0.0 else 1.0


@dataclass(frozen=True)
class _Callers(Loss):
    """A callable of the caller's as a loss: it gets runs of consecutive bars, and raw labels."""

    abstract: ClassVar[bool] = True
    batch: ClassVar[str] = "runs"
    one_output: ClassVar[bool] = False
    vectorised: ClassVar[bool] = False

    function: Any

    def __call__(self, outputs: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        result = self.function(outputs, labels, mask)
        if not isinstance(result, Tensor) or result.numel() != 1:
            raise InputError(
                f"loss = {self.function!r}: must give one number, a tensor of one element"
            )
        return result.reshape(())


@dataclass(frozen=True)
class _Several(Loss):
    """The mean of a loss over several labels, each with its share of the outputs; forecasts are of
    label `wanted`.
    """

    abstract: ClassVar[bool] = True

    each: Loss
    count: int
    wanted: int = 0

    def __post_init__(self) -> None:
        for name in ("batch", "standardise", "one_output", "vectorised"):
            object.__setattr__(self, name, getattr(self.each, name))

    def __call__(self, outputs: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        given = outputs.shape[-1] if outputs.ndim > 3 else 1
        if given % self.count or outputs.ndim < 4 or (self.one_output and given != self.count):
            raise InputError(
                f"{self.count} labels need as many outputs for each asset"
                f"{'' if self.one_output else ', or a multiple'}; the network gives {given}: "
                f"MLP(outputs={self.count}), for one"
            )
        parts = [
            self.each(self._of(outputs, k), labels[..., k], mask[..., k]) for k in range(self.count)
        ]
        return sum(parts[1:], parts[0]) / self.count

    def _of(self, outputs: Tensor, k: int) -> Tensor:
        """The outputs for label `k`."""
        part = outputs.reshape(*outputs.shape[:-1], self.count, -1)[..., k, :]
        return part[..., 0] if part.shape[-1] == 1 else part

    def charged(self, cost: float) -> Loss:
        return _Several(self.each.charged(cost), self.count, self.wanted)

    def forecast(self, outputs: Tensor) -> Tensor:
        return self.each.forecast(self._of(outputs, self.wanted))

    def typical(self, forecast: Tensor) -> float:
        return self.each.typical(forecast)


def several(loss: Any, count: int, wanted: int = 0) -> Loss:
    """The loss of so many labels, whose forecasts are of label `wanted`."""
    return find(loss) if count == 1 else _Several(find(loss), count, wanted)


def find(loss: Any) -> Loss:
    """A loss by its name (mse, ic, rank, sharpe, ...), itself, or around a callable."""
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        known = {
            re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower(): cls
            for name, cls in members(Loss, "gpuquant.learn.losses").items()
        }
        if loss not in known:
            raise unknown("loss", loss, known)
        made: Loss = known[loss]()
        return made
    if callable(loss) and not isinstance(loss, type):
        return _Callers(loss)
    raise InputError(
        f"loss = {loss!r}: must be a name, a loss such as learn.losses.Sharpe(cost=0.001), or a "
        "callable of (outputs, labels, mask)"
    )


@lru_cache(maxsize=64)
def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Numbers of a loss on a device, put there once: a copy in every step would wait for a GPU."""
    return torch.tensor(values, dtype=dtype, device=device)


def mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of the values in the mask; zero where it is empty."""
    return (values * mask).sum() / mask.sum().clamp(min=1)
