"""A gated recurrent unit over the window."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from gpuquant.learn.recurrent import Recurrent


class GRU(Recurrent):
    """Gated recurrent layers over the bars of a window.

    Its parameters are those of `Recurrent`.

    References
    ----------
    Cho et al. (2014), section 2.3.
    """

    kind: ClassVar[Any] = nn.GRU
