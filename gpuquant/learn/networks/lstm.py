"""A long short-term memory over the window."""

from __future__ import annotations

from torch import Tensor, nn

from gpuquant.data.arguments import whole_number
from gpuquant.learn.networks.mlp import WIDEST


class LSTM(nn.Module):
    """Layers with a memory cell over the bars of a window; the outputs are linear in the last
    state.

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
    Hochreiter and Schmidhuber (1997); with the forget gate of Gers, Schmidhuber and Cummins (2000).
    """

    def __init__(
        self, hidden: int = 32, layers: int = 1, outputs: int = 1, features: int | None = None
    ) -> None:
        super().__init__()
        whole_number("LSTM hidden", hidden, 1, WIDEST)
        whole_number("LSTM layers", layers, 1, 64)
        whole_number("LSTM outputs", outputs, 1, WIDEST)
        self.hidden, self.layers, self.outputs, self.features = hidden, layers, outputs, features
        if features is not None:
            whole_number("LSTM features", features)
            self.recurrent = nn.LSTM(features, hidden, layers, batch_first=True)
            self.last = nn.Linear(hidden, outputs)

    def build(self, window: int, features: int) -> LSTM:
        """The same network, made for so many features, freshly initialised."""
        return LSTM(self.hidden, self.layers, self.outputs, features)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (batch, bars, features) to (batch, outputs)."""
        return self.last(self.recurrent(x)[0][:, -1])
