"""A multilayer perceptron over the flattened window."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gpuquant.data.arguments import whole_number

WIDEST = 1 << 15  # a layer of so many by so many takes 4 GiB


class MLP(nn.Module):
    """Two hidden layers with ReLU, then one number.

    Parameters
    ----------
    hidden : int
        Width of the hidden layers, 1 to 32,768.
    in_features : int, optional
        bars x features of a window; >= 1; a learner fills it in from its features.
    """

    def __init__(self, hidden: int = 32, in_features: int | None = None) -> None:
        super().__init__()
        whole_number("MLP hidden", hidden, 1, WIDEST)
        if in_features is not None:
            whole_number("MLP in_features", in_features)
        self.hidden, self.in_features = hidden, in_features
        if in_features is not None:
            self.first = nn.Linear(in_features, hidden)
            self.second = nn.Linear(hidden, hidden)
            self.last = nn.Linear(hidden, 1)

    def build(self, in_features: int) -> MLP:
        """The same network, made for windows of `in_features` numbers, freshly initialised."""
        return MLP(self.hidden, in_features)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (batch, bars, features) to (batch,)."""
        h = torch.relu(self.first(x.flatten(1)))
        h = torch.relu(self.second(h))
        return self.last(h).squeeze(-1)
