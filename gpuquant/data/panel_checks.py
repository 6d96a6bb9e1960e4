"""Checks of a panel's arrays: their shapes, the dates, and the domain of every number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpuquant.errors import DataError

if TYPE_CHECKING:
    from gpuquant.data.panel import Panel

PRICES = ("open", "high", "low")
EXTRA_FIELDS = (
    *PRICES,
    "volume",
    "splits",
    "dividends",
    "delistings",
)  # what a panel may hold besides its closes


def check(panel: Panel) -> None:
    """Refuse a panel whose dates or prices cannot be, by row and column."""
    if panel.close.ndim != 2 or panel.close.shape != (len(panel.dates), len(panel.assets)):
        raise DataError(
            f"prices have shape {panel.close.shape}: must be ({len(panel.dates)} dates, "
            f"{len(panel.assets)} assets)"
        )
    if not panel.close.size:
        raise DataError("the panel is empty: needs at least one date and one asset")
    if len(set(panel.assets)) != len(panel.assets):
        raise DataError(
            f"asset {next(a for a in panel.assets if panel.assets.count(a) > 1)!r} stands twice"
        )
    steps = np.diff(panel.dates).astype(np.int64)
    for wrong, what in ((steps == 0, "stands twice"), (steps < 0, "comes after a later one")):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0]) + 1
            raise DataError(
                f"dates[{row}] = {panel.dates[row]} {what}: dates must increase, as "
                "after frame.sort_index()"
            )
    for name in ("close", *EXTRA_FIELDS):
        values = getattr(panel, name)
        if values is None:
            continue
        if values.shape != panel.close.shape:
            raise DataError(
                f"{name} has shape {values.shape}: must be {panel.close.shape}, as the closes"
            )
        _refuse(panel, name, *_outside(name, values, panel.allow_halts))
    belongs = panel.members
    if belongs is not None and (belongs.shape != panel.close.shape or belongs.dtype != np.bool_):
        raise DataError(
            f"members have shape {belongs.shape} and type {belongs.dtype}: must be "
            f"{panel.close.shape} of bool"
        )
    for name, other, nothing in (
        ("splits", panel.dividends, 1.0),
        ("dividends", panel.splits, 0.0),
    ):
        if getattr(panel, name) is None and other is not None:
            object.__setattr__(panel, name, np.broadcast_to(nothing, panel.close.shape))
    if panel.high is not None:
        _refuse(panel, "high", panel.high < panel.close, "must be the highest price of its bar")
    if panel.low is not None:
        _refuse(panel, "low", panel.low > panel.close, "must be the lowest price of its bar")
    if panel.open is not None:
        low, high = (
            np.broadcast_to(b, panel.close.shape) if v is None else v
            for v, b in ((panel.low, 0.0), (panel.high, np.inf))
        )
        _refuse(
            panel,
            "open",
            (panel.open < low) | (panel.open > high),
            "must be within the low and the high of its bar",
        )


def _refuse(panel: Panel, name: str, wrong: np.ndarray, rule: str) -> None:
    """Raise for the first wrong number."""
    if wrong.any():
        row, col = map(int, np.argwhere(wrong)[0])
        raise DataError(
            f"{name}[{panel.dates[row]}, {panel.assets[col]}] = "
            f"{float(getattr(panel, name)[row, col])!r}: {rule}"
        )


def _outside(name: str, values: np.ndarray, allow_halts: bool) -> tuple[np.ndarray, str]:
    """Where an array of a panel is wrong, and what it must be."""
    missing = np.isnan(values)
    with np.errstate(invalid="ignore"):
        if name == "delistings":
            return ~missing & ~(
                np.isfinite(values) & (values >= -1.0)
            ), "must be a return >= -1, or NaN where nothing ends"
        if name in ("volume", "dividends"):
            return ~(np.isfinite(values) & (values >= 0.0)) & ~(
                missing & allow_halts
            ), "must be finite and >= 0"
        wrong = ~(np.isfinite(values) & (values > 0.0))
    return (
        (wrong & ~missing, "must be > 0, or NaN where nothing trades")
        if allow_halts
        else (wrong, "must be finite and > 0; allow_halts=True takes a missing price for a halt")
    )
