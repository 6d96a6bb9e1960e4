"""The relative strength index."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuquant.indicators.series import change, indicator, whole
from gpuquant.indicators.smoothing import wilder


@indicator
def rsi(close: Any, window: int = 14) -> Any:
    """Relative strength index: 100 times the average gain over the average gain and loss.

    Both averages are Wilder's. Where nothing has moved the index is 50.

    References
    ----------
    Wilder (1978), section VI.

    Examples
    --------
    >>> from gpuquant import indicators
    >>> indicators.rsi([1.0, 2.0, 3.0, 2.0], window=2).tolist()
    [nan, nan, 100.0, 50.0]
    """
    whole(window, "window")
    moved = change(close)
    gain, loss = (wilder(np.maximum(move, 0.0), window=window) for move in (moved, -moved))
    total = gain + loss
    still = total == 0.0
    return np.where(still, 50.0, 100.0 * gain / np.where(still, 1.0, total))
