"""What a caller sees of training while it goes on.

A callback is any callable of an `Event`; where it returns True, training of these members ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gpuquant.errors import InputError
from gpuquant.shown import Shown


@dataclass(frozen=True)
class Event(Shown):
    """One moment of training.

    Attributes
    ----------
    kind : str
        step; judgement (on the bars that judge); or end (of these members in this fold).
    fold : int
    step : int
        Optimiser steps so far.
    members : range
        The numbers of the members that train.
    loss : Tensor, shape (members,)
        On the training device: reading it waits for a GPU.
    """

    kind: str
    fold: int
    step: int
    members: range
    loss: Tensor


Callback = Callable[[Event], Any]


@dataclass(frozen=True)
class Watch:
    """The callbacks of a fold's training."""

    callbacks: Sequence[Callback] = ()
    fold: int = 0

    def tell(self, kind: str, step: int, members: range, loss: Tensor) -> bool:
        """Call all of them, and say whether one wants to end."""
        event = Event(kind, self.fold, step, members, loss.detach())
        answers = [one(event) for one in self.callbacks]
        return any(answer is True for answer in answers)


class TensorBoard:
    """Writes losses for TensorBoard, one run for each fold and member; needs `tensorboard`.

    Parameters
    ----------
    folder : path
    every : int
        Steps between two points.
    """

    def __init__(self, folder: Any, every: int = 10) -> None:
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError as failure:
            raise InputError("TensorBoard needs the package tensorboard") from failure
        self.folder, self.every, self.make = folder, every, SummaryWriter
        self.writers: dict[tuple[int, int], Any] = {}

    def __call__(self, event: Event) -> None:
        """Write one event."""
        if event.kind == "step" and event.step % self.every:
            return
        for member, loss in zip(event.members, event.loss.tolist(), strict=True):
            run = event.fold, member
            if run not in self.writers:
                self.writers[run] = self.make(f"{self.folder}/fold-{run[0]}-member-{run[1]}")
            if event.kind != "end":
                self.writers[run].add_scalar(event.kind, loss, event.step)
            else:
                self.writers.pop(run).close()


class MLflow:
    """Logs losses to the active run of MLflow; needs `mlflow-skinny` or `mlflow`.

    Parameters
    ----------
    every : int
        Steps between two points.
    """

    def __init__(self, every: int = 10) -> None:
        try:
            import mlflow
        except ImportError as failure:
            raise InputError("MLflow needs the package mlflow-skinny or mlflow") from failure
        self.every, self.log = every, mlflow.log_metric

    def __call__(self, event: Event) -> None:
        """Log one event."""
        if event.kind == "end" or (event.kind == "step" and event.step % self.every):
            return
        for member, loss in zip(event.members, event.loss.tolist(), strict=True):
            self.log(f"fold {event.fold} member {member} {event.kind}", loss, step=event.step)
