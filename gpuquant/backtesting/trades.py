"""Trades, positions and drawdowns, read off an account's orders and equity."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "column", "asset", "direction", "size", "entry_bar", "entry_price", "entry_fee", "exit_bar",
    "exit_price", "exit_fee", "dividends", "pnl", "return", "closed",
)  # fmt: skip
TINY = 1e-9  # share of a position; a smaller remainder after a sale is rounding


class Events:
    """Splits and dividends of one asset. They convert fills of different days to the same shares.

    Parameters
    ----------
    shares : array, shape (bars,)
        Number of shares that one share of the first bar has become by each bar.
    dividends : array, shape (bars,)
        Cash paid by each bar on one share of the first bar and the shares it has become.
    """

    def __init__(self, shares: np.ndarray, dividends: np.ndarray) -> None:
        self.shares, self.dividends = shares, dividends

    @classmethod
    def of(cls, panel: Any, asset: int) -> Events:
        """The events of an asset of a panel."""
        if panel.splits is None:
            nothing = np.zeros(panel.bars)
            return cls(nothing + 1.0, nothing)
        shares = panel.shares[:, asset]
        before = np.concatenate([[1.0], shares[:-1]])  # a dividend is paid before a split
        return cls(shares, np.cumsum(np.nan_to_num(panel.dividends[:, asset]) * before))


def trades(orders: pd.DataFrame, panel: Any, matching: str) -> pd.DataFrame:
    """One row per closed part of a holding, and one per holding still open, valued at the last
    price.

    Units and prices of a row are in shares at the exit: earlier fills are adjusted for splits. The
    profit includes the dividends paid between entry and exit.

    Parameters
    ----------
    orders : DataFrame
        Fills, as of `Backtest.orders`.
    panel : Panel
        The prices.
    matching : str
        average: a sale is matched with the average entry price of the position; fifo: a sale is
        matched with the earliest purchases, one row for each part; position: one row for each
        position, from its first fill to its last.
    """
    import pandas as pd

    rows: list[tuple[Any, ...]] = []
    for (column, asset), fills in orders.groupby(["column", "asset"], sort=False):
        number = panel.asset(asset)
        events = Events.of(panel, number)
        bars = fills["bar"].to_numpy()
        then = events.shares[bars]
        size = np.where(fills["side"] == "buy", 1.0, -1.0) * fills["size"].to_numpy() / then
        signed = list(
            zip(
                bars.tolist(),
                size.tolist(),
                (fills["price"].to_numpy() * then).tolist(),
                fills["fee"].tolist(),
                strict=True,
            )
        )
        last = float(panel.last_close[-1, number] * events.shares[-1])
        made = (
            _fifo(signed, events, last)
            if matching == "fifo"
            else _averaged(signed, events, last, whole=matching == "position")
        )
        rows += [(column, asset, *row) for row in made]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.sort_values(["column", "exit_bar", "entry_bar"], kind="stable").reset_index(
        drop=True
    )


def _row(
    way: float,
    size: float,
    entry: tuple[int, float, float],
    exit_: tuple[int, float, float],
    paid: float,
    events: Events,
    *,
    closed: bool,
) -> tuple[Any, ...]:
    """A trade from its two ends, each bar, price and fee, and the dividends between; given in
    shares of the first bar.
    """
    gain = way * size * (exit_[1] - entry[1]) + paid - entry[2] - exit_[2]
    now = float(events.shares[exit_[0]])
    ends = (entry[0], entry[1] / now, entry[2], exit_[0], exit_[1] / now, exit_[2])
    return (
        "long" if way > 0 else "short",
        size * now,
        *ends,
        paid,
        gain,
        gain / (entry[1] * size),
        closed,
    )


def _averaged(
    fills: list[tuple[int, float, float, float]], events: Events, price: float, *, whole: bool
) -> Iterator[tuple[Any, ...]]:
    held, cost, fees, since = 0.0, 0.0, 0.0, 0
    income, seen = 0.0, 0  # dividends of what is held, up to a bar
    out = [0.0] * 4  # of a position: units sold, for what, with what fees, and their dividends
    into = [0.0, 0.0, 0.0]
    for bar, size, paid, fee in fills:
        income += held * float(events.dividends[bar] - events.dividends[seen])
        seen = bar
        way = 1.0 if held > 0 else -1.0
        if held * size < 0.0:
            part = min(abs(size), abs(held))
            share = part / abs(held)
            charged = fee * part / abs(size)
            if whole:
                sold = (part, part * paid, charged, income * share)
                out = [a + b for a, b in zip(out, sold, strict=True)]
            else:
                entry = since, cost / abs(held), fees * share
                leaves = bar, paid, charged
                yield _row(way, part, entry, leaves, income * share, events, closed=True)
            cost, fees, income = cost * (1.0 - share), fees * (1.0 - share), income * (1.0 - share)
            left = held + size
            if abs(left) > TINY * abs(held) and left * held > 0.0:
                held = left
                continue
            if whole:
                entry, leaves = (since, into[1] / into[0], into[2]), (bar, out[1] / out[0], out[2])
                yield _row(way, into[0], entry, leaves, out[3], events, closed=True)
                out, into = [0.0] * 4, [0.0] * 3
            held, cost, fees, income = 0.0, 0.0, 0.0, 0.0
            size, fee = (left, fee - charged) if abs(left) > TINY * abs(size) else (0.0, 0.0)
        if size != 0.0:
            since = bar if held == 0.0 else since
            held, cost, fees = held + size, cost + abs(size) * paid, fees + fee
            into = [into[0] + abs(size), into[1] + abs(size) * paid, into[2] + fee]
    if held == 0.0:
        return
    way, end = 1.0 if held > 0 else -1.0, len(events.shares) - 1
    income += held * float(events.dividends[end] - events.dividends[seen])
    entry, leaves, size = (since, cost / abs(held), fees), (end, price, 0.0), abs(held)
    if whole:
        average = (out[1] + abs(held) * price) / (out[0] + abs(held))
        entry, leaves, size = (since, into[1] / into[0], into[2]), (end, average, out[2]), into[0]
        income += out[3]
    yield _row(way, size, entry, leaves, income, events, closed=False)


def _fifo(
    fills: list[tuple[int, float, float, float]], events: Events, price: float
) -> Iterator[tuple[Any, ...]]:
    queue: deque[list[float]] = deque()  # bar, signed units, price, fee of each

    def income(units: float, since: int, bar: int) -> float:
        return units * float(events.dividends[bar] - events.dividends[since])

    for bar, size, paid, fee in fills:
        rate = fee / abs(size)
        left = size
        while queue and queue[0][1] * left < 0.0:
            first = queue[0]
            way = 1.0 if first[1] > 0 else -1.0
            part = min(abs(first[1]), abs(left))
            charged = first[3] * part / abs(first[1])
            since = int(first[0])
            yield _row(
                way,
                part,
                (since, first[2], charged),
                (bar, paid, rate * part),
                income(way * part, since, bar),
                events,
                closed=True,
            )
            left += part if left < 0.0 else -part
            first[1] -= way * part
            first[3] -= charged
            if abs(first[1]) < TINY * part:
                queue.popleft()
            if abs(left) < TINY * abs(size):
                left = 0.0
        if left != 0.0:
            queue.append([bar, left, paid, rate * abs(left)])
    end = len(events.shares) - 1
    for began, units, paid, fee in queue:
        way = 1.0 if units > 0 else -1.0
        yield _row(
            way,
            abs(units),
            (int(began), paid, fee),
            (end, price, 0.0),
            income(units, int(began), end),
            events,
            closed=False,
        )


def drawdowns(equity: pd.DataFrame, cash: float) -> pd.DataFrame:
    """One row per fall from a highest equity: its peak, its lowest point, when the peak was met
    again, and how deep and how long it was.
    """
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
            rows.append(
                (
                    column,
                    *day,
                    dates[part[-1]] if met else pd.NaT,
                    curve[lowest] / peak[lowest] - 1.0,
                    len(part) + int(met),
                )
            )
    return pd.DataFrame(rows, columns=["column", "peak", "lowest", "recovered", "depth", "bars"])
