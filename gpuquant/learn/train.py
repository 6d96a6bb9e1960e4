"""Training: an ensemble of seeds of one network as one program.

The networks' parameters are stacked along a leading axis and `vmap` runs all of them on the same
windows: one launch per operation whatever the size of the ensemble.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from gpuquant.data.arguments import scalar, whole_number
from gpuquant.errors import DataError, InputError
from gpuquant.learn.windows import Windows
from gpuquant.shown import Shown


@dataclass(frozen=True)
class TrainingConfig(Shown):
    """How a network is trained.

    Parameters
    ----------
    steps : int
        Optimiser steps.
    batch_windows, sequence_length : int
        A batch is `batch_windows` windows of `sequence_length` consecutive bars of all assets.
    learning_rate, weight_decay : float
        Of AdamW; the learning rate is the peak of a one-cycle schedule.
    """

    steps: int = 120
    batch_windows: int = 4
    sequence_length: int = 63
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        for name, low in (("steps", 1), ("batch_windows", 1), ("sequence_length", 2)):
            whole_number(f"TrainingConfig {name}", getattr(self, name), low)
        scalar("TrainingConfig learning_rate", self.learning_rate)
        scalar("TrainingConfig weight_decay", self.weight_decay, closed=True)


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


def seeded(network: nn.Module, inputs: int, seed: int) -> nn.Module:
    """A fresh copy of the network, initialised from `seed`; the caller's random state is
    untouched.
    """
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise InputError(
                f"{type(module).__name__} keeps running statistics, which an ensemble in "
                "one program cannot: use LayerNorm"
            )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if hasattr(network, "build"):
            return network.build(inputs)  # type: ignore[no-any-return,operator]
        fresh = copy.deepcopy(network)
        for module in fresh.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()  # type: ignore[operator]
        return fresh


def fit(
    network: nn.Module,
    windows: Windows,
    returns: np.ndarray,
    rows: np.ndarray,
    *,
    loss: Callable[[Tensor, Tensor, float], Tensor],
    cost: float,
    ensemble: int,
    training: TrainingConfig,
    seed: int,
) -> dict[str, Tensor]:
    """Train `ensemble` seeds; return their stacked parameters, each of shape (ensemble, ...).

    `returns` (bars, assets) holds the return of a position decided at each bar. Batches are drawn
    from runs of consecutive `rows` in which every feature is known.
    """
    device = windows.features.device
    assets, inputs = windows.features.shape[0], windows.bars * windows.features.shape[2]
    models = [seeded(network, inputs, seed * 1000 + k) for k in range(ensemble)]
    parameters, buffers = stack_module_state(models)  # type: ignore[arg-type]
    fixed = {name: b.to(device) for name, b in buffers.items()}
    weights = {name: p.detach().to(device).requires_grad_() for name, p in parameters.items()}
    base = copy.deepcopy(models[0]).to("meta")
    run = vmap(
        lambda p, b, x: functional_call(base, (p, b), (x,)),
        in_dims=(0, 0, None),
        randomness="different",
    )
    optimiser = torch.optim.AdamW(
        list(weights.values()), training.learning_rate, weight_decay=training.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, training.learning_rate, total_steps=training.steps
    )
    generator = torch.Generator().manual_seed(seed)
    target = torch.from_numpy(np.nan_to_num(returns).astype(np.float32)).to(device)
    starts, length = _starts(windows, rows, training.sequence_length)
    columns = torch.arange(assets, device=device)
    for _ in range(training.steps):
        begin = starts[
            torch.randint(len(starts), (training.batch_windows,), generator=generator)
        ].to(device)
        bars = begin[:, None] + torch.arange(length, device=device)
        ends = bars[:, :, None].expand(-1, -1, assets)
        batch = windows.gather(columns.expand(*ends.shape).reshape(-1), ends.reshape(-1))
        outputs = run(weights, fixed, batch).view(ensemble, training.batch_windows, length, assets)
        total = loss(outputs, target[bars], cost).sum()
        optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return {name: p.detach() for name, p in (weights | fixed).items()}


def _starts(windows: Windows, rows: np.ndarray, length: int) -> tuple[Tensor, int]:
    """First bars of the windows that lie within `rows` and know every feature, and the windows'
    length.
    """
    known = windows.known.all(dim=0).cpu().numpy()
    usable = np.zeros(len(known), bool)
    usable[rows] = known[rows]
    usable[: windows.bars - 1] = False
    length = min(length, int(usable.sum()))
    runs = np.convolve(usable, np.ones(length), "valid") == length
    result = np.flatnonzero(runs)
    if not result.size or length < 2:
        raise DataError(
            "no window of training bars has every feature: the history is shorter than "
            "the features' lookback"
        )
    return torch.from_numpy(result), length


def predict(
    network: nn.Module, weights: dict[str, Tensor], windows: Windows, rows: np.ndarray
) -> np.ndarray:
    """Mean output of the ensemble at `rows`, shape (rows, assets); NaN where a feature is
    unknown.
    """
    assets = windows.features.shape[0]
    ensemble = next(iter(weights.values())).shape[0]
    base = (
        copy.deepcopy(seeded(network, windows.bars * windows.features.shape[2], 0))
        .to("meta")
        .eval()
    )
    run = vmap(lambda p, x: functional_call(base, p, (x,)), in_dims=(0, None))
    device = windows.features.device
    ends = torch.from_numpy(np.repeat(rows, assets)).to(device).clamp(min=windows.bars - 1)
    names = torch.arange(assets, device=device).repeat(len(rows))
    out = np.empty((len(rows), assets))
    with torch.no_grad():
        step = max(1, (1 << 18) // (assets * ensemble))
        for first in range(0, len(rows), step):
            part = slice(first * assets, (first + step) * assets)
            mean: Any = torch.tanh(run(weights, windows.gather(names[part], ends[part]))).mean(0)
            out[first : first + step] = mean.double().cpu().numpy().reshape(-1, assets)
    known = (
        windows.known[:, torch.from_numpy(rows).to(device)].T.cpu().numpy()
        & (rows >= windows.bars - 1)[:, None]
    )
    return np.where(known, out, np.nan)
