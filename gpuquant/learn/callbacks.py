"""What a caller sees of training while it goes on.

A callback is any callable of an `Event`; where it returns True, training of these members ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpuquant.errors import InputError
from gpuquant.learn.distributed import Ranks
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
    """The callbacks of a program's training.

    Parameters
    ----------
    callbacks : sequence of callable
    parts : sequence of (int, range)
        The folds in the program, and the numbers of their members, in order.
    tick : callable, optional
        Told of each step.
    agreed : callable, optional
        Where several processes share the program: what the first says of the mask; the callbacks of
        the first alone are called.
    """

    callbacks: Sequence[Callback] = ()
    parts: Sequence[tuple[int, range]] = ((0, range(1)),)
    tick: Callable[[], None] | None = None
    agreed: Callable[[Tensor], Tensor] | None = None

    def tell(self, kind: str, step: int, loss: Tensor) -> Tensor | None:
        """Call all of them for each fold; the mask of members whose training one wants to end."""
        if self.tick is not None and kind == "step":
            self.tick()
        if not self.callbacks:
            return None
        ends = self._told(kind, step, loss)
        return ends if self.agreed is None else self.agreed(ends)

    def _told(self, kind: str, step: int, loss: Tensor) -> Tensor:
        ends, begin = torch.zeros(len(loss), dtype=torch.bool), 0
        if self.agreed is not None and Ranks.here().rank > 0:
            return ends
        for fold, members in self.parts:
            part = slice(begin, begin + len(members))
            event = Event(kind, fold, step, members, loss[part].clone())
            answers = [one(event) for one in self.callbacks]
            ends[part] = any(isinstance(one, bool | np.bool_) and bool(one) for one in answers)
            begin += len(members)
        return ends

    def name(self, place: int) -> str:
        """What the member at a place of the program is called."""
        for fold, members in self.parts:
            if place < len(members):
                return f"member {members[place]} of fold {fold}"
            place -= len(members)
        return f"member {place}"


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
