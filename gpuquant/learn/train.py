"""Training: the members of an ensemble, as one program or one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from gpuquant.data.arguments import scalar, whole_number
from gpuquant.errors import DataError, InputError
from gpuquant.learn import members
from gpuquant.learn.batching import Batch, Batches
from gpuquant.learn.callbacks import Watch
from gpuquant.learn.losses.base import Loss
from gpuquant.learn.members import Single, Stack
from gpuquant.learn.windows import CHUNK, Names, Windows
from gpuquant.shown import Shown

SCHEDULES = ("one_cycle", "cosine", "constant")
CHECKED = 50  # steps between two looks at whether the loss is finite: a look waits for a GPU
VALIDATION_BATCHES = 8


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
    learning_rate, weight_decay : float
        Of AdamW; the learning rate is the peak of its schedule. The decay is strong by default,
        since signals in prices are weak; recurrent networks and transformers want less, such as
        0.01.
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
    learning_rate: float = 3e-3
    weight_decay: float = 1.0
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
        scalar("TrainingConfig learning_rate", self.learning_rate)
        scalar("TrainingConfig weight_decay", self.weight_decay, closed=True)
        scalar("TrainingConfig validation", self.validation, high=0.9, closed=True)
        if self.max_grad_norm is not None:
            scalar("TrainingConfig max_grad_norm", self.max_grad_norm)
        if self.schedule not in SCHEDULES:
            raise InputError(
                f"TrainingConfig schedule = {self.schedule!r}: must be {', '.join(SCHEDULES)}"
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


def fit(
    estimator: Any,
    windows: Windows,
    rows: np.ndarray,
    *,
    loss: Loss,
    ensemble: int,
    config: TrainingConfig,
    seed: int,
    span: int,
    watch: Watch | None = None,
) -> tuple[dict[str, Tensor], History]:
    """Train an ensemble on `rows`; the weights of its members, each of shape (members, ...), and
    how it went.

    `span` is how many bars after a bar its label looks at; `watch` is told how it goes.
    """
    watch = Watch() if watch is None else watch
    device = str(windows.resident.features.device)
    shape = (windows.bars, windows.columns)
    networks = [members.member(estimator, shape, seed + k) for k in range(ensemble)]
    first, last = _split(rows, config.validation, span)
    kind = loss.batch
    if kind == "windows" and getattr(networks[0], "cross_sectional", False):
        kind = "bars"
    batches = Batches(windows, first, kind, config.batch_windows, config.sequence_length)
    judged = []
    if len(last):
        drawn = Batches(windows, last, kind, config.batch_windows, config.sequence_length)
        generator = torch.Generator().manual_seed(seed)
        judged = [drawn.draw(generator) for _ in range(VALIDATION_BATCHES)]
    if members.stackable(networks[0]):
        program = Stack(networks, device)
        losses, judgements = _optimise(
            program, batches, judged, loss, config, seed, range(ensemble), watch
        )
        return program.result(), History(losses, judgements, "stacked")
    each: list[dict[str, Tensor]] = []
    told: list[tuple[np.ndarray, np.ndarray]] = []
    for k, network in enumerate(networks):
        one = Single(network, device)
        with members.seeded(seed + k, device):
            told.append(
                _optimise(one, batches, judged, loss, config, seed + k, range(k, k + 1), watch)
            )
        each.append(one.result())
    weights = {name: torch.cat([state[name] for state in each]) for name in each[0]}
    losses, judgements = (_padded([one[part] for one in told]) for part in (0, 1))
    return weights, History(losses, judgements, "single")


def _split(rows: np.ndarray, share: float, span: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows that train, and the last ones, which judge."""
    if not share:
        return rows, rows[:0]
    cut = max(1, round(len(rows) * (1.0 - share)))
    last = rows[cut:]
    return (rows[:cut][rows[:cut] + span < last[0]], last) if len(last) else (rows, last)


