"""Labels: what the back-tester pays for a position, and what is made of that.

A label is a frozen record with `horizon`, the bars for which a position is held, and
`of(prices)`, the label of each bar and asset. It looks `horizon` + 1 bars ahead: a position that
is decided at a bar is filled at the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from gpuquant.data.panel import Panel
from gpuquant.errors import InputError
from gpuquant.features.rank import ranks
from gpuquant.indicators import rolling_mean
from gpuquant.indicators.series import change, whole
from gpuquant.shown import Shown


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


class Label(Protocol):
    """What `Learner(target=)` takes."""

    @property
    def horizon(self) -> int:
        """Bars for which a position is held, at most."""

    def of(self, prices: Any) -> np.ndarray:
        """The label of each bar and asset, NaN where there is none."""


@dataclass(frozen=True)
class ForwardReturn(Shown):
    """The return per bar of a position that is held for `horizon` bars; see `forward_return`.

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
        """The label of each bar and asset."""
        return forward_return(prices, self.horizon)


@dataclass(frozen=True)
class _OfLabel(Shown):
    """The base of labels that are made of another."""

    label: Any

    @property
    def horizon(self) -> int:
        """That of the label."""
        return int(self.label.horizon)


@dataclass(frozen=True)
class VolatilityScaled(_OfLabel):
    """A label divided by the volatility per bar that was known at its bar: each asset counts by its
    risk.

    Parameters
    ----------
    label : Label
    window : int
        Bars of returns up to the bar, for their root mean square; >= 2.
    """

    window: int = 21

    def of(self, prices: Any) -> np.ndarray:
        """The label of each bar and asset."""
        return np.asarray(self.label.of(prices) / volatility(prices, self.window))


@dataclass(frozen=True)
class Ranked(_OfLabel):
    """The rank of a label across the assets of its bar, from -1/2 to 1/2."""

    def of(self, prices: Any) -> np.ndarray:
        """The label of each bar and asset."""
        return np.asarray(ranks(self.label.of(prices)))


@dataclass(frozen=True)
class Excess(_OfLabel):
    """A label less that of a benchmark at the same bar.

    Parameters
    ----------
    label : Label
    benchmark : str, optional
        An asset of the panel; by default the mean of all assets.
    """

    benchmark: str | None = None

    def of(self, prices: Any) -> np.ndarray:
        """The label of each bar and asset."""
        values = self.label.of(prices)
        if self.benchmark is not None:
            own = prices.asset(self.benchmark)
            return np.asarray(values - values[:, own : own + 1])
        known = np.isfinite(values)
        total = np.where(known, values, 0.0).sum(axis=1, keepdims=True)
        return np.asarray(values - total / np.maximum(known.sum(axis=1, keepdims=True), 1))


@dataclass(frozen=True)
class Classes(_OfLabel):
    """The class of a label: how many of the edges it is above.

    Such labels go with `losses.CrossEntropy(values=(0.0, 1.0, 2.0))`, for two edges.

    Parameters
    ----------
    label : Label
    edges : tuple of float
        Increasing.
    """

    edges: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        if list(self.edges) != sorted(set(self.edges)) or not self.edges:
            raise InputError(f"Classes edges = {self.edges!r}: must be one or more, increasing")

    def of(self, prices: Any) -> np.ndarray:
        """The label of each bar and asset."""
        values = self.label.of(prices)
        classes = np.searchsorted(self.edges, values, side="left").astype(float)
        return np.where(np.isfinite(values), classes, np.nan)


@dataclass(frozen=True)
class TripleBarrier(Shown):
    """What a position earns until it first closes beyond a barrier, or its time is up: 1 where the
    upper barrier comes first, -1 where the lower one does, else the share of the way that it has
    gone.

    The barriers lie `up` and `down` times volatility x sqrt(horizon) from the fill, volatility
    being that of a bar, known at the label's bar. A position is looked at at closes.

    Parameters
    ----------
    horizon : int
        Bars after the fill.
    up, down : float
        Distances of the barriers; > 0.
    window : int
        Bars of the volatility; >= 2.

    References
    ----------
    Lopez de Prado (2018), section 3.4.
    """

    horizon: int = 21
    up: float = 1.0
    down: float = 1.0
    window: int = 21
    BARRIERS: ClassVar[tuple[str, str]] = ("up", "down")

    def __post_init__(self) -> None:
        whole(self.horizon, "horizon")
        for name in self.BARRIERS:
            if not getattr(self, name) > 0.0:
                raise InputError(f"TripleBarrier {name} = {getattr(self, name)!r}: must be > 0")

    def of(self, prices: Any) -> np.ndarray:
        """The label of each bar and asset."""
        return self._touched(prices)[0]

    def spans(self, prices: Any) -> np.ndarray:
        """Bars after its bar at which each label is decided; NaN where there is none."""
        return self._touched(prices)[1]

    def _touched(self, prices: Any) -> tuple[np.ndarray, np.ndarray]:
        value, paid, tradable = holding(prices)
        close = closes(prices)
        unit = volatility(prices, self.window) * np.sqrt(self.horizon)
        out, span = np.full(value.shape, np.nan), np.full(value.shape, np.nan)
        last = len(value) - 1 - self.horizon  # of the bars whose label is decided
        if last < 1:
            return out, span
        entry, scale = value[1 : last + 1], unit[:last]
        open_ = tradable[1 : last + 1] & np.isfinite(scale) & (scale > 0.0)
        decided = np.zeros(entry.shape, bool)
        with np.errstate(divide="ignore", invalid="ignore"):
            for k in range(self.horizon + 1):
                there = slice(1 + k, last + 1 + k)
                earned = (close[there] + paid[there] - paid[1 : last + 1]) / entry - 1.0
                way = np.where(earned > 0.0, earned / self.up, earned / self.down) / scale
                met = ~decided & ((np.abs(way) >= 1.0) | (k == self.horizon))
                out[:last][met] = np.clip(way, -1.0, 1.0)[met]
                span[:last][met] = 1.0 + k
                decided |= met
        out[:last][~open_] = np.nan
        span[:last][~open_] = np.nan
        return out, span


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
