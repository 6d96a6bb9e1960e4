"""The members of an ensemble: networks that differ by their seeds."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from gpuquant.errors import DataError, InputError

Forward = Callable[[Tensor, Tensor], Tensor]  # of windows, and of which are known


def is_network(estimator: Any) -> bool:
    """Whether an estimator is a network: an `nn.Module`, or a callable that makes one."""
    fits = hasattr(estimator, "fit") and hasattr(estimator, "predict")
    return isinstance(estimator, nn.Module) or (callable(estimator) and not fits)


@contextmanager
def seeded(seed: int, device: str | torch.device = "cpu") -> Iterator[None]:
    """Torch draws from `seed` within; the caller's random state is untouched."""
    devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def member(estimator: Any, shape: tuple[int, int], seed: int) -> nn.Module:
    """A member of the ensemble, for windows of `shape` (bars, features).

    A network of ours and a factory (a class, or a callable without arguments) make a network that
    is drawn from `seed`. Any other `nn.Module` is copied with the weights that it has.
    """
    with seeded(seed):
        if hasattr(estimator, "build"):
            network: nn.Module = estimator.build(*shape)
            return network
        if isinstance(estimator, nn.Module):
            return copy.deepcopy(estimator)
        made = estimator()
    if not isinstance(made, nn.Module):
        raise InputError(
            f"estimator = {estimator!r}: gave {type(made).__name__}: must make an nn.Module"
        )
    return made


def ensemble(
    estimator: Any,
    shape: tuple[int, int],
    seed: int,
    count: int,
    start: Mapping[str, Tensor] | None = None,
) -> list[nn.Module]:
    """So many members, each with its own seed, or with the weights of `start`."""
    made = [member(estimator, shape, seed + k) for k in range(count)]
    return made if start is None else [restore(one, start, k) for k, one in enumerate(made)]


def stackable(estimator: Any) -> bool:
    """Whether all members run as one program: a network that says so of itself, because it has
    neither running statistics nor randomness.
    """
    return bool(getattr(estimator, "stackable", False))


def lifted(network: nn.Module, run: Callable[..., Tensor]) -> Forward:
    """`run`, which calls the network, as a function of windows (days, assets, bars, columns) and of
    the mask of known ones (days, assets), to (days, assets) or (days, assets, outputs).

    A network for one asset, from (batch, bars, columns) to (batch,) or (batch, outputs), is called
    with days and assets in one axis. One with `cross_sectional = True` gets all axes, and the mask
    where it takes two arguments.
    """
    across = bool(getattr(network, "cross_sectional", False))
    masked = across and len(inspect.signature(network.forward).parameters) > 1

    def forward(windows: Tensor, known: Tensor) -> Tensor:
        days, assets = windows.shape[:2]
        given = windows if across else windows.flatten(0, 1)
        out = run(given, known) if masked else run(given)
        leading = tuple(given.shape[: 2 if across else 1])
        if tuple(out.shape[: len(leading)]) != leading or out.ndim > len(leading) + 1:
            raise InputError(
                f"the network gives outputs of shape {tuple(out.shape)} for windows of shape "
                f"{tuple(given.shape)}: must be {leading}, or one more axis of outputs"
            )
        out = out.reshape(days, assets, -1)
        return out[..., 0] if out.shape[-1] == 1 else out

    return forward


def stacked(members: list[nn.Module]) -> tuple[Callable[..., Tensor], dict[str, Tensor]]:
    """All members as one function of stacked parameters and windows, and these parameters, each
    of shape (members, ...).
    """
    parameters, _ = stack_module_state(members)
    base = copy.deepcopy(members[0]).to("meta")

    def one(weights: Mapping[str, Tensor], windows: Tensor, known: Tensor) -> Tensor:
        return lifted(base, lambda *given: functional_call(base, dict(weights), given))(
            windows, known
        )

    return vmap(one, in_dims=(0, None, None)), {n: p.detach() for n, p in parameters.items()}


def plain(owner: str, network: Any) -> None:
    """Refuse what is no network, or one that sees assets side by side."""
    if network is not None and not is_network(network):
        raise InputError(f"{owner} network = {type(network).__name__}: must be an nn.Module")
    if getattr(network, "cross_sectional", False):
        raise InputError(f"{owner} network = {type(network).__name__}: must see one row at a time")


