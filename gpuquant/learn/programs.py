"""Programs: members of an ensemble as functions of windows, whose weights training changes. One
member runs as its author wrote it; several run as one, each operation for all of them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.utils.checkpoint import checkpoint

from gpuquant.learn.members import lifted

State = dict[str, Tensor]


class Whole:
    """A program of which this process holds everything."""

    def full(self, state: State) -> State:
        """Whole weights, from what `state` gives."""
        return state

    def part(self, value: Tensor) -> Tensor:
        """What this process holds of a tensor: all of it."""
        return value

    def spread(self, number: int, value: Tensor) -> Tensor:
        """What `part` gave, as a tensor like parameter `number`: the same."""
        return value


class Single(Whole):
    """One member by itself: any `nn.Module`, in training mode."""

    count = 1

    def __init__(self, network: nn.Module, device: str) -> None:
        self.network = network.to(device)
        self.forward_one = lifted(self.network, self.network)
        self.parameters = [p for p in self.network.parameters() if p.requires_grad]

    def forward(self, windows: Tensor, known: Tensor) -> Tensor:
        """Outputs, shape (1, days, assets) or (1, days, assets, outputs), of windows of shape (1,
        days, assets, bars, columns).
        """
        return self.forward_one(windows[0], known[0])[None]

    def mode(self, training: bool) -> None:
        """Training: dropout and running statistics are on."""
        self.network.train(training)

    def clip(self, limit: float) -> None:
        """Shorten the gradient to `limit`."""
        nn.utils.clip_grad_norm_(self.parameters, limit)

    def state(self) -> State:
        """All weights, each of shape (1, ...); they change as training goes on."""
        return {name: value.detach()[None] for name, value in self.network.state_dict().items()}


class Stack(Whole):
    """Members as one program: each operation runs for all of them."""

    def __init__(self, networks: Sequence[nn.Module], device: str) -> None:
        self.network, self.count = networks[0], len(networks)
        weights, _ = stack_module_state(list(networks))
        self.weights = {k: w.detach().to(device).requires_grad_() for k, w in weights.items()}
        self.parameters = list(self.weights.values())
        self.run = vmap(self._one(copy.deepcopy(networks[0]).to("meta")))

    @staticmethod
    def _one(base: nn.Module) -> Callable[..., Tensor]:
        def run(weights: Mapping[str, Tensor], windows: Tensor, known: Tensor) -> Tensor:
            return lifted(base, lambda *given: functional_call(base, dict(weights), given))(
                windows, known
            )

        return run

    def forward(self, windows: Tensor, known: Tensor) -> Tensor:
        """Outputs, shape (members, days, assets) or (members, days, assets, outputs), of windows of
        shape (members, days, assets, bars, columns).
        """
        return self.run(self.weights, windows, known)

    def mode(self, training: bool) -> None:
        """Nothing: the network has neither dropout nor running statistics."""

    def clip(self, limit: float) -> None:
        """Shorten the gradient of each member to `limit`."""
        grads = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.stack([g.flatten(1).square().sum(1) for g in grads]).sum(0).sqrt()
        factor = (limit / (norm + 1e-12)).clamp(max=1.0)
        for g in grads:
            g.mul_(factor.view(-1, *[1] * (g.ndim - 1)))

    def state(self) -> State:
        """All weights, each of shape (members, ...); they change as training goes on."""
        return {name: value.detach() for name, value in self.weights.items()}


Program = Single | Stack


def program(networks: Sequence[nn.Module], device: str, *, together: bool) -> Program:
    """Networks as one program, or one network by itself."""
    return Stack(networks, device) if together else Single(networks[0], device)


def in_parts(
    run: Callable[..., Tensor], network: nn.Module, windows: Tensor, known: Tensor, most: int
) -> Tensor:
    """What `run` says of all days, of which at most so many pass the network at once. Activations
    are recomputed for the gradient, part by part; the loss sees all outputs.
    """
    if windows.shape[1] <= most:
        return run(windows, known)
    parts = zip(torch.split(windows, most, 1), torch.split(known, most, 1), strict=True)
    return torch.cat([_checkpointed(run, network, *part) for part in parts], dim=1)


def _checkpointed(run: Callable[..., Any], network: nn.Module, *given: Any, **named: Any) -> Any:
    """What `run` gives, whose activations are not kept but recomputed for the gradient."""
    return checkpoint(
        run,
        *given,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _frozen_statistics(network)),
        **named,
    )


@contextmanager
def _frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Running statistics do not move: what is recomputed was counted the first time."""
    every: list[Any] = list(network.modules())
    norms = [one for one in every if getattr(one, "num_batches_tracked", None) is not None]
    before = [(one.momentum, one.num_batches_tracked) for one in norms]
    for one in norms:
        one.momentum, one.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for one, (momentum, count) in zip(norms, before, strict=True):
            one.momentum, one.num_batches_tracked = momentum, count


def saved(work: Callable[[], Tensor], but: set[int]) -> dict[int, int]:
    """The bytes that autograd keeps of some work, by storage; without storages that are there
    anyway.
    """
    held: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        held[id(storage)] = storage
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda one: one):
        out = work()
    del out
    return {at: one.nbytes() for at, one in held.items() if at not in but}


def blocks(network: nn.Module) -> list[nn.Module]:
    """The repeated parts of a network: the elements of its outermost `nn.ModuleList`s."""
    result: list[nn.Module] = []
    for child in network.children():
        holder = isinstance(child, nn.ModuleList)
        nested = any(isinstance(one, nn.ModuleList | nn.ModuleDict) for one in child.children())
        result += child.children() if holder and not nested else blocks(child)
    return result


def recomputed(network: nn.Module) -> None:
    """Let the blocks of a network keep their inputs alone; their activations are recomputed for the
    gradient.
    """
    for block in blocks(network):
        # of this block alone, not of its class
        object.__setattr__(block, "forward", partial(_checkpointed, block.forward, block))
