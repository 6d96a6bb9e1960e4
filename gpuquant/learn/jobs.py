"""Jobs: the work of training, seed by seed and fold by fold, and some of its members as a program
with its batches and its loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import vmap

from gpuquant.errors import InputError
from gpuquant.learn.batching import Batch, Batches, Choices
from gpuquant.learn.config import TrainingConfig
from gpuquant.learn.distributed import Ranks
from gpuquant.learn.losses.base import Loss
from gpuquant.learn.programs import Program, in_parts, program, recomputed
from gpuquant.learn.windows import Resident, Standardizer, Windows

VALIDATION_BATCHES = 8


@dataclass(frozen=True)
class Folds:
    """The folds that a learner is to train.

    Parameters
    ----------
    rows : sequence of int array
        The training bars of each.
    first : int
        Number of the first, from which seeds follow.
    cost : float
        Of one unit of turnover, where the loss counts it.
    start : Fitted, optional
        The model whose weights networks begin with.
    """

    rows: Sequence[np.ndarray]
    first: int = 0
    cost: float = 0.0
    start: Any = None


@dataclass(frozen=True)
class Task:
    """What training one fold needs.

    Parameters
    ----------
    number : int
    rows : int array
        Bars whose labels may be used.
    scale : Standardizer
    unit : array, shape (labels,)
        Labels are divided by it.
    seed : int
        Of its first member: of its network, its batches and its dropout; the others have the ones
        after it.
    make : callable
        The network of a member, by its number.
    """

    number: int
    rows: np.ndarray
    scale: Standardizer
    unit: np.ndarray
    seed: int
    make: Callable[[int], nn.Module]


@dataclass(frozen=True)
class Member:
    """A member of an ensemble: the place of its task, and its number."""

    task: int
    number: int


@dataclass(frozen=True, eq=False)
class Work:
    """All members of all folds, and how they train.

    Parameters
    ----------
    tasks : sequence of Task
        Of each fold.
    resident : Resident
    bars : int
        Of a window.
    count : int
        Members of a fold.
    loss : Loss
    config : TrainingConfig
    span : int
        Bars after a bar that its label looks at.
    ranks : Ranks
        The processes that share it.
    """

    tasks: Sequence[Task]
    resident: Resident
    bars: int
    count: int
    loss: Loss
    config: TrainingConfig
    span: int
    ranks: Ranks = field(default_factory=Ranks)
    choices: list[Choices] = field(init=False)
    judging: list[Choices] = field(init=False)
    across: bool = field(init=False)
    network: str = field(init=False)

    def __post_init__(self) -> None:
        network = self.tasks[0].make(0)
        across = bool(getattr(network, "cross_sectional", False))
        kind = "bars" if self.loss.batch == "windows" and across else self.loss.batch
        choices, judging = [], []
        for task in self.tasks:
            first, last = _split(task.rows, self.config.validation, self.span)
            windows = self.windows([task])
            how = (kind, self.config.batch_windows, self.config.sequence_length)
            choices.append(Choices.of(windows, first, *how))
            if len(last):
                judging.append(Choices.of(windows, last, *how))
        found = {"choices": choices, "judging": judging, "across": across}
        for name, value in (found | {"network": type(network).__name__}).items():
            object.__setattr__(self, name, value)

    @property
    def device(self) -> str:
        """Of torch."""
        return str(self.resident.features.device)

    @property
    def members(self) -> list[Member]:
        """All of them, fold by fold."""
        return [Member(k, number) for k in range(len(self.tasks)) for number in range(self.count)]

    def seed(self, member: Member) -> int:
        """Of a member's network, batches and dropout."""
        return self.tasks[member.task].seed + member.number

    def shape(self, member: Member) -> tuple[tuple[int, int], ...]:
        """Members of one shape fit into one program."""
        return tuple(some[member.task].shape for some in (self.choices, self.judging) if some)

    def windows(self, tasks: Sequence[Task]) -> Windows:
        """The windows of members, each standardised by the bars of its fold."""
        scale = Standardizer.stacked([task.scale for task in tasks])
        return Windows(self.resident, scale, self.bars)


