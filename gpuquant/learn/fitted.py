"""What training one fold leaves, and its way back from a file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpuquant.errors import DataError
from gpuquant.learn import members
from gpuquant.learn.config import History
from gpuquant.learn.windows import Standardizer
from gpuquant.shown import Shown


@dataclass(frozen=True)
class Fitted(Shown):
    """What training one fold leaves.

    Attributes
    ----------
    scale : Standardizer
        Of the features.
    weights : dict of Tensor, optional
        Of a network: the weights of all members, each of shape (members, ...).
    models : list
        Fitted estimators of another library.
    size : float
        The typical output in the training rows: forecasts are in units of it.
    unit : float
        The deviation of the labels that an output of one stands for: a forecast times `size` times
        `unit` is the label that is expected.
    history : History, optional
        How a network's training went.
    others : array, shape (labels - 1, 2)
        Size and unit of further labels.
    """

    scale: Standardizer
    weights: dict[str, Tensor] | None = None
    models: list[Any] = field(default_factory=list)
    size: float = 1.0
    unit: float = 1.0
    history: History | None = None
    others: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))

    def units(self, label: int = 0) -> tuple[float, float]:
        """Size and unit of the forecasts of a label."""
        if label == 0:
            return self.size, self.unit
        size, unit = self.others[label - 1]
        return float(size), float(unit)

    def place(self, device: str) -> str:
        """A device of torch; `auto` is the one that it was trained on."""
        if device != "auto":
            return device
        return "cpu" if self.history is None else self.history.device

    @property
    def foreign(self) -> bool:
        """Whether its models are of another library."""
        return self.weights is None and not hasattr(self.models[0], "tensors")

    @property
    def members(self) -> list[Fitted]:
        """Each member of a network's ensemble by itself, in the same units."""
        weights = {} if self.weights is None else self.weights
        count = len(next(iter(weights.values()), ()))
        return [
            replace(self, weights={name: value[k : k + 1] for name, value in weights.items()})
            for k in range(count)
        ]

    def tensors(self) -> dict[str, Tensor]:
        """Everything as tensors, for a checkpoint, but for the `models` of another library."""
        learnt = self.weights
        if learnt is None:
            learnt = {} if self.foreign else self.models[0].tensors()
        return {
            **learnt,
            "scale.mean": torch.from_numpy(self.scale.mean),
            "scale.deviation": torch.from_numpy(self.scale.deviation),
            "scale.forecast": torch.tensor(
                [self.size, self.unit, *self.others.ravel()], dtype=torch.float64
            ),
        }


def restored(
    learner: Any, tensors: dict[str, Tensor], name: str, models: list[Any] | None = None
) -> Fitted:
    """The model of a fold from the tensors of `Fitted.tensors`, which must be of the learner's
    network, and from its models of another library.

    Raises
    ------
    DataError
        A tensor is missing, unknown, of another shape, or not finite. The message names the
        tensor.
    """
    ours = learner.is_network or hasattr(learner.estimator, "restored")
    if not ours and not models:
        raise DataError(f"{name}: {type(learner.estimator).__name__} has no models there")
    mean, deviation, units = (
        tensors.get(f"scale.{part}", torch.empty(0)) for part in ("mean", "deviation", "forecast")
    )
    if (
        not mean.is_floating_point()
        or not deviation.is_floating_point()
        or mean.ndim != 1
        or not len(mean)
        or mean.shape != deviation.shape
        or not bool((deviation > 0).all())
    ):
        raise DataError(
            f"{name}: scale.mean and scale.deviation must be of one length, the deviation > 0"
        )
    count = getattr(learner, "count", 1)
    if not units.is_floating_point() or units.shape != (2 * count,) or not bool((units > 0).all()):
        raise DataError(f"{name}: scale.forecast must be {2 * count} numbers > 0")
    scale = Standardizer(mean.double().numpy(), deviation.double().numpy())
    if models and not ours:
        return Fitted(scale, models=models, size=float(units[0]), unit=float(units[1]))
    if not learner.is_network:
        model = learner.estimator.restored(tensors, learner.window * len(mean), name)
        return Fitted(scale, models=[model], size=float(units[0]), unit=float(units[1]))
    shape = (learner.window, len(mean))
    weights = {key: value for key, value in tensors.items() if not key.startswith("scale.")}
    members.fitting(
        lambda: members.member(learner.estimator, shape, learner.seed),
        weights,
        learner.ensemble,
        name,
    )
    return Fitted(
        scale,
        weights=weights,
        size=float(units[0]),
        unit=float(units[1]),
        others=units[2:].numpy().reshape(-1, 2),
    )
