"""On-balance volume."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuquant.indicators.series import change, indicator
from gpuquant.indicators.smoothing import from_first


@indicator
def obv(close: Any, volume: Any) -> Any:
    """On-balance volume: the sum of volumes, counted minus where the close fell and not at all
    where it stayed; it begins with the first bar's volume.

    References
    ----------
    Granville (1963), New key to stock market profits.
    """
    return from_first(_obv, close, volume)


def _obv(close: Any, volume: Any) -> Any:
    signed = np.sign(change(close)) * volume
    signed[0] = volume[0]
    return np.cumsum(signed, axis=0)
