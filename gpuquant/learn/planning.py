"""The memory of a training before it begins, from the shapes alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gpuquant.data.arguments import whole_number
from gpuquant.errors import InputError
from gpuquant.learn import members
from gpuquant.learn.batching import AT_ONCE, FEWEST_RUNS
from gpuquant.learn.losses.base import several
from gpuquant.learn.programs import blocks, in_parts, recomputed, saved
from gpuquant.shown import Shown

NUMBER = 4  # bytes
HELD = 3  # blocks that are whole at once: one computes, one is gathered, one is a gradient
DRAWN = 45  # bytes of a place that is drawn: its indices, its label, its masks


@dataclass(frozen=True)
class Plan(Shown):
    """Bytes of a process that trains one member of an ensemble.

    Attributes
    ----------
    parameters, gradients, optimiser : int
        Of the network; where it is sharded, this process's part.
    batch : int
        The windows of a batch, and the places that are drawn for several.
    activations : int
        What the layers keep for the gradient, of the days that pass the network at once.
    workspace : int
        What is made and given back on the way: gradients of activations, and, where the network is
        sharded, whole blocks.
    whole : bool
        Whether the whole batch passes the network at once.
    """

    parameters: int
    gradients: int
    optimiser: int
    batch: int
    activations: int
    workspace: int
    whole: bool

    @property
    def total(self) -> int:
        """The most that is there at once. Where the whole batch passes the network at once,
        activations go as gradients come, and the larger counts; else gradients of the first days
        are there while the others pass.
        """
        both = (self.activations, self.gradients)
        lasting = self.parameters + self.optimiser + self.batch
        return lasting + (max(both) if self.whole else sum(both)) + self.workspace


def plan(learner: Any, *, features: int, assets: int, ranks: int = 1) -> Plan:
    """The memory that training one member of a learner takes on each of `ranks` processes; samples
    not counted. Nothing of this size is allocated.

    Parameters
    ----------
    learner : Learner
        Its `training` says the batch, how processes share it, and whether activations are made
        again.
    features, assets : int
        Of the panel.
    ranks : int
        Processes that share a batch or a network.

    Examples
    --------
    A transformer over 500 assets with a billion weights and more, on eight GPUs:

    >>> from gpuquant import learn
    >>> config = learn.TrainingConfig(batch_windows=1000, parallel="sharded", recompute=True)
    >>> network = learn.networks.CrossSection(width=2560, heads=20, layers=20)
    >>> large = learn.Learner(network, loss="ic", window=20, training=config)
    >>> made = learn.plan(large, features=60, assets=500, ranks=8)
    >>> round(8 * made.parameters / 4 / 1e9, 2), round(made.total / 2**30)
    (1.05, 3)
    """
    for name, value in (("features", features), ("assets", assets), ("ranks", ranks)):
        whole_number(f"plan {name}", value)
    if not learner.is_network:
        raise InputError(f"plan: {type(learner.estimator).__name__} is no network")
    config, loss = learner.training, several(learner.loss, learner.count)
    with torch.device("meta"):
        network = members.member(learner.estimator, (learner.window, features), learner.seed)
    across = bool(getattr(network, "cross_sectional", False))
    kind = "bars" if loss.batch == "windows" and across else loss.batch
    days = _days(kind, config.batch_windows, config.sequence_length, assets)
    shape = (days, assets) if across else (days * (1 if kind == "windows" else assets), 1)
    shared = config.parallel != "members"
    own = -(-shape[0] // ranks) if shared else shape[0]
    most = min(config.microbatch or own, own)
    given = (own, shape[1], learner.window, features)
    kept, largest = _kept(network, given, most, recompute=config.recompute)
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    trained = sum(p.numel() * p.element_size() for p in network.parameters() if p.requires_grad)
    parts = ranks if config.parallel == "sharded" else 1
    whole = 0
    if parts > 1:
        sizes = [sum(p.numel() * p.element_size() for p in b.parameters()) for b in blocks(network)]
        rest = weights - sum(sizes)
        whole = HELD * max([*sizes, rest]) + rest
    windows = shape[0] * shape[1] * learner.window * features * NUMBER
    return Plan(
        parameters=weights // parts,
        gradients=trained // parts,
        optimiser=2 * trained // parts,
        batch=windows * (2 if shared else 1) + DRAWN * AT_ONCE,
        activations=kept,
        workspace=2 * largest + whole,
        whole=most == own and config.parallel != "data",
    )


def _days(kind: str, windows: int, length: int, assets: int) -> int:
    """Days of a batch; of a batch of windows, windows."""
    if kind == "windows":
        return windows
    if kind == "bars":
        return max(1, windows // assets)
    return length * max(FEWEST_RUNS, windows // (length * assets))


def _kept(
    network: nn.Module, shape: tuple[int, int, int, int], most: int, *, recompute: bool
) -> tuple[int, int]:
    """Bytes that a network keeps for its gradient of so many days at once, with the outputs of all;
    and the largest tensor of these.
    """
    windows = torch.empty(shape, device="meta")
    known = torch.empty(shape[:2], dtype=torch.bool, device="meta")
    own = {id(p.untyped_storage()) for p in network.parameters()}
    own |= {id(windows.untyped_storage()), id(known.untyped_storage())}
    run = members.lifted(network, network)

    def one(some: Tensor, known: Tensor) -> Tensor:
        return run(some[0], known[0])[None]

    part = saved(lambda: one(windows[None, :most], known[None, :most]), own)
    outputs = saved(lambda: in_parts(one, network, windows[None], known[None], most), own)
    total = sum(part.values()) + (sum(outputs.values()) if most < shape[0] else 0)
    if recompute and blocks(network):  # one block at a time keeps what lies between its layers
        recomputed(network)
        between = saved(lambda: one(windows[None, :most], known[None, :most]), own)
        inside = (sum(part.values()) - sum(between.values())) // len(blocks(network))
        total += sum(between.values()) + inside - sum(part.values())
    return total, max([0, *part.values()])
