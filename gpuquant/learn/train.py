"""Training: seeds x folds, put together into programs by an engine, each trained to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gpuquant.learn import engines, members
from gpuquant.learn.callbacks import Callback, Watch
from gpuquant.learn.config import History
from gpuquant.learn.engines import Engine
from gpuquant.learn.jobs import Job, Member, Work
from gpuquant.learn.optimise import Training, optimise
from gpuquant.learn.programs import State
from gpuquant.learn.resume import Checkpoints


@contextmanager
def usual_settings() -> Iterator[None]:
    """Run torch with the settings of a new process, whatever the caller has set: 32-bit numbers,
    the CPU as the default device, and gradients enabled.
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
    weights: dict[Member, State] = {}
    told: dict[Member, tuple[np.ndarray, np.ndarray]] = {}
    for number, group in enumerate(engine.groups(work)):
        training = _trained(work, group, engine, f"{name}-program-{number}", aside)
        state, (losses, judgements) = training.weights(), training.told()
        for k, one in enumerate(group):
            weights[one] = {key: value[k : k + 1] for key, value in state.items()}
            told[one] = losses[k : k + 1], judgements[k : k + 1]
    result = []
    for k in range(len(work.tasks)):
        own = [one for one in work.members if one.task == k]
        both = {key: torch.cat([weights[one][key] for one in own]) for key in weights[own[0]]}
        losses, judgements = (_padded([told[one][part] for one in own]) for part in (0, 1))
        result.append((both, History(losses, judgements, str(engine))))
    return result


def _engine(work: Work, what: dict[str, str], checkpoints: Checkpoints | None, name: str) -> Engine:
    """The engine: that of the checkpoint there is, or chosen now."""
    found = None if checkpoints is None else checkpoints.record(name, what)
    if found is not None:
        return Engine(**found)
    engine = engines.choose(work)
    if checkpoints is not None:
        checkpoints.begin(name, what, vars(engine))
    return engine


def _trained(
    work: Work, group: Sequence[Member], engine: Engine, name: str, aside: Aside
) -> Training:
    """Members as one program, trained to their end."""
    share = len(group) / (work.count * work.config.steps)
    ticks = _Ticks(aside.tick, share, work.config.steps)
    with members.seeded(work.seed(group[0]), work.device):
        job = Job(work, group, engine.together > 1, engine.most)
        training = optimise(
            engine.training(job),
            job.stream,
            judged=job.judged(),
            watch=Watch(aside.callbacks, job.parts, ticks.step if aside.tick else None),
            saver=None if aside.checkpoints is None else aside.checkpoints.saver(name),
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
        """All steps are done, or not needed."""
        if self.tick is not None:
            self.tick(self.share * self.left)


def _padded(parts: list[np.ndarray]) -> np.ndarray:
    """Arrays of shape (1, n) under one another, NaN where one is shorter."""
    longest = max(part.shape[1] for part in parts)
    return np.concatenate(
        [np.pad(p, ((0, 0), (0, longest - p.shape[1])), constant_values=np.nan) for p in parts]
    )
