"""A gated recurrent unit over the window."""

from __future__ import annotations

from torch import Tensor, nn

from gpuquant.data.arguments import whole_number
from gpuquant.learn.networks.mlp import WIDEST


class GRU(nn.Module):
    """Gated recurrent layers over the bars of a window; the outputs are linear in the last state.

    Parameters
    ----------
    hidden : int
        Width of the state.
    layers : int
        Recurrent layers.
    outputs : int
        Numbers for each window: one, or as many as the loss needs.
    features : int, optional
        Features of a bar; a learner fills it in.

    References
    ----------
    Cho et al. (2014), section 2.3.
    """

    def __init__(
        self, hidden: int = 32, layers: int = 1, outputs: int = 1, features: int | None = None
    ) -> None:
        super().__init__()
        whole_number("GRU hidden", hidden, 1, WIDEST)
        whole_number("GRU layers", layers, 1, 64)
        whole_number("GRU outputs", outputs, 1, WIDEST)
        self.hidden, self.layers, self.outputs, self.features = hidden, layers, outputs, features
        if features is not None:
            whole_number("GRU features", features)
            self.recurrent = nn.GRU(features, hidden, layers, batch_first=True)
            self.last = nn.Linear(hidden, outputs)

    def build(self, window: int, features: int) -> GRU:
        """The same network, made for so many features, freshly initialised."""
        return GRU(self.hidden, self.layers, self.outputs, features)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (batch, bars, features) to (batch, outputs)."""
        return self.last(self.recurrent(x)[0][:, -1])
