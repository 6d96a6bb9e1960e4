"""Training: seeds x folds, put together into programs by an engine, each trained to its end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpuquant.learn import engines, members
from gpuquant.learn.callbacks import Callback, Watch
from gpuquant.learn.config import History
from gpuquant.learn.distributed import Ranks
from gpuquant.learn.engines import Engine
from gpuquant.learn.jobs import Job, Member, Work
from gpuquant.learn.optimise import Training, optimise
from gpuquant.learn.programs import State
from gpuquant.learn.resume import Checkpoints


@contextmanager
def usual_settings() -> Iterator[None]:
    """Run torch with 32-bit numbers, the CPU as the default device, and gradients enabled, whatever
    the caller has set of these.
    """
    before, elsewhere = torch.get_default_dtype(), torch.get_default_device().type != "cpu"
    torch.set_default_dtype(torch.float32)
    try:
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.device("cpu") if elsewhere else nullcontext(),
        ):
            yield
    finally:
        torch.set_default_dtype(before)


@dataclass(frozen=True)
class Aside:
    """What goes on beside training.

    Parameters
    ----------
    callbacks : sequence of callable
    tick : callable, optional
        Told the folds done since the last call, in parts.
    checkpoints : Checkpoints, optional
    """

    callbacks: Sequence[Callback] = ()
    tick: Callable[[float], Any] | None = None
    checkpoints: Checkpoints | None = None


def fit(work: Work, what: dict[str, str], aside: Aside) -> list[tuple[State, History]]:
    """Train all members of all folds; of each fold its weights, each of shape (members, ...), and
    how it went.

    `what` identifies the training, for its checkpoints.
    """
    name = f"fold-{work.tasks[0].number}"
    with members.seeded(0, work.device):
        engine = _engine(work, what, aside.checkpoints, name)
    groups = list(enumerate(engine.groups(work)))
    apart = work.config.parallel == "members"
    own = work.ranks.share(groups) if apart else groups
    done: dict[str, Tensor] = {}
    for number, group in own:
        share = len(work.tasks) * len(group) / sum(len(each) for _, each in own)
        ticks = _Ticks(aside.tick, share / work.config.steps, work.config.steps)
        training = _trained(work, group, engine, f"{name}-program-{number}", aside, ticks)
        losses, judgements = training.told()
        done |= {f"{number}.weights.{key}": one for key, one in training.weights().items()}
        done[f"{number}.losses"] = torch.from_numpy(losses)
        done[f"{number}.judgements"] = torch.from_numpy(judgements)
    for other in work.ranks.exchange(done) if apart else []:
        done |= other
    return _by_fold(work, dict(groups), done, str(engine))


def _by_fold(
    work: Work, groups: dict[int, list[Member]], done: dict[str, Tensor], engine: str
) -> list[tuple[State, History]]:
    """What the programs of all groups have learnt, by fold."""
    states: dict[Member, State] = {}
    for number, group in groups.items():
        own = f"{number}."
        for k, one in enumerate(group):
            states[one] = {
                key.removeprefix(own): value[k : k + 1]
                for key, value in done.items()
                if key.startswith(own)
            }
    result = []
    for task in range(len(work.tasks)):
        each = [states[one] for one in work.members if one.task == task]
        losses, judgements = (
            _padded([one[part].numpy() for one in each]) for part in ("losses", "judgements")
        )
        names = [key.removeprefix("weights.") for key in each[0] if key.startswith("weights.")]
        weights = {key: torch.cat([one[f"weights.{key}"] for one in each]) for key in names}
        result.append((weights, History(losses, judgements, engine, work.device)))
    return result


def _engine(work: Work, what: dict[str, str], checkpoints: Checkpoints | None, name: str) -> Engine:
    """The engine: that of the checkpoint there is, or chosen now; by the first process for all."""
    chosen: Any = None
    if work.ranks.rank == 0:
        chosen = None if checkpoints is None else checkpoints.record(name, what)
        if chosen is None:
            chosen = vars(engines.choose(work))
            if checkpoints is not None:
                checkpoints.begin(name, what, chosen)
    return Engine(**json.loads(work.ranks.first(json.dumps(chosen))))


def _trained(
    work: Work, group: Sequence[Member], engine: Engine, name: str, aside: Aside, ticks: _Ticks
) -> Training:
    """Members as one program, trained to their end."""
    together = Ranks() if work.config.parallel == "members" else work.ranks
    with members.seeded(work.seed(group[0]), work.device):
        job = Job(work, group, engine.together > 1, engine.most)
        training = optimise(
            engine.training(job),
            job.stream,
            judged=job.judged if work.judging else None,
            watch=Watch(
                aside.callbacks,
                job.parts,
                ticks.step if aside.tick else None,
                together.of_first if together.count > 1 else None,
            ),
            saver=None if aside.checkpoints is None else aside.checkpoints.saver(name, together),
        )
    ticks.end()
    return training


class _Ticks:
    """Tells a progress bar of steps, and at the end of those that were not needed."""

    def __init__(self, tick: Callable[[float], Any] | None, share: float, steps: int) -> None:
        self.tick, self.share, self.left = tick, share, steps

    def step(self) -> None:
        """A step is done."""
        if self.tick is not None:
            self.tick(self.share)
        self.left -= 1

    def end(self) -> None:
        """The steps that are left are not needed."""
        if self.tick is not None:
            self.tick(self.share * self.left)


def _padded(parts: list[np.ndarray]) -> np.ndarray:
    """Arrays of shape (1, n) under one another, NaN where one is shorter."""
    longest = max(part.shape[1] for part in parts)
    return np.concatenate(
        [np.pad(p, ((0, 0), (0, longest - p.shape[1])), constant_values=np.nan) for p in parts]
    )
