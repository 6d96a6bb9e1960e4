"""Statistics of the last bars, from which models calibrate."""

from __future__ import annotations

import numpy as np


def rolling_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of the last `window` rows at each row, shape of `values`; NaN where a window holds a
    NaN or is not full.
    """
    out = np.full(values.shape, np.nan)
    if len(values) < window:
        return out
    known = np.isfinite(values)
    total = np.cumsum(np.where(known, values, 0.0), axis=0)
    count = np.cumsum(known, axis=0)
    total[window:] = total[window:] - total[:-window]
    count[window:] = count[window:] - count[:-window]
    full = count == window
    out[full] = total[full] / window
    return out
