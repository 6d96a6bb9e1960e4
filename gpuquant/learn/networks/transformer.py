"""A transformer over the bars of a window."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from gpuquant.data.arguments import whole_number
from gpuquant.learn.attention import Block, check_sizes


class Transformer(nn.Module):
    """Self-attention among the bars of a window, whose places are learnt; the outputs are linear
    in the last bar.

    Parameters
    ----------
    width : int
        Numbers of a bar; a multiple of `heads`.
    heads, layers : int
        Of attention.
    outputs : int
        Numbers for each window: one, or as many as the loss needs.
    window, features : int, optional
        Bars, and features of a bar; a learner fills them in.

    References
    ----------
    Vaswani et al. (2017), section 3; Xiong et al. (2020), for the normalisation before each part.
    """

    stackable: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 1e-2

    def __init__(
        self,
        width: int = 32,
        heads: int = 4,
        layers: int = 2,
        outputs: int = 1,
        window: int | None = None,
        features: int | None = None,
    ) -> None:
        super().__init__()
        check_sizes("Transformer", width, heads, layers, outputs)
        self.width, self.heads, self.layers, self.outputs = width, heads, layers, outputs
        self.window, self.features = window, features
        if window is not None and features is not None:
            whole_number("Transformer window", window)
            whole_number("Transformer features", features)
            self.first = nn.Linear(features, width)
            self.places = nn.Parameter(0.02 * torch.randn(window, width))
            self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
            self.norm, self.last = nn.LayerNorm(width), nn.Linear(width, outputs)

    def build(self, window: int, features: int) -> Transformer:
        """The same network, made for windows of this shape, freshly initialised."""
        return Transformer(self.width, self.heads, self.layers, self.outputs, window, features)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (batch, bars, features) to (batch, outputs)."""
        h = self.first(x) + self.places
        for block in self.blocks:
            h = block(h)
        return self.last(self.norm(h[:, -1]))
