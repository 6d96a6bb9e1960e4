"""The steps of training: what AdamW does to a program, when its members stop, and which of their
weights are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpuquant.errors import DataError, InputError
from gpuquant.learn.callbacks import Watch
from gpuquant.learn.config import TrainingConfig
from gpuquant.learn.programs import Program, State
from gpuquant.learn.resume import Saver

CHECKED = 50  # steps between two looks at whether the loss is finite: a look waits for a GPU
Losses = Callable[[Any], Tensor]
Stream = Callable[[int], Iterator[Any]]


def optimise(
    training: Training,
    stream: Stream,
    *,
    judged: Callable[[], Iterator[Any]] | None = None,
    watch: Watch | None = None,
    saver: Saver | None = None,
) -> Training:
    """Train the members of a program, to their ends.

    Parameters
    ----------
    stream : callable
        Batches from a step on, without end.
    judged : callable, optional
        Batches that do not train, the same at each call; the weights with the least loss on them
        are kept.
    saver : Saver, optional
        Keeps the state on disk, and has the one to go on from.
    """
    watch = Watch() if watch is None else watch
    program, config = training.program, training.config
    if saver is not None:
        training.restore(saver.found)
    batches = stream(training.done)
    program.mode(training=True)
    while training.done < config.steps and bool(training.running.any()):
        training.step(next(batches))
        training.end(watch.tell("step", training.done, training.values))
        if training.done % CHECKED == 0:
            training.check(watch)
        if judged is not None and (
            training.done % config.judge_every == 0 or training.done == config.steps
        ):
            training.judge(judged())
            training.end(watch.tell("judgement", training.done, training.judgements[-1]))
        if saver is not None and saver.due(training.done):
            saver.keep(training.tensors())
    watch.tell("end", training.done, training.values)
    training.check(watch)
    if saver is not None:
        saver.keep(training.tensors())
    return training


class Training:
    """A program, its optimiser, and how its training goes.

    Parameters
    ----------
    program : Program
    losses : callable
        The loss of each member on a batch, shape (members,).
    config : TrainingConfig

    Attributes
    ----------
    done : int
        Steps so far.
    running : Tensor of bool, shape (members,)
        Who still trains, on the host. The weights of a member that has ended are kept.
    kept : dict of Tensor, optional
        The weights that count for members that have ended or been judged.
    """

    def __init__(self, program: Program, losses: Losses, config: TrainingConfig) -> None:
        if not program.parameters:
            raise InputError("the network has no weights that training may change")
        self.program, self.losses, self.config = program, losses, config
        count, device = program.count, program.parameters[0].device
        rate, decay = config.rates(program.network)
        self.rates = config.schedule_of(rate)
        self.optimiser = torch.optim.AdamW(program.parameters, rate, weight_decay=decay, fused=True)
        self.done = 0
        self.values = torch.full((count,), float("nan"), device=device)
        self.history = torch.full((count, config.steps), float("nan"), device=device)
        self.judgements: list[Tensor] = []
        self.best = torch.full((count,), float("inf"), device=device)
        self.waited = torch.zeros(count, dtype=torch.int64)
        self.running = torch.ones(count, dtype=torch.bool)
        self.ended = torch.full((count,), config.steps)
        self.kept: State | None = None

    def step(self, batch: Any) -> None:
        """One step of the optimiser, on a batch."""
        values = self.losses(batch)
        torch.autograd.backward([values.sum()])
        if self.config.max_grad_norm is not None:
            self.program.clip(self.config.max_grad_norm)
        self.optimiser.param_groups[0]["lr"] = self.rates[self.done]
        self.optimiser.step()
        self.optimiser.zero_grad()  # before the next batch, whose activations need the room
        self.values = values.detach()
        self.history[:, self.done] = self.values
        self.done += 1

    def judge(self, batches: Iterator[Any]) -> None:
        """Keep the weights of members that are better than ever on batches that do not train, and
        end those that have not been for long.
        """
        self.program.mode(training=False)
        with torch.no_grad():
            self.judgements.append(torch.stack([self.losses(one) for one in batches]).mean(0))
        self.program.mode(training=True)
        now = self.judgements[-1]
        better = (now < self.best) & self.running.to(now.device)
        self.best = torch.where(better, now, self.best)
        self._keep(better)
        self.waited = torch.where(better.cpu(), 0, self.waited + 1)
        self.end(self.waited >= self.config.patience)

    def end(self, members: Tensor | None) -> None:
        """Members that end now, with their best weights, or those of now if nothing judges."""
        if members is None or not bool((now := members & self.running).any()):
            return
        if not self.judgements:
            self._keep(now.to(self.best.device))
        self.running &= ~now
        self.ended[now] = self.done

    def _keep(self, members: Tensor) -> None:
        state = self.program.state()
        before = state if self.kept is None else self.kept
        self.kept = {
            name: torch.where(members.view(-1, *[1] * (value.ndim - 1)), value, before[name])
            for name, value in state.items()
        }

    def weights(self) -> State:
        """The weights that training gives, each of shape (members, ...)."""
        state = self.program.state() if self.kept is None else self.kept
        if self.kept is not None and not self.judgements:  # who has not ended has those of now
            self._keep(self.running.to(self.best.device))
            state = self.kept
        return {name: value.cpu().clone() for name, value in self.program.full(state).items()}

    def told(self) -> tuple[np.ndarray, np.ndarray]:
        """Losses by step and on the batches that judge, shape (members, ...); NaN after a member's
        end.
        """
        past = torch.arange(self.config.steps) >= self.ended[:, None]
        history = torch.where(past, float("nan"), self.history.cpu())
        if not self.judgements:
            return history.numpy(), np.empty((self.program.count, 0), np.float32)
        steps = [self.config.judge_every * (k + 1) for k in range(len(self.judgements))]
        at = torch.tensor(steps).clamp(max=self.config.steps)
        judged = torch.stack(self.judgements, 1).cpu()
        judged = torch.where(at > self.ended[:, None], float("nan"), judged)
        return history.numpy(), judged.numpy()

    def check(self, watch: Watch) -> None:
        """Refuse to go on with a loss that is not finite."""
        trains = torch.arange(self.done) < self.ended[:, None]
        wrong = ~torch.isfinite(self.history[:, : self.done]) & trains.to(self.history.device)
        if bool(wrong.any()):
            step = int(wrong.any(dim=0).nonzero()[0])
            member = int(wrong[:, step].nonzero()[0])
            raise DataError(
                f"training: the loss of {watch.name(member)} is "
                f"{float(self.history[member, step])} at step {step}: labels and features are "
                "finite, so the network or the loss is not; a smaller learning_rate or "
                "max_grad_norm=1.0 may help"
            )

    def tensors(self) -> State:
        """All that training needs to go on as if nothing had happened."""
        device = self.best.device
        result = {
            "done": torch.tensor(self.done),
            "values": self.values,
            "history": self.history,
            "best": self.best,
            "waited": self.waited,
            "running": self.running,
            "ended": self.ended,
            "random.cpu": torch.get_rng_state(),
            **{f"judgement.{k}": one for k, one in enumerate(self.judgements)},
            **{f"weights.{name}": one for name, one in self.program.state().items()},
            **{f"kept.{name}": one for name, one in (self.kept or {}).items()},
        }
        if device.type == "cuda":
            result["random.cuda"] = torch.cuda.get_rng_state(device)
        for k, state in self.optimiser.state_dict()["state"].items():
            own = {name: self.program.part(one) for name, one in state.items()}
            result |= {f"optimiser.{k}.{name}": one for name, one in own.items()}
        return result

    def restore(self, tensors: State) -> None:
        """Go on from what `tensors` gave; from the beginning if they are empty."""
        if not tensors:
            return
        parts: dict[str, State] = {}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = value
        for name in ("values", "history", "best"):
            getattr(self, name).copy_(tensors[name])
        self.done = int(tensors["done"])
        self.waited, self.running = tensors["waited"], tensors["running"]
        self.ended = tensors["ended"]
        judged = parts.get("judgement", {})
        self.judgements = [judged[str(k)].to(self.best.device) for k in range(len(judged))]
        with torch.no_grad():
            for name, value in self.program.state().items():
                value.copy_(parts["weights"][name])
        kept = parts.get("kept", {})
        self.kept = {k: v.to(self.best.device) for k, v in kept.items()} or None
        state: dict[int, State] = {}
        for name, value in parts.get("optimiser", {}).items():
            k, _, what = name.partition(".")
            state.setdefault(int(k), {})[what] = self.program.spread(int(k), value)
        self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": state})
        torch.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], self.best.device)
