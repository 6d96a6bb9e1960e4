"""Trades, positions and drawdowns, read off an account's orders and equity."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("column", "asset", "direction", "size", "entry_bar", "entry_price", "entry_fee", "exit_bar", "exit_price", "exit_fee", "pnl", "return", "closed")
TINY = 1e-9  # of a holding: what rounding leaves of one that was closed


def trades(orders: pd.DataFrame, last: np.ndarray, bars: int, matching: str, assets: tuple[str, ...]) -> pd.DataFrame:
    """One row per closed part of a holding, and one per holding still open, valued at the last price.

    Parameters
    ----------
    orders : DataFrame
        Fills, as of `Backtest.orders`.
    last : array, shape (assets,)
        Last known price of each asset.
    bars : int
        Of the run.
    matching : str
        average: a sale is matched with the average of what is held; fifo: with what was bought first, a row for each part; position: from the
        first fill to the last of a holding, one row.
    """
    import pandas as pd

    rows: list[tuple[Any, ...]] = []
    for (column, asset), fills in orders.groupby(["column", "asset"], sort=False):
        side = np.where(fills["side"] == "buy", 1.0, -1.0)
        signed = list(zip(fills["bar"].tolist(), (side * fills["size"]).tolist(), fills["price"].tolist(), fills["fee"].tolist(), strict=True))
        price = float(last[assets.index(asset)])
        made = _fifo(signed, bars, price) if matching == "fifo" else _averaged(signed, bars, price, whole=matching == "position")
        rows += [(column, asset, *row) for row in made]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.sort_values(["column", "exit_bar", "entry_bar"], kind="stable").reset_index(drop=True)


def _row(way: float, size: float, entry: tuple[int, float, float], exit_: tuple[int, float, float], *, closed: bool) -> tuple[Any, ...]:
    """A trade from its two ends, each bar, price and fee."""
    gain = way * size * (exit_[1] - entry[1]) - entry[2] - exit_[2]
    return ("long" if way > 0 else "short", size, *entry, *exit_, gain, gain / (entry[1] * size), closed)


def _averaged(fills: list[tuple[int, float, float, float]], bars: int, price: float, *, whole: bool) -> Iterator[tuple[Any, ...]]:
    held, cost, fees, since = 0.0, 0.0, 0.0, 0
    out = [0.0, 0.0, 0.0]  # of a position: units sold, for what, with what fees
    into = [0.0, 0.0, 0.0]
    for bar, size, paid, fee in fills:
        way = 1.0 if held > 0 else -1.0
        if held * size < 0.0:
            part = min(abs(size), abs(held))
            share = part / abs(held)
            charged = fee * part / abs(size)
            if whole:
                out = [out[0] + part, out[1] + part * paid, out[2] + charged]
            else:
                yield _row(way, part, (since, cost / abs(held), fees * share), (bar, paid, charged), closed=True)
            cost, fees = cost * (1.0 - share), fees * (1.0 - share)
            left = held + size
            if abs(left) > TINY * abs(held) and left * held > 0.0:
                held = left
                continue
            if whole:
                yield _row(way, into[0], (since, into[1] / into[0], into[2]), (bar, out[1] / out[0], out[2]), closed=True)
                out, into = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
            held, cost, fees = 0.0, 0.0, 0.0
            size, fee = (left, fee - charged) if abs(left) > TINY * abs(size) else (0.0, 0.0)
        if size != 0.0:
            since = bar if held == 0.0 else since
            held, cost, fees = held + size, cost + abs(size) * paid, fees + fee
            into = [into[0] + abs(size), into[1] + abs(size) * paid, into[2] + fee]
    if held != 0.0 and whole:
        sold = (out[1] + abs(held) * price) / (out[0] + abs(held))
        yield _row(1.0 if held > 0 else -1.0, into[0], (since, into[1] / into[0], into[2]), (bars - 1, sold, out[2]), closed=False)
    elif held != 0.0:
        yield _row(1.0 if held > 0 else -1.0, abs(held), (since, cost / abs(held), fees), (bars - 1, price, 0.0), closed=False)


def _fifo(fills: list[tuple[int, float, float, float]], bars: int, price: float) -> Iterator[tuple[Any, ...]]:
    queue: deque[list[float]] = deque()  # bar, signed units, price, fee of each
    for bar, size, paid, fee in fills:
        rate = fee / abs(size)
        left = size
        while queue and queue[0][1] * left < 0.0:
            first = queue[0]
            part = min(abs(first[1]), abs(left))
            charged = first[3] * part / abs(first[1])
            yield _row(1.0 if first[1] > 0 else -1.0, part, (int(first[0]), first[2], charged), (bar, paid, rate * part), closed=True)
            left += part if left < 0.0 else -part
            first[1] -= part if first[1] > 0.0 else -part
            first[3] -= charged
            if abs(first[1]) < TINY * part:
                queue.popleft()
            if abs(left) < TINY * abs(size):
                left = 0.0
        if left != 0.0:
            queue.append([bar, left, paid, rate * abs(left)])
    for since, units, paid, fee in queue:
        yield _row(1.0 if units > 0 else -1.0, abs(units), (int(since), paid, fee), (bars - 1, price, 0.0), closed=False)


def drawdowns(equity: pd.DataFrame, cash: float) -> pd.DataFrame:
    """One row per fall from a highest equity: its peak, its lowest point, when the peak was met again, and how deep and how long it was."""
    import pandas as pd

    rows = []
    dates = equity.index
    for column in equity:
        curve = np.concatenate([[cash], equity[column].to_numpy()])
        peak = np.maximum.accumulate(curve)
        under = np.flatnonzero(curve < peak)
        for part in np.split(under, np.flatnonzero(np.diff(under) > 1) + 1) if len(under) else []:
            lowest = part[np.argmin(curve[part])]
            met = part[-1] + 1 < len(curve)
            day = [dates[max(k - 1, 0)] for k in (part[0] - 1, lowest)]
            rows.append((column, *day, dates[part[-1]] if met else pd.NaT, curve[lowest] / peak[lowest] - 1.0, len(part) + int(met)))
    return pd.DataFrame(rows, columns=["column", "peak", "lowest", "recovered", "depth", "bars"])
