"""A long short-term memory over the window."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from gpuquant.learn.recurrent import Recurrent


class LSTM(Recurrent):
    """Layers with a memory cell over the bars of a window.

    Its parameters are those of `Recurrent`.

    References
    ----------
    Hochreiter and Schmidhuber (1997); with the forget gate of Gers, Schmidhuber and Cummins (2000).
    """

    kind: ClassVar[Any] = nn.LSTM
