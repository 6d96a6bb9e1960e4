"""Entries and exits: signals that look at what an asset holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.backtesting.inputs import aligned
from gpuquant.data.panel import Panel
from gpuquant.device import Device
from gpuquant.errors import InputError
from gpuquant.shown import Shown

BITS = {"enter": 1.0, "exit": 2.0, "short": 4.0, "cover": 8.0}
ONLY_IF_FLAT = 16.0


@dataclass(frozen=True)
class Entries(Shown):
    """Entries and exits of each asset, for `gq.backtest(prices, signals=...)`.

    At each bar a long position looks at `exit` and a short one at `cover`, which close it; an entry
    opens, or turns what is held, unless its own exit stands at the same bar. What a decision finds
    is what the account holds, also where an order was refused or a stop has closed the position.

    Parameters
    ----------
    enter : DataFrame or array of truths, shape (bars, assets)
        Go long.
    exit : DataFrame or array of truths, optional
        Close a long position.
    short : DataFrame or array of truths, optional
        Go short.
    cover : DataFrame or array of truths, optional
        Close a short position.
    only_if_flat : bool
        An entry counts only while the asset holds nothing: it turns no position, and adds to none.

    Raises
    ------
    InputError
        What is neither true nor false, or an asset that shall go long and short at one bar, with
        its date and its name; by `gq.backtest`.

    Examples
    --------
    >>> import pandas as pd, gpuquant as gq
    >>> days = pd.bdate_range("2025-01-02", periods=5)
    >>> close = pd.DataFrame({"A": [10.0, 11.0, 12.0, 11.0, 10.0]}, index=days)
    >>> signals = gq.Entries(enter=close.diff() > 0, exit=close.diff() < 0)
    >>> one = gq.Size(size_type="units", amount=1.0)
    >>> found = gq.backtest(close, signals=signals, fill="same_close", size=one)
    >>> found.orders()[["bar", "side", "price"]].to_numpy().tolist()
    [[1, 'buy', 11.0], [3, 'sell', 11.0]]
    """

    enter: Any
    exit: Any = None
    short: Any = None
    cover: Any = None
    only_if_flat: bool = False

    def codes(self, panel: Panel, align: str) -> np.ndarray:
        """A number of `BITS` for each bar and asset."""
        host = Device("cpu")
        total = np.full(panel.close.shape, ONLY_IF_FLAT if self.only_if_flat else 0.0)
        seen = {}
        for name, bit in BITS.items():
            given = getattr(self, name)
            if given is None:
                continue
            values = np.nan_to_num(aligned(_truths(given), panel, name, host, align))
            _refuse((values != 0.0) & (values != 1.0), panel, f"{name}: must be true or false")
            total += bit * values
            seen[name] = values != 0.0
        if {"enter", "short"} <= set(seen):
            _refuse(seen["enter"] & seen["short"], panel, "enter and short: only one at a bar")
        return total


def _truths(given: Any) -> Any:
    """A frame in which what is not true is missing: of rows that fall on one bar any true one
    counts.
    """
    try:
        numbers = given.astype(float) if hasattr(given, "reindex") else None
    except (TypeError, ValueError):  # `aligned` says why
        numbers = None
    return given if numbers is None else numbers.where(numbers != 0.0)


def _refuse(wrong: np.ndarray, panel: Panel, why: str) -> None:
    """Raise for the first bar and asset where something is wrong."""
    if wrong.any():
        row, column = map(int, np.argwhere(wrong)[0])
        raise InputError(f"signals[{panel.index[row]}, {panel.assets[column]}], {why}")
