"""What recurrent networks share: layers over the bars of a window, read at the last bar."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from torch import Tensor, nn

from gpuquant.data.arguments import whole_number


class Recurrent(nn.Module):
    """Recurrent layers of a kind over the bars of a window; the outputs are linear in the last
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
    """

    kind: ClassVar[Any]  # of torch's layers
    learning_rate: ClassVar[float] = 2e-2  # memory of some bars is learnt slowly

    def __init__(
        self, hidden: int = 32, layers: int = 1, outputs: int = 1, features: int | None = None
    ) -> None:
        super().__init__()
        name = type(self).__name__
        whole_number(f"{name} hidden", hidden, 1, 1 << 15)
        whole_number(f"{name} layers", layers, 1, 64)
        whole_number(f"{name} outputs", outputs, 1, 1 << 15)
        self.hidden, self.layers, self.outputs, self.features = hidden, layers, outputs, features
        if features is not None:
            whole_number(f"{name} features", features)
            self.recurrent = self.kind(features, hidden, layers, batch_first=True)
            self.last = nn.Linear(hidden, outputs)

    def build(self, window: int, features: int) -> Self:
        """The same network, made for so many features, freshly initialised."""
        return type(self)(self.hidden, self.layers, self.outputs, features)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (batch, bars, features) to (batch, outputs)."""
        result: Tensor = self.last(self.recurrent(x)[0][:, -1])
        return result
