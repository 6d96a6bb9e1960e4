"""How a network is trained, and how its training went."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from gpuquant.data.arguments import scalar, whole_number
from gpuquant.errors import InputError
from gpuquant.shown import Shown

SCHEDULES = ("one_cycle", "cosine", "constant")
ENGINES = ("auto", "sequential", "vmap", "compiled", "cuda_graph")
PARALLEL = ("members", "data", "sharded")
PRECISIONS = ("float32", "bfloat16")
USUAL_RATE, USUAL_DECAY = 3e-3, 0.01


@dataclass(frozen=True)
class TrainingConfig(Shown):
    """How a network is trained.

    Parameters
    ----------
    steps : int
        Optimiser steps, at most.
    batch_windows : int
        Windows of a batch, about: a loss over the assets of a bar takes whole bars, one over time
        whole runs, four at least.
    sequence_length : int
        Bars of a run.
    learning_rate, weight_decay : float, optional
        Of AdamW; the learning rate is the peak of its schedule. By default what the network asks
        for by attributes of these names, else 0.003 and 0.01.
    schedule : str
        one_cycle, cosine or constant.
    max_grad_norm : float, optional
        A member's gradient is shortened to this length.
    validation : float
        Share of a fold's training bars, the last ones, that only judge: training keeps the weights
        with the least loss on them. Bars whose labels reach into them do not train.
    patience : int
        Judgements without a new best after which a member's training ends.
    judge_every : int
        Steps between two judgements.
    microbatch : int, optional
        Days (of a batch of windows: windows) of a batch that pass the network at once; by default
        as many as memory holds. The loss sees the whole batch, and gradients are exact; a
        BatchNorm sees its part.
    precision : str
        float32, or bfloat16 for the products of matrices; weights and optimiser stay in 32 bits.
    engine : str
        How members run: sequential (one after the other), vmap (many as one program), compiled
        (sequential, by torch.compile), cuda_graph (on a GPU, vmap recorded once and replayed), or
        auto: the fastest in a short measurement, but for `compiled`, whose compilation takes longer
        than most trainings. The choice is kept on disk, so that a machine repeats its bits.

    parallel : str
        How several processes share a training, see `launch` of `Learner.fit`: members (each trains
        its own seeds and folds), data (each passes some days of every batch of one network) or
        sharded (each also holds only a part of the network, its gradients and its optimiser).
    recompute : bool
        The activations inside each block of the network (an element of its `nn.ModuleList`s) are
        recomputed for the gradient, rather than kept.

    References
    ----------
    Loshchilov and Hutter (2019), for AdamW; Smith and Topin (2019), for the one-cycle schedule.
    """

    steps: int = 300
    batch_windows: int = 2048
    sequence_length: int = 63
    learning_rate: float | None = None
    weight_decay: float | None = None
    schedule: str = "one_cycle"
    max_grad_norm: float | None = None
    validation: float = 0.0
    patience: int = 5
    judge_every: int = 20
    microbatch: int | None = None
    precision: str = "float32"
    engine: str = "auto"
    parallel: str = "members"
    recompute: bool = False

    def __post_init__(self) -> None:
        for name, low in (
            ("steps", 1),
            ("batch_windows", 1),
            ("sequence_length", 2),
            ("patience", 1),
            ("judge_every", 1),
        ):
            whole_number(f"TrainingConfig {name}", getattr(self, name), low)
        if self.learning_rate is not None:
            scalar("TrainingConfig learning_rate", self.learning_rate)
        scalar("TrainingConfig validation", self.validation, high=0.9, closed=True)
        if self.weight_decay is not None:
            scalar("TrainingConfig weight_decay", self.weight_decay, closed=True)
        if self.max_grad_norm is not None:
            scalar("TrainingConfig max_grad_norm", self.max_grad_norm)
        if self.microbatch is not None:
            whole_number("TrainingConfig microbatch", self.microbatch)
        for name, choices in (
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
            ("engine", ENGINES),
            ("parallel", PARALLEL),
        ):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"TrainingConfig {name} = {getattr(self, name)!r}: must be {', '.join(choices)}"
                )

    def undecayed(self) -> TrainingConfig:
        """Without the weight decay that a network asks for where signals are weak."""
        return self if self.weight_decay is not None else replace(self, weight_decay=0.0)

    def unjudged(self, owner: str) -> None:
        """Refuse samples set aside to judge, where training has none."""
        if self.validation:
            raise InputError(
                f"{owner} training: validation = {self.validation}: must be 0; judge by other data"
            )

    def rates(self, network: Any) -> tuple[float, float]:
        """The learning rate and the weight decay that a network trains with."""
        rate, decay = self.learning_rate, self.weight_decay
        return (
            float(getattr(network, "learning_rate", USUAL_RATE) if rate is None else rate),
            float(getattr(network, "weight_decay", USUAL_DECAY) if decay is None else decay),
        )

    def schedule_of(self, rate: float) -> list[float]:
        """The learning rate of each step, whose peak is `rate`."""
        optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], rate)
        kinds, result = torch.optim.lr_scheduler, []
        schedule: Any = kinds.ConstantLR(optimiser, factor=1.0)
        if self.schedule == "one_cycle":
            schedule = kinds.OneCycleLR(
                optimiser, rate, total_steps=self.steps, cycle_momentum=False
            )
        elif self.schedule == "cosine":
            schedule = kinds.CosineAnnealingLR(optimiser, self.steps)
        for _ in range(self.steps):
            result.append(float(optimiser.param_groups[0]["lr"]))
            optimiser.step()
            if len(result) < self.steps:
                schedule.step()
        return result


@dataclass(frozen=True)
class History(Shown):
    """How training went.

    Attributes
    ----------
    loss : array, shape (members, steps)
        Of each batch; NaN after a member's end.
    validation : array, shape (members, judgements)
    engine : str
        How its members ran, such as "sequential" or "vmap of 8".
    device : str
        Of torch, where they ran.
    reason : str
        Why there: what was measured.
    """

    loss: np.ndarray
    validation: np.ndarray
    engine: str
    device: str = "cpu"
    reason: str = ""
