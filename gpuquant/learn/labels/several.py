"""Several labels at once, such as returns over several horizons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.errors import InputError
from gpuquant.shown import Shown


@dataclass(frozen=True)
class Several(Shown):
    """Labels side by side, each with its own output of the network. The loss is the mean of the
    loss of each. The first is the one that forecasts are made and judged for; the others help to
    learn it.

    Parameters
    ----------
    labels : sequence of Label
        Two or more.

    References
    ----------
    Caruana (1997), for learning several tasks together.

    Examples
    --------
    >>> import numpy as np
    >>> from gpuquant.learn import labels
    >>> both = labels.Several([labels.ForwardReturn(1), labels.ForwardReturn(2)])
    >>> both.of(np.array([[1.0], [1.0], [2.0], [3.0], [4.0]]))[0, 0].tolist()
    [1.0, 1.0]
    """

    labels: Sequence[Any]

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or not all(hasattr(one, "of") for one in self.labels):
            raise InputError(
                f"Several labels = {self.labels!r}: must be two labels or more, such as "
                "[ForwardReturn(1), ForwardReturn(5)]"
            )

    @property
    def horizon(self) -> int:
        """The longest."""
        return max(int(one.horizon) for one in self.labels)

    @property
    def count(self) -> int:
        """How many labels a bar and asset has."""
        return len(self.labels)

    def of(self, prices: Any) -> np.ndarray:
        """The labels of each bar and asset, shape (bars, assets, labels)."""
        return np.stack([one.of(prices) for one in self.labels], axis=2)
