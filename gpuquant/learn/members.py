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


def numbered(
    estimator: Any,
    shape: tuple[int, int],
    seed: int,
    start: Mapping[str, Tensor] | None,
    number: int,
) -> nn.Module:
    """The member of this number, with its own seed, or with its weights in `start`."""
    made = member(estimator, shape, seed + number)
    return made if start is None else restore(made, start, number)


def ensemble(
    estimator: Any,
    shape: tuple[int, int],
    seed: int,
    count: int,
    start: Mapping[str, Tensor] | None = None,
) -> list[nn.Module]:
    """So many members, each with its own seed, or with the weights of `start`."""
    return [numbered(estimator, shape, seed, start, k) for k in range(count)]


def stackable(network: Any) -> bool:
    """Whether members surely run as one program: the network says so by an attribute, because it
    has neither running statistics nor randomness.
    """
    return bool(getattr(network, "stackable", False))


def perhaps_stackable(network: nn.Module) -> bool:
    """Whether members may run as one program, which a trial must show."""
    told = getattr(network, "stackable", None)
    whole = not list(network.buffers()) and all(p.requires_grad for p in network.parameters())
    return whole if told is None else bool(told)


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
