"""What a caller gives, as arrays that match a panel: signals, weights and amounts bar by bar,
orders as rows of numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.backtesting.kernels.records import RestingOrder
from gpuquant.backtesting.settings import Size
from gpuquant.backtesting.signals import encode_signals
from gpuquant.data import files, readers, table_dates
from gpuquant.data.calendar import bars_at, dates_of
from gpuquant.data.choices import loose
from gpuquant.data.columns import domains
from gpuquant.data.panel import Panel
from gpuquant.device import Device, on_host
from gpuquant.errors import DataError, InputError, unknown
from gpuquant.rules.base import NO_CHANGE

if TYPE_CHECKING:
    import pandas as pd


ORDER_COLUMNS = (
    "bar", "date", "asset", "size", "size_type", "limit", "stop", "bars", "group", "parent",
)  # fmt: skip


def aligned(values: Any, panel: Panel, name: str, device: Device, align: str = "exact") -> Any:
    """An array of the panel's shape; a frame is aligned by date and asset. An array on the device
    stays there; all others are on the host.

    With `align="next"` a row dated between two bars belongs to the later bar. If several rows fall
    on one bar, the last known value of each asset counts.
    """
    if not hasattr(values, "columns") and (
        hasattr(values, "reindex") or (hasattr(values, "dtype") and hasattr(values, "to_list"))
    ):
        raise InputError(
            f"{name} is a Series: must be a frame of dates by assets, "
            f"series.to_frame('{panel.assets[0]}'), or an array"
        )
    values = (
        readers.dated(values, name)
        if hasattr(values, "__arrow_c_stream__") and not hasattr(values, "reindex")
        else values
    )
    if hasattr(values, "reindex"):
        columns = [str(c) for c in values.columns]
        extra = [c for c in columns if c not in panel.assets]
        if extra and loose(extra[0]) in table_dates.DATES:
            raise DataError(
                f"{name}: the dates are in the column {extra[0]!r}; they belong in the "
                f"index, frame.set_index({extra[0]!r})"
            )
        if extra:
            raise unknown(f"asset in {name}", extra[0], panel.assets)
        doubled = [c for c in columns if columns.count(c) > 1]
        if doubled:
            raise DataError(f"{name}: the asset {doubled[0]!r} stands twice")
        given = dates_of(values.index)[0]
        if not given.is_unique:
            raise DataError(f"{name}: the date {given[given.duplicated()][0]} stands twice")
        at = bars_at(values.index, panel.dates, panel.timezone, name, align)
        array = np.full(panel.close.shape, np.nan)
        order = np.argsort(given, kind="stable")
        given_numbers, places = (
            _numbers_of(values, name),
            np.array([panel.asset(c) for c in columns]),
        )
        for row in (
            order if len(set(at.tolist())) < len(at) else ()
        ):  # several rows on one bar: the last value of each asset that is not NaN counts
            given_here = ~np.isnan(given_numbers[row])
            array[at[row], places[given_here]] = given_numbers[row, given_here]
        if len(set(at.tolist())) == len(at):
            array[np.ix_(at, places)] = given_numbers
        return array
    array = (
        device.put(values, name, np.float64) if device.holds(values) else _numbers_of(values, name)
    )
    if array.shape != panel.close.shape:
        raise DataError(
            f"{name} have shape {array.shape}: must be {panel.close.shape}, as the prices"
        )
    return array


def _numbers_of(values: Any, name: str) -> np.ndarray:
    """An array or a frame as numbers on the host."""
    values = on_host(values, name)
    try:
        if hasattr(values, "columns"):
            return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as failure:
        raise InputError(f"{name} must be numbers: {failure}") from failure


def parse_targets(
    values: Any, panel: Panel, name: str, device: Device, align: str = "exact"
) -> Any:
    """Target weights or amounts in a new array; each is finite and below NO_CHANGE, or NaN."""
    values = values if device.holds(values) else on_host(values, name)
    array = aligned(values, panel, name, device, align)
    if device.holds(values) or np.may_share_memory(array, values):
        array = array.copy()  # a later run of chosen columns reads the copy
    for bad, allowed in (
        (np.isinf, "finite, or NaN for no change"),
        (lambda x: x >= NO_CHANGE, f"below {NO_CHANGE:g}"),
    ):
        _refuse(bad(array), array, panel, name, allowed)
    return array


def _refuse(bad: np.ndarray, array: np.ndarray, panel: Panel, name: str, allowed: str) -> None:
    """Raise for the first number that is bad."""
    if bad.any():
        row, col = map(int, np.argwhere(bad)[0])
        raise InputError(
            f"{name}[{panel.index[row]}, {panel.assets[col]}] = "
            f"{float(array[row, col])!r}: must be {allowed}"
        )


def parse_signals(signals: Any, panel: Panel, device: Device, align: str = "exact") -> Any:
    """Signals as the codes that the kernel reads, each of 1, 0, -1 or NaN."""
    array = aligned(signals, panel, "signals", device, align)
    codes, sound = encode_signals(
        array, device if device.holds(signals) else Device("cpu", threads=device.threads)
    )
    if not sound:
        _refuse(
            ~np.isin(array, (1.0, 0.0, -1.0)) & ~np.isnan(array),
            array,
            panel,
            "signals",
            "1, 0, -1 or NaN",
        )
    return codes


def resting_orders_of(orders: Any, panel: Panel, fill: str, align: str = "exact") -> np.ndarray:
    """A frame of orders as rows of numbers, shape (orders, numbers), in the order of sending."""
    import pandas as pd

    if hasattr(orders, "__arrow_c_stream__") and not isinstance(orders, pd.DataFrame):
        orders = files.as_pandas(orders)
    if not isinstance(orders, pd.DataFrame):
        raise InputError(
            f"orders = {type(orders).__name__}: must be a frame with a row for each order"
        )
    for name in orders.columns:
        if name not in ORDER_COLUMNS:
            raise unknown("column of orders", str(name), ORDER_COLUMNS)
    if not len(orders):
        raise InputError("orders: the frame is empty")
    sent = _sent(orders, panel, align)
    out = np.full((len(orders), len(RestingOrder.__annotations__)), np.nan)
    place = {name: k for k, name in enumerate(RestingOrder.__annotations__)}
    if "asset" in orders:
        out[:, place["asset"]] = [panel.asset(str(name)) for name in orders["asset"]]
    elif len(panel.assets) == 1:
        out[:, place["asset"]] = 0.0
    else:
        raise InputError("orders lack the column 'asset'")
    for name in ("size", "limit", "stop", "bars"):
        out[:, place["last_bar" if name == "bars" else name]] = _numbers(
            orders, name, above=0.0 if name != "size" else -np.inf
        )
    words = (*domains(Size)["size_type"].words, "holding")
    out[:, place["size_type"]] = (
        [_of(word, row, words) for row, word in enumerate(orders["size_type"])]
        if "size_type" in orders
        else float(words.index("units"))
    )
    out[:, place["group"]] = pd.factorize(orders["group"])[0] if "group" in orders else -1.0
    parent = _parents(orders)
    later = 1 if fill == "next" else 0
    out[:, place["first_bar"]] = sent + later
    life = out[:, place["last_bar"]]
    out[:, place["last_bar"]] = np.where(np.isnan(life), np.inf, sent + later + life - 1.0)
    out[:, place["at_close"]] = 0.0
    order = np.argsort(out[:, place["first_bar"]], kind="stable")
    moved = np.empty(len(order))
    moved[order] = np.arange(len(order))
    out[:, place["parent"]] = [moved[int(p)] if p == p else -1.0 for p in parent]
    return np.ascontiguousarray(out[order])


def _parents(orders: pd.DataFrame) -> np.ndarray:
    """The row whose fill each order waits for, NaN where it waits for none."""
    parent = _numbers(orders, "parent", above=-1.0)
    rows = np.arange(len(orders))
    wrong = np.isfinite(parent) & ~(np.isin(parent, rows) & (parent != rows))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"orders parent[{row}] = {float(parent[row])!r}: must be the number of "
            "another row, counted from 0"
        )
    return parent


def _sent(orders: pd.DataFrame, panel: Panel, align: str) -> np.ndarray:
    """The bar at which each order is sent."""
    if ("bar" in orders) == ("date" in orders):
        raise InputError("orders: give one of the columns 'bar' and 'date'")
    if "bar" in orders:
        bars = _numbers(orders, "bar", above=-1.0)
        wrong = ~(np.isfinite(bars) & (bars < panel.bars) & (bars == np.floor(bars)))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"orders bar[{row}] = {float(bars[row])!r}: must be a whole number from 0 "
                f"to {panel.bars - 1}"
            )
        return bars
    return bars_at(orders["date"], panel.dates, panel.timezone, "orders date", align).astype(float)


def _of(word: Any, row: int, words: tuple[str, ...]) -> float:
    # a resting order has no stop-loss to measure risk by
    allowed = tuple(w for w in words if w != "risk")
    if word not in allowed:
        raise InputError(f"orders size_type[{row}] = {word!r}: must be one of {', '.join(allowed)}")
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
        raise InputError(
            f"orders {name}[{row}] = {float(values[row])!r}: must be "
            f"finite{f' and > {above:g}' if np.isfinite(above) else ''}"
        )
    return values
