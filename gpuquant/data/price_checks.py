"""Checks that numbers are prices: returns, and splits already in the prices, are refused."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.data.choices import loose
from gpuquant.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

FIELDS = {
    "close": "close", "open": "open", "high": "high", "low": "low", "volume": "volume",
    "vol": "volume", "last": "close", "closelast": "close",
    "adjclose": "adjusted", "adjustedclose": "adjusted", "closeadj": "adjusted", "splits": "splits",
    "stocksplits": "splits", "split": "splits",
    "splitratio": "splits", "dividends": "dividends", "dividend": "dividends",
    "dividendamount": "dividends", "capitalgains": "gains", "delistings": "delistings",
}  # fmt: skip


def _strange(column: str, columns: Any) -> str:
    near = get_close_matches(loose(column), FIELDS, n=1, cutoff=0.75)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    others = ", ".join(str(c) for c in columns if str(c) != column)
    return (
        f"column {column!r} is no field of prices, beside {others}{hint}: drop it, "
        f"frame.drop(columns=[{column!r}]), or give closes alone, "
        "Panel.from_frames(close=frame)"
    )


def _price_like(index: Any) -> bool:
    """Whether an index holds dates itself."""
    import pandas as pd

    return isinstance(index, pd.DatetimeIndex | pd.PeriodIndex) and index.is_unique


def _refuse_returns(close: pd.DataFrame) -> None:
    """Refuse numbers that are returns, not prices: small, and of both signs."""
    values = close.to_numpy()
    known = values[np.isfinite(values)]
    if known.size > 1 and (known < 0.0).mean() > 0.1 and np.median(np.abs(known)) < 0.5:
        raise DataError(
            "these are returns, not prices (small, and of both signs): Panel.of(100.0 * "
            "(1.0 + frame).cumprod()) makes prices of them"
        )


def _refuse_adjusted(close: pd.DataFrame, splits: pd.DataFrame) -> None:
    """Refuse a split at which the close does not jump: the prices are already adjusted, and the
    split would count twice.
    """
    ratio = splits.to_numpy()[1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = np.log(close.to_numpy()[1:] / close.to_numpy()[:-1])
        split = np.log(ratio)
        wrong = (np.abs(split) > 0.4) & (np.abs(moved + split) > np.abs(moved))
    if wrong.any():
        row, column = map(int, np.argwhere(wrong)[0])
        day, asset = str(close.index[row + 1]), str(close.columns[column])
        before, after = close.to_numpy(dtype=np.float64)[row : row + 2, column]
        raise DataError(
            f"splits[{day}, {asset}] = {ratio[row, column]:g}, but the close goes from "
            f"{before:g} to {after:g}: "
            "the prices are adjusted for it already; drop the column of splits, or say "
            "adjusted=True"
        )
