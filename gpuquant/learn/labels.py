"""Labels: what the back-tester pays for a position."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuquant.data.panel import Panel


def forward_return(prices: Any, horizon: int) -> np.ndarray:
    """Return per bar of a position decided at each bar, shape (bars, assets).

    It is filled at bar e = t + 1, at its open if the panel has opens and at its close otherwise,
    and closed so at bar x = e + horizon:

        (n_x p_x + d_x - d_e) / (n_e p_e) - 1, over the horizon,

    with p the fill price, n the shares that one share of the first bar has become, and d the
    dividends that they have paid, which stay cash as in the back-tester. At a bar without a price p
    is the last close; from a delisting on it is the final payment. NaN where the asset does not
    trade at bar e.

    Parameters
    ----------
    prices : Panel, or array of closes, shape (bars, assets)
    horizon : int
        Bars.
    """
    value, paid, tradable = holding(prices)
    out = np.full(value.shape, np.nan)
    if len(value) > 1 + horizon:
        entry, end = slice(1, -horizon), slice(1 + horizon, None)
        with np.errstate(invalid="ignore"):
            earned = (value[end] + paid[end] - paid[entry]) / value[entry] - 1.0
        out[: -1 - horizon] = np.where(tradable[entry], earned / horizon, np.nan)
    return out


def holding(prices: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What one share of the first bar is worth at the price at which an order fills at each bar,
    the dividends that it has paid up to there, and where the asset trades; all of shape (bars,
    assets).
    """
    if not isinstance(prices, Panel):
        return prices, np.zeros(prices.shape), np.isfinite(prices)
    fill = prices.close if prices.open is None else prices.open
    tradable = np.isfinite(fill)
    price = np.where(tradable, fill, prices.last_close)
    if prices.delistings is not None:
        price = price * np.cumprod(1.0 + np.nan_to_num(prices.delistings), axis=0)
    shares = np.ones(price.shape) if prices.shares is None else prices.shares
    paid = np.zeros(price.shape)
    if prices.dividends is not None:
        before = np.concatenate([np.ones((1, price.shape[1])), shares[:-1]])  # ex before a split
        paid = np.cumsum(np.nan_to_num(prices.dividends) * before, axis=0)
    return shares * price, paid, tradable
