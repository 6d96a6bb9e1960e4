"""A multilayer perceptron over the flattened window."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from gpuquant.data.arguments import whole_number
from gpuquant.errors import unknown

ACTIVATIONS = {
    "relu": torch.relu,
    "silu": nn.functional.silu,
    "softplus": nn.functional.softplus,
    "tanh": torch.tanh,
}
WIDEST = 1 << 15  # a layer of so many by so many takes 4 GiB


class MLP(nn.Module):
    """Two hidden layers, then the outputs.

    Parameters
    ----------
    hidden : int
        Width of the hidden layers, 1 to 32,768.
    in_features : int, optional
        bars x features of a window; >= 1; a learner fills it in from its features.
    outputs : int
        Numbers for each window: one, or as many as the loss needs.
    activation : str
        Of the hidden layers: relu; or silu, softplus or tanh, which have a second derivative.
    """

    stackable: ClassVar[bool] = True
    weight_decay: ClassVar[float] = 1.0  # strong, since signals in prices are weak

    def __init__(
        self,
        hidden: int = 32,
        in_features: int | None = None,
        outputs: int = 1,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise unknown("activation", activation, ACTIVATIONS)
        whole_number("MLP hidden", hidden, 1, WIDEST)
        whole_number("MLP outputs", outputs, 1, WIDEST)
        if in_features is not None:
            whole_number("MLP in_features", in_features)
        self.hidden, self.in_features, self.outputs = hidden, in_features, outputs
        self.activation = activation
        if in_features is not None:
            self.first = nn.Linear(in_features, hidden)
            self.second = nn.Linear(hidden, hidden)
            self.last = nn.Linear(hidden, outputs)

    def build(self, window: int, features: int) -> MLP:
        """The same network, made for windows of this shape, freshly initialised."""
        return MLP(self.hidden, window * features, self.outputs, self.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (batch, bars, features) to (batch, outputs)."""
        bend = ACTIVATIONS[self.activation]
        h = bend(self.first(x.flatten(1)))
        h = bend(self.second(h))
        return self.last(h)
