"""Training: the members of an ensemble, as one program or one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import vmap

from gpuquant.errors import InputError
from gpuquant.learn import members
from gpuquant.learn.batching import Batch, Batches
from gpuquant.learn.callbacks import Watch
from gpuquant.learn.losses.base import Loss
from gpuquant.learn.members import Single, Stack
from gpuquant.learn.optimise import History, TrainingConfig, optimise
from gpuquant.learn.windows import Windows

VALIDATION_BATCHES = 8


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
    networks: list[nn.Module],
    windows: Windows,
    rows: np.ndarray,
    *,
    loss: Loss,
    config: TrainingConfig,
    seed: int,
    span: int,
    watch: Watch | None = None,
) -> tuple[dict[str, Tensor], History]:
    """Train the networks of an ensemble on `rows`; their weights, each of shape (members, ...), and
    how it went.

    `span` is how many bars after a bar its label looks at; `watch` is told how it goes.
    """
    device = str(windows.resident.features.device)
    first, last = _split(rows, config.validation, span)
    kind = loss.batch
    if kind == "windows" and getattr(networks[0], "cross_sectional", False):
        kind = "bars"
    batches = Batches(windows, first, kind, config.batch_windows, config.sequence_length)
    judged = []
    if len(last):
        drawn = Batches(windows, last, kind, config.batch_windows, config.sequence_length)
        judged = list(islice(drawn.stream(torch.Generator().manual_seed(seed)), VALIDATION_BATCHES))

    def trained(program: Single | Stack, numbers: range) -> tuple[np.ndarray, np.ndarray]:
        return optimise(
            program,
            batches.stream,
            partial(_losses, program, loss),
            config,
            seed + numbers.start,
            judged=judged,
            numbers=numbers,
            watch=watch,
        )

    if members.stackable(networks[0]):
        program = Stack(networks, device)
        losses, judgements = trained(program, range(len(networks)))
        return program.result(), History(losses, judgements, "stacked")
    each: list[dict[str, Tensor]] = []
    told: list[tuple[np.ndarray, np.ndarray]] = []
    for k, network in enumerate(networks):
        one = Single(network, device)
        with members.seeded(seed + k, device):
            told.append(trained(one, range(k, k + 1)))
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


def _losses(program: Single | Stack, loss: Loss, batch: Batch) -> Tensor:
    """The loss of each member, shape (members,)."""
    outputs = program.forward(batch.windows, batch.known)
    outputs = outputs.reshape(len(outputs), *batch.bars.shape, *outputs.shape[3:])
    if loss.one_output and batch.labels.ndim == 3 and outputs.ndim > 4:
        raise InputError(
            f"the network gives {outputs.shape[-1]} outputs for each asset: the loss "
            f"{type(loss).__name__} needs one"
        )
    if not loss.vectorised:
        return torch.stack([loss(one, batch.labels, batch.mask) for one in outputs])
    result: Tensor = vmap(loss, in_dims=(0, None, None))(outputs, batch.labels, batch.mask)
    return result


def _padded(parts: list[np.ndarray]) -> np.ndarray:
    """Arrays of shape (1, n) under one another, NaN where one is shorter."""
    longest = max(part.shape[1] for part in parts)
    return np.concatenate(
        [np.pad(p, ((0, 0), (0, longest - p.shape[1])), constant_values=np.nan) for p in parts]
    )
