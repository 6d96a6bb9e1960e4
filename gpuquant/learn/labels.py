"""Labels: what the back-tester pays for a position."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuquant.data.panel import Panel


def forward_return(prices: Any, horizon: int) -> np.ndarray:
    """Return per bar of a position decided at each bar, shape (bars, assets).

    It is filled at the next bar, at its open if the panel has opens and at its close otherwise,
    held for `horizon` bars, and worth the fill price then, with splits, dividends and delistings
    counted. NaN where the asset does not trade at the next bar.

    Parameters
    ----------
    prices : Panel, or array of closes, shape (bars, assets)
    horizon : int
        Bars.
    """
    index, tradable = fill_index(prices)
    out = np.full(index.shape, np.nan)
    if len(index) > 1 + horizon:
        out[: -1 - horizon] = (index[1 + horizon :] / index[1:-horizon] - 1.0) / horizon
        out[: -1 - horizon][~tradable[1:-horizon]] = np.nan
    return out


def fill_index(prices: Any) -> tuple[np.ndarray, np.ndarray]:
    """The value of one unit of cash put into each asset at the start, at the price at which an
    order fills at each bar, and where the asset trades; both of shape (bars, assets).

    `prices` is a panel, or an array of closes.
    """
    if not isinstance(prices, Panel):
        return prices, np.isfinite(prices)
    index = prices.total_return
    if prices.open is None:
        return index, np.isfinite(prices.close)
    with np.errstate(invalid="ignore"):
        at_open = index * prices.open / prices.close
    tradable = np.isfinite(at_open)
    return np.where(tradable, at_open, index), tradable
