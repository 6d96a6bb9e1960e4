"""A temporal convolutional network over the window."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from gpuquant.data.arguments import whole_number
from gpuquant.learn.networks.mlp import WIDEST


class TCN(nn.Module):
    """Causal convolutions with a dilation that doubles from level to level, each added to what it
    was given; the outputs are linear in the last bar's channels.

    Level k sees (kernel - 1) 2^k bars further back, and there are as many levels as the window
    needs.

    Parameters
    ----------
    channels : int
        Width of each level.
    kernel : int
        Bars of a convolution; >= 2.
    outputs : int
        Numbers for each window: one, or as many as the loss needs.
    window, features : int, optional
        Bars, and features of a bar; a learner fills them in.

    References
    ----------
    Bai, Kolter and Koltun (2018), section 3, without its dropout and weight normalisation.
    """

    stackable: ClassVar[bool] = True
    weight_decay: ClassVar[float] = 1.0  # strong, since signals in prices are weak

    def __init__(
        self,
        channels: int = 32,
        kernel: int = 3,
        outputs: int = 1,
        window: int | None = None,
        features: int | None = None,
    ) -> None:
        super().__init__()
        whole_number("TCN channels", channels, 1, WIDEST)
        whole_number("TCN kernel", kernel, 2, 1024)
        whole_number("TCN outputs", outputs, 1, WIDEST)
        self.channels, self.kernel, self.outputs = channels, kernel, outputs
        self.window, self.features = window, features
        if window is not None and features is not None:
            whole_number("TCN window", window)
            whole_number("TCN features", features)
            levels, seen = 0, 1
            while seen < window or not levels:
                seen += (kernel - 1) * 2**levels
                levels += 1
            self.first = nn.Linear(features, channels)
            self.levels = nn.ModuleList(
                nn.Conv1d(channels, channels, kernel, dilation=2**k) for k in range(levels)
            )
            self.last = nn.Linear(channels, outputs)

    def build(self, window: int, features: int) -> TCN:
        """The same network, made for windows of this shape, freshly initialised."""
        return TCN(self.channels, self.kernel, self.outputs, window, features)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (batch, bars, features) to (batch, outputs)."""
        h = self.first(x).transpose(1, 2)
        for k, level in enumerate(self.levels):
            before = nn.functional.pad(h, ((self.kernel - 1) * 2**k, 0))
            h = h + torch.relu(level(before))
        return self.last(h[..., -1])