def answers(network: nn.Module, columns: int, shape: tuple[int, ...], device: str) -> None:
    """Refuse a network that does not give outputs of `shape` for each row of so many columns."""
    with torch.no_grad():
        given = torch.zeros(3, 1, columns, device=device)
        was, out = network.training, network.eval()(given)
        network.train(was)
    if len(out) != 3 or out.numel() != 3 * math.prod(shape):
        raise InputError(
            f"the network gives outputs of shape {tuple(out.shape)} for windows of shape "
            f"{tuple(given.shape)}: must be {(3, *shape)}"
        )


def fitting(
    make: Callable[[], nn.Module], weights: Mapping[str, Tensor], count: int, name: str
) -> None:
    """Refuse weights that are not those of `count` members of a network.

    Raises
    ------
    DataError
        A tensor is missing, unknown, of another shape or kind, or not finite. The message names it.
    """
    with torch.device("meta"):  # the shapes alone: nothing is allocated
        shaped = make().state_dict()
    shapes = {key: (count, *value.shape) for key, value in shaped.items()}
    for key in sorted(set(shapes) ^ set(weights)):
        raise DataError(
            f"{name}: {key!r} is {'missing' if key in shapes else 'no tensor of this network'}"
        )
    for key, value in weights.items():
        if tuple(value.shape) != shapes[key]:
            raise DataError(f"{name}: {key} has shape {tuple(value.shape)}: must be {shapes[key]}")
        if (
            value.is_floating_point() != shaped[key].is_floating_point()
            or value.is_complex()
            or not bool(torch.isfinite(value).all())
        ):
            raise DataError(f"{name}: {key} must hold finite numbers")


def restore(network: nn.Module, weights: Mapping[str, Tensor], k: int) -> nn.Module:
    """The network with the weights of member `k`."""
    network.load_state_dict({name: value[k] for name, value in weights.items()})
    return network


class Single:
    """One member that trains by itself: any `nn.Module`, in training mode, on its own batches."""

    def __init__(self, network: nn.Module, device: str) -> None:
        self.network = network.to(device)
        self.forward_one = lifted(self.network, self.network)
        self.parameters = [p for p in self.network.parameters() if p.requires_grad]
        self.best: dict[str, Tensor] | None = None

    def forward(self, windows: Tensor, known: Tensor) -> Tensor:
        """Outputs, shape (1, days, assets) or (1, days, assets, outputs)."""
        return self.forward_one(windows, known)[None]

    def mode(self, training: bool) -> None:
        """Training: dropout and running statistics are on."""
        self.network.train(training)

    def clip(self, limit: float) -> None:
        """Shorten the gradient to `limit`."""
        nn.utils.clip_grad_norm_(self.parameters, limit)

    def keep(self, better: Tensor) -> None:
        """Keep the weights as they are now if they are the best so far."""
        if bool(better[0]):
            self.best = {k: v.detach().clone() for k, v in self.network.state_dict().items()}

    def result(self) -> dict[str, Tensor]:
        """The weights that were kept, or else those of now, each of shape (1, ...)."""
        state = self.network.state_dict() if self.best is None else self.best
        return {name: value.detach().cpu().clone()[None] for name, value in state.items()}


class Stack:
    """All members as one program, on the same batches: each operation runs for all of them."""

    def __init__(self, networks: list[nn.Module], device: str) -> None:
        self.network = networks[0]
        self.run, weights = stacked(networks)
        self.weights = {k: w.to(device).requires_grad_() for k, w in weights.items()}
        self.parameters = list(self.weights.values())
        self.best: dict[str, Tensor] | None = None

    def forward(self, windows: Tensor, known: Tensor) -> Tensor:
        """Outputs, shape (members, days, assets) or (members, days, assets, outputs)."""
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

    def keep(self, better: Tensor) -> None:
        """Keep the weights of the members that are at their best so far."""
        before = self.weights if self.best is None else self.best
        self.best = {
            name: torch.where(better.view(-1, *[1] * (w.ndim - 1)), w.detach(), before[name])
            for name, w in self.weights.items()
        }

    def result(self) -> dict[str, Tensor]:
        """The weights that were kept, or else those of now, each of shape (members, ...)."""
        state = self.weights if self.best is None else self.best
        return {name: value.detach().cpu().clone() for name, value in state.items()}
