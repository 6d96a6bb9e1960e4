"""The return of a position that is held for some bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.indicators.series import whole
from gpuquant.learn.labels.holding import holding
from gpuquant.shown import Shown


@dataclass(frozen=True)
class ForwardReturn(Shown):
    """Return per bar of a position that is held for `horizon` bars.

    It is filled at the bar after its own, e = t + 1, at its open if the panel has opens and at its
    close otherwise, and closed so at bar x = e + horizon:

        (n_x p_x + d_x - d_e) / (n_e p_e) - 1, over the horizon,

    with p the fill price, n the shares that one share of the first bar has become, and d the
    dividends that they have paid, which stay cash as in the back-tester. At a bar without a price p
    is the last close; from a delisting on it is the final payment. NaN where the asset does not
    trade at bar e.

    Parameters
    ----------
    horizon : int
        Bars; >= 1.

    Examples
    --------
    >>> import numpy as np
    >>> from gpuquant.learn import labels
    >>> labels.ForwardReturn(1).of(np.array([[1.0], [2.0], [3.0]]))[:, 0].tolist()
    [0.5, nan, nan]
    """

    horizon: int = 1

    def __post_init__(self) -> None:
        whole(self.horizon, "horizon")

    def of(self, prices: Any) -> np.ndarray:
        """The label of each bar and asset, of a panel or of closes of shape (bars, assets)."""
        value, paid, tradable = holding(prices)
        out = np.full(value.shape, np.nan)
        if len(value) > 1 + self.horizon:
            entry, end = slice(1, -self.horizon), slice(1 + self.horizon, None)
            with np.errstate(invalid="ignore"):
                earned = (value[end] + paid[end] - paid[entry]) / value[entry] - 1.0
            out[: -1 - self.horizon] = np.where(tradable[entry], earned / self.horizon, np.nan)
        return out