class Job:
    """Some members as one program.

    Parameters
    ----------
    work : Work
    group : sequence of Member
        Of one shape.
    together : bool
        As one program for all of them; otherwise there is one.
    most : int, optional
        Days of a batch that pass the network at once.
    plain : bool
        For a look at the network: in this process alone, in 32 bits, and nothing recomputed.
    """

    def __init__(
        self,
        work: Work,
        group: Sequence[Member],
        together: bool,
        most: int | None = None,
        *,
        plain: bool = False,
    ) -> None:
        self.work, self.group, self.most = work, group, most or 1 << 62
        made = [work.tasks[one.task].make(one.number) for one in group]
        self.program: Program = (
            program(made, work.device, together=together)
            if plain
            else self._program(made, together)
        )
        self.tasks = [work.tasks[one.task] for one in group]
        self.autocast: AbstractContextManager[Any] = nullcontext()
        if work.config.precision == "bfloat16" and not plain:
            self.autocast = torch.autocast(torch.device(work.device).type, torch.bfloat16)

    def _program(self, networks: list[nn.Module], together: bool) -> Program:
        how, ranks = self.work.config, self.work.ranks
        if how.recompute:
            for network in networks:
                recomputed(network)
        if ranks.count == 1 or how.parallel == "members":
            return program(networks, self.work.device, together=together)
        from gpuquant.learn.parallel import Parallel

        most, self.most = self.most, 1 << 62  # the network's own affair
        sharded = how.parallel == "sharded"
        return Parallel(networks[0], self.work.device, ranks, sharded=sharded, most=most)

    @property
    def parts(self) -> list[tuple[int, range]]:
        """The folds and the numbers of their members, in order."""
        result: dict[int, list[int]] = {}
        for one in self.group:
            result.setdefault(self.work.tasks[one.task].number, []).append(one.number)
        return [(fold, range(own[0], own[-1] + 1)) for fold, own in result.items()]

    def stream(self, first: int) -> Iterator[Batch]:
        """Batches from a step on; each member has its own."""
        seeds = [self.work.seed(one) for one in self.group]
        return self._batches(self.work.choices).stream(seeds, first)

    def judged(self) -> Iterator[Batch]:
        """Batches that do not train: the same for all members of a fold."""
        seeds = [-1 - task.seed for task in self.tasks]
        return islice(self._batches(self.work.judging).stream(seeds), VALIDATION_BATCHES)

    def _batches(self, choices: Sequence[Choices]) -> Batches:
        units = torch.tensor(np.stack([task.unit for task in self.tasks]), dtype=torch.float32)
        return Batches(
            self.work.windows(self.tasks),
            [choices[one.task] for one in self.group],
            units.to(self.work.device),
        )

    def losses(self, batch: Batch) -> Tensor:
        """The loss of each member, shape (members,)."""
        loss, labels, mask = self.work.loss, batch.labels, batch.mask
        outputs = self.outputs(batch)
        if loss.one_output and labels.ndim == 4 and outputs.ndim > 4:
            raise InputError(
                f"the network gives {outputs.shape[-1]} outputs for each asset: the loss "
                f"{type(loss).__name__} needs one"
            )
        if not loss.vectorised or len(outputs) == 1:
            each = zip(outputs, labels, mask, strict=True)
            return torch.stack([loss(*one) for one in each])
        result: Tensor = vmap(loss)(outputs, labels, mask)
        return result

    def outputs(self, batch: Batch) -> Tensor:
        """What each member says of a batch, shape (members, runs, bars, assets), or with one more
        axis.
        """
        windows, known = batch.windows, batch.known
        if not self.work.across:  # assets of a day pass the network side by side or apart
            windows, known = windows.flatten(1, 2)[:, :, None], known.flatten(1)[:, :, None]
        with self.autocast:
            given = in_parts(self.program.forward, self.program.network, windows, known, self.most)
        given = given.float()
        more = given.shape[3:]
        return given.reshape(len(given), *batch.bars.shape[1:], *more)


def _split(rows: np.ndarray, share: float, span: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows that train, and the last ones, which judge."""
    if not share:
        return rows, rows[:0]
    cut = max(1, round(len(rows) * (1.0 - share)))
    last = rows[cut:]
    return (rows[:cut][rows[:cut] + span < last[0]], last) if len(last) else (rows, last)
