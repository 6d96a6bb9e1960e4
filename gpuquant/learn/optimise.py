"""The steps of training: what AdamW does, on which schedule, and when it stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpuquant.data.arguments import scalar, whole_number
from gpuquant.errors import DataError, InputError
from gpuquant.learn.callbacks import Watch
from gpuquant.learn.members import Single, Stack
from gpuquant.shown import Shown

SCHEDULES = ("one_cycle", "cosine", "constant")
USUAL_RATE, USUAL_DECAY = 3e-3, 0.01
CHECKED = 50  # steps between two looks at whether the loss is finite: a look waits for a GPU


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
        Judgements without a new best after which training ends.
    judge_every : int
        Steps between two judgements.

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
        if self.schedule not in SCHEDULES:
            raise InputError(
                f"TrainingConfig schedule = {self.schedule!r}: must be {', '.join(SCHEDULES)}"
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


@dataclass(frozen=True)
class History(Shown):
    """How training went.

    Attributes
    ----------
    loss : array, shape (members, steps)
        Of each batch; NaN after a member's end.
    validation : array, shape (members, judgements)
    engine : str
        stacked (all members as one program) or single (one after the other).
    """

    loss: np.ndarray
    validation: np.ndarray
    engine: str


def optimise(
    program: Single | Stack,
    stream: Callable[[torch.Generator], Iterator[Any]],
    losses: Callable[[Any], Tensor],
    config: TrainingConfig,
    seed: int,
    *,
    judged: Sequence[Any] = (),
    numbers: range = range(1),
    watch: Watch | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Train the members of these numbers; their losses by step, and on the batches that judge.

    Parameters
    ----------
    stream : callable
        Batches at random, without end, by a generator.
    losses : callable
        The loss of each member on a batch, shape (members,).
    judged : sequence
        Batches that do not train; the weights with the least loss on them are kept.
    """
    watch = Watch() if watch is None else watch
    count, first = len(numbers), numbers.start
    if not program.parameters:
        raise InputError("the network has no weights that training may change")
    device, (rate, decay) = program.parameters[0].device, config.rates(program.network)
    optimiser = torch.optim.AdamW(program.parameters, rate, weight_decay=decay)
    schedule = _schedule(optimiser, config, rate)
    generator = torch.Generator().manual_seed(seed)
    history = torch.full((count, config.steps), float("nan"), device=device)
    judgements: list[Tensor] = []
    best, waited = torch.full((count,), float("inf"), device=device), 0
    program.mode(training=True)
    for step, batch in zip(range(config.steps), stream(generator), strict=False):
        values = losses(batch)
        optimiser.zero_grad()
        torch.autograd.backward([values.sum()])
        if config.max_grad_norm is not None:
            program.clip(config.max_grad_norm)
        optimiser.step()
        schedule.step()
        history[:, step] = values.detach()
        ended = watch.tell("step", step + 1, numbers, values)
        if (step + 1) % CHECKED == 0:
            _check(history[:, : step + 1], first)
        if judged and ((step + 1) % config.judge_every == 0 or step + 1 == config.steps):
            program.mode(training=False)
            with torch.no_grad():
                judgements.append(torch.stack([losses(one) for one in judged]).mean(0))
            program.mode(training=True)
            better = judgements[-1] < best
            program.keep(better)
            best = torch.minimum(best, judgements[-1])
            waited = 0 if bool(better.any()) else waited + 1
            ended |= watch.tell("judgement", step + 1, numbers, judgements[-1])
        if ended or waited >= config.patience:
            break
    watch.tell("end", step + 1, numbers, values)
    _check(history[:, : step + 1], first)
    told = torch.stack(judgements, 1) if judgements else torch.empty(count, 0)
    return history.cpu().numpy(), told.cpu().numpy()


def _schedule(optimiser: torch.optim.Optimizer, config: TrainingConfig, rate: float) -> Any:
    kinds = torch.optim.lr_scheduler
    if config.schedule == "one_cycle":
        return kinds.OneCycleLR(optimiser, rate, total_steps=config.steps)
    if config.schedule == "cosine":
        return kinds.CosineAnnealingLR(optimiser, config.steps)
    return kinds.ConstantLR(optimiser, factor=1.0)


def _check(history: Tensor, first: int) -> None:
    """Refuse to go on with a loss that is not finite."""
    wrong = ~torch.isfinite(history)
    if bool(wrong.any()):
        step = int(wrong.any(dim=0).nonzero()[0])
        member = int(wrong[:, step].nonzero()[0])
        raise DataError(
            f"training: the loss of member {first + member} is {float(history[member, step])} at "
            f"step {step}: labels and features are finite, so the network or the loss is not; a "
            "smaller learning_rate or max_grad_norm=1.0 may help"
        )
