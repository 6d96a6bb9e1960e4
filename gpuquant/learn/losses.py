"""Losses over a batch of windows of consecutive bars, for several networks at once.

Shapes: `outputs` and `returns` are (networks, windows, bars, assets) and (windows, bars,
assets); a loss gives (networks,). `returns` holds the return of a position decided at a bar and
filled at the next bar.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gpuquant.errors import unknown


def positions(outputs: Tensor) -> Tensor:
    """Weights from outputs: tanh, shared equally among the assets, so that gross exposure is at
    most 1.
    """
    return torch.tanh(outputs) / outputs.shape[-1]


def sharpe(outputs: Tensor, returns: Tensor, cost: float) -> Tensor:
    """Minus the Sharpe ratio per bar after costs of turnover.

    mean(p) / std(p) with p_t = sum_j w_tj r_tj - cost sum_j |w_tj - w_(t-1)j|; the first bar of
    a window has no turnover.
    """
    weights = positions(outputs)
    gross = (weights * returns).sum(-1)
    moved = (weights[..., 1:, :] - weights[..., :-1, :]).abs().sum(-1)
    net = gross - cost * torch.nn.functional.pad(moved, (1, 0))
    flat = net.flatten(1)
    return -flat.mean(1) / (flat.std(1) + 1e-8)


def ic(outputs: Tensor, returns: Tensor, cost: float) -> Tensor:
    """Minus the mean correlation across assets between output and return (costs play no part)."""
    x = outputs - outputs.mean(-1, keepdim=True)
    y = returns - returns.mean(-1, keepdim=True)
    bottom = (x.square().sum(-1) * y.square().sum(-1)).sqrt() + 1e-8
    return -((x * y).sum(-1) / bottom).flatten(1).mean(1)


LOSSES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {"sharpe": sharpe, "ic": ic}


def find(name: str) -> Callable[[Tensor, Tensor, float], Tensor]:
    """The loss called `name`."""
    if name not in LOSSES:
        raise unknown("loss", name, LOSSES)
    return LOSSES[name]
