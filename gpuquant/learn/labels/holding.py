"""What a share is worth, and has paid, where an order for it can be filled, and at closes."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuquant.data.panel import Panel
from gpuquant.indicators import rolling_mean
from gpuquant.indicators.series import change, whole


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


def closes(prices: Any) -> np.ndarray:
    """What one share of the first bar is worth at each close, shape (bars, assets)."""
    if not isinstance(prices, Panel):
        return np.asarray(prices)
    close = prices.last_close
    if prices.delistings is not None:
        close = close * np.cumprod(1.0 + np.nan_to_num(prices.delistings), axis=0)
    return close if prices.shares is None else close * prices.shares


def volatility(prices: Any, window: int) -> np.ndarray:
    """Root mean square of the log returns of the last bars, shape (bars, assets)."""
    whole(window, "window", 2)
    index = prices.total_return if isinstance(prices, Panel) else np.asarray(prices)
    squares = change(np.log(index)) ** 2
    return np.asarray(np.sqrt(rolling_mean(squares, window)))
