"""What a label is: what the back-tester pays for a position, or what is made of that.

A label is a frozen record with `horizon`, the bars for which a position is held, and
`of(prices)`, the label of each bar and asset. It looks `horizon` + 1 bars ahead: a position that
is decided at a bar is filled at the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gpuquant.shown import Shown


class Label(Protocol):
    """What `Learner(target=)` takes."""

    @property
    def horizon(self) -> int:
        """Bars for which a position is held, at most."""

    def of(self, prices: Any) -> np.ndarray:
        """The label of each bar and asset, NaN where there is none."""


@dataclass(frozen=True)
class OfLabel(Shown):
    """The base of labels that are made of another."""

    label: Any

    @property
    def horizon(self) -> int:
        """That of the label."""
        return int(self.label.horizon)
