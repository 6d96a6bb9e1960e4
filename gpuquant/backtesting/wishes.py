"""What a caller wishes, as arrays that match a panel: signals, weights and amounts bar by bar, orders as tickets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.backtesting.coded import coded
from gpuquant.backtesting.terms import Size
from gpuquant.backtesting.tickets import TICKET
from gpuquant.columns import domains
from gpuquant.errors import DataError, InputError, unknown
from gpuquant.panel import Panel, dates_of
from gpuquant.rules.base import HOLD

if TYPE_CHECKING:
    import pandas as pd


def aligned(values: Any, panel: Panel, name: str) -> np.ndarray:
    """An array of the panel's shape, aligned by date and asset where it is a frame."""
    if hasattr(values, "reindex") and not hasattr(values, "columns"):
        raise InputError(f"{name} is a Series: must be a frame of dates by assets, or an array")
    if hasattr(values, "reindex"):
        extra = [c for c in values.columns if str(c) not in panel.assets]
        if extra:
            raise unknown(f"asset in {name}", extra[0], panel.assets)
        import pandas as pd

        frame = values.copy()
        frame.columns = [str(c) for c in frame.columns]
        frame.index = dates_of(frame.index)
        if not frame.index.is_unique:
            raise DataError(f"{name}: the date {frame.index[frame.index.duplicated()][0]} stands twice")
        if not len(frame.index.intersection(pd.DatetimeIndex(panel.dates))):
            raise DataError(f"{name}: none of the dates is a date of the prices")
        values = frame.reindex(index=pd.DatetimeIndex(panel.dates), columns=list(panel.assets))
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as failure:
        raise InputError(f"{name} must be numbers: {failure}") from failure
    if array.shape != panel.close.shape:
        raise DataError(f"{name} have shape {array.shape}: must be {panel.close.shape}, as the prices")
    return array


def goals(values: Any, panel: Panel, name: str) -> np.ndarray:
    """Target weights or amounts as an array of their own, each a number below HOLD, or NaN."""
    array = aligned(values, panel, name)
    array = array.copy() if np.may_share_memory(array, values) else array  # columns that are looked into are walked again
    for bad, allowed in ((np.isinf, "finite, or NaN for no change"), (lambda x: x >= HOLD, f"below {HOLD:g}")):
        _refuse(bad(array), array, panel, name, allowed)
    return array


def _refuse(bad: np.ndarray, array: np.ndarray, panel: Panel, name: str, allowed: str) -> None:
    """Raise for the first number that is bad."""
    if bad.any():
        row, col = map(int, np.argwhere(bad)[0])
        raise InputError(f"{name}[{panel.dates[row]}, {panel.assets[col]}] = {float(array[row, col])!r}: must be {allowed}")


def directions(signals: Any, panel: Panel, threads: int) -> np.ndarray:
    """Signals as the codes that the walk reads, each of 1, 0, -1 or NaN."""
    array = aligned(signals, panel, "signals")
    codes, sound = coded(array, threads)
    if not sound:
        _refuse(~np.isin(array, (1.0, 0.0, -1.0)) & ~np.isnan(array), array, panel, "signals", "1, 0, -1 or NaN")
    return codes


def tickets_of(orders: Any, panel: Panel, fill: str) -> np.ndarray:
    """A frame of orders as tickets, shape (orders, TICKET), in the order in which they are sent."""
    import pandas as pd

    if not isinstance(orders, pd.DataFrame):
        raise InputError(f"orders = {type(orders).__name__}: must be a frame with a row for each order")
    known = ("bar", "date", "asset", "size", "of", "limit", "stop", "bars", "group", "parent")
    for name in orders.columns:
        if name not in known:
            raise unknown("column of orders", str(name), known)
    if not len(orders):
        raise InputError("orders: the frame is empty")
    sent = _sent(orders, panel)
    out = np.full((len(orders), len(TICKET)), np.nan)
    place = {name: k for k, name in enumerate(TICKET)}
    if "asset" in orders:
        out[:, place["asset"]] = [panel.asset(str(name)) for name in orders["asset"]]
    elif len(panel.assets) == 1:
        out[:, place["asset"]] = 0.0
    else:
        raise InputError("orders lack the column 'asset'")
    for name in ("size", "limit", "stop", "bars"):
        out[:, place["until" if name == "bars" else name]] = _numbers(orders, name, above=0.0 if name != "size" else -np.inf)
    words = (*domains(Size)["of"].words, "holding")
    out[:, place["of"]] = [_of(word, row, words) for row, word in enumerate(orders["of"])] if "of" in orders else float(words.index("units"))
    out[:, place["group"]] = pd.factorize(orders["group"])[0] if "group" in orders else -1.0
    parent = _numbers(orders, "parent", above=-1.0)
    wrong = np.isfinite(parent) & ~(np.isin(parent, np.arange(len(orders))) & (parent != np.arange(len(orders))))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(f"orders parent[{row}] = {float(parent[row])!r}: must be the number of another row, counted from 0")
    later = 1 if fill == "next" else 0
    out[:, place["from"]] = sent + later
    life = out[:, place["until"]]
    out[:, place["until"]] = np.where(np.isnan(life), np.inf, sent + later + life - 1.0)
    out[:, place["at_close"]] = 0.0
    order = np.argsort(out[:, place["from"]], kind="stable")
    moved = np.empty(len(order))
    moved[order] = np.arange(len(order))
    out[:, place["parent"]] = [moved[int(p)] if p == p else -1.0 for p in parent]
    return np.ascontiguousarray(out[order])


def _sent(orders: pd.DataFrame, panel: Panel) -> np.ndarray:
    """The bar at which each order is sent."""
    if ("bar" in orders) == ("date" in orders):
        raise InputError("orders: give one of the columns 'bar' and 'date'")
    if "bar" in orders:
        bars = _numbers(orders, "bar", above=-1.0)
        wrong = ~(np.isfinite(bars) & (bars < panel.bars) & (bars == np.floor(bars)))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(f"orders bar[{row}] = {float(bars[row])!r}: must be a whole number from 0 to {panel.bars - 1}")
        return bars
    dates = dates_of(orders["date"]).to_numpy()
    at = np.searchsorted(panel.dates, dates)
    wrong = (at >= panel.bars) | (panel.dates[np.minimum(at, panel.bars - 1)] != dates)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(f"orders date[{row}] = {dates[row]}: is not a date of the prices")
    return at.astype(float)


def _of(word: Any, row: int, words: tuple[str, ...]) -> float:
    allowed = tuple(w for w in words if w != "risk")  # a resting order has no stop-loss to measure risk by
    if word not in allowed:
        raise InputError(f"orders of[{row}] = {word!r}: must be one of {', '.join(allowed)}")
    return float(words.index(word))


def _numbers(orders: pd.DataFrame, name: str, above: float) -> np.ndarray:
    """A column of numbers, NaN where it is missing, each above a bound."""
    if name not in orders:
        return np.full(len(orders), np.nan)
    try:
        values = orders[name].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as failure:
        raise InputError(f"orders {name}: must be numbers: {failure}") from failure
    wrong = ~np.isnan(values) & ~(np.isfinite(values) & (values > above))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(f"orders {name}[{row}] = {float(values[row])!r}: must be finite{f' and > {above:g}' if np.isfinite(above) else ''}")
    return values
