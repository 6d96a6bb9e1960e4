"""A multilayer perceptron over the flattened window."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MLP(nn.Module):
    """Two hidden layers with ReLU, then one number.

    Parameters
    ----------
    hidden : int
        Width of the hidden layers.
    inputs : int, optional
        bars x features of a window; a learner fills it in from its features.
    """

    def __init__(self, hidden: int = 32, inputs: int | None = None) -> None:
        super().__init__()
        self.hidden, self.inputs = hidden, inputs
        if inputs is not None:
            self.first = nn.Linear(inputs, hidden)
            self.second = nn.Linear(hidden, hidden)
            self.last = nn.Linear(hidden, 1)

    def sized(self, inputs: int) -> MLP:
        """The same network, made for windows of `inputs` numbers, freshly initialised."""
        return MLP(self.hidden, inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (batch, bars, features) to (batch,)."""
        h = torch.relu(self.first(x.flatten(1)))
        h = torch.relu(self.second(h))
        return self.last(h).squeeze(-1)