def _optimise(
    program: Single | Stack,
    batches: Batches,
    judged: list[Batch],
    loss: Loss,
    config: TrainingConfig,
    seed: int,
    numbers: range,
    watch: Watch,
) -> tuple[np.ndarray, np.ndarray]:
    """Train the members of these numbers; their losses by step, and on the rows that judge."""
    count, first = len(numbers), numbers.start
    if not program.parameters:
        raise InputError("the network has no weights that training may change")
    device = batches.choices.device
    optimiser = torch.optim.AdamW(
        program.parameters, config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = _schedule(optimiser, config)
    generator = torch.Generator().manual_seed(seed)
    history = torch.full((count, config.steps), float("nan"), device=device)
    judgements: list[Tensor] = []
    best, waited = torch.full((count,), float("inf"), device=device), 0
    program.mode(training=True)
    for step in range(config.steps):
        values = _losses(program, batches.draw(generator), loss)
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
                judgements.append(
                    torch.stack([_losses(program, batch, loss) for batch in judged]).mean(0)
                )
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


def _losses(program: Single | Stack, batch: Batch, loss: Loss) -> Tensor:
    """The loss of each member, shape (members,)."""
    outputs = program.forward(batch.windows, batch.known)
    outputs = outputs.reshape(len(outputs), *batch.labels.shape, *outputs.shape[3:])
    if not loss.vectorised:
        return torch.stack([loss(one, batch.labels, batch.mask) for one in outputs])
    result: Tensor = vmap(loss, in_dims=(0, None, None))(outputs, batch.labels, batch.mask)
    return result


def _schedule(optimiser: torch.optim.Optimizer, config: TrainingConfig) -> Any:
    kinds = torch.optim.lr_scheduler
    if config.schedule == "one_cycle":
        return kinds.OneCycleLR(optimiser, config.learning_rate, total_steps=config.steps)
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


def _padded(parts: list[np.ndarray]) -> np.ndarray:
    """Arrays of shape (1, n) under one another, NaN where one is shorter."""
    longest = max(part.shape[1] for part in parts)
    return np.concatenate(
        [np.pad(p, ((0, 0), (0, longest - p.shape[1])), constant_values=np.nan) for p in parts]
    )


def predict(
    estimator: Any, weights: dict[str, Tensor], windows: Windows, rows: np.ndarray, loss: Loss
) -> Tensor:
    """The mean forecast of the ensemble at `rows`, shape (rows, assets); NaN where a feature is
    unknown.
    """
    resident = windows.resident
    device, assets = str(resident.features.device), len(resident.features)
    count = len(next(iter(weights.values())))
    shape = (windows.bars, windows.columns)
    networks = [
        members.restore(members.member(estimator, shape, 0), weights, k).eval()
        for k in range(count)
    ]
    programs: list[Stack | Single] = (
        [Stack(networks, device)]
        if members.stackable(networks[0])
        else [Single(network, device) for network in networks]
    )
    bars = torch.from_numpy(rows).to(device)
    columns = torch.arange(assets, device=device)
    out = torch.full((len(rows), assets), float("nan"), dtype=torch.float64, device=device)
    step = max(1, CHUNK // (assets * windows.bars * windows.columns * count))
    whole = resident.whole(windows.bars)
    with torch.no_grad():
        for begin in range(0, len(rows), step):
            part = bars[begin : begin + step]
            ends = part[:, None].expand(-1, assets)
            given = windows.gather(columns.expand(len(part), -1), ends)
            known = whole[:, part].T
            outputs = torch.cat([program.forward(given, known) for program in programs])
            mean = loss.forecast(outputs).double().mean(0)
            _finite(mean, known, rows[begin : begin + step], resident.names)
            out[begin : begin + step] = torch.where(known, mean, float("nan"))
    return out.cpu()


def _finite(forecast: Tensor, known: Tensor, rows: np.ndarray, names: Names) -> None:
    """Refuse a forecast that is not finite though its features are known."""
    wrong = known & ~torch.isfinite(forecast)
    if bool(wrong.any()):
        row, asset = (int(k) for k in wrong.nonzero()[0])
        raise DataError(
            f"the network's output for {names.at(int(rows[row]), asset)} is "
            f"{float(forecast[row, asset])}, though its features are finite"
        )
