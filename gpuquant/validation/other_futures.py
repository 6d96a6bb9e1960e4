"""Prices that end at a bar, or have other values after it: on both, a strategy without a leak gives
the same output up to that bar.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuquant.data.panel import Panel
from gpuquant.data.panel_checks import EXTRA_FIELDS


def bars_of(data: Any) -> int:
    """How many bars a panel, a frame, an array or a mapping of them has."""
    if isinstance(data, Panel):
        return data.bars
    return len(next(iter(data.values()))) if isinstance(data, dict) else len(data)


def dates_of(data: Any) -> Any:
    """Their dates; None where they have none."""
    if isinstance(data, Panel):
        return data.dates
    index = getattr(next(iter(data.values())) if isinstance(data, dict) else data, "index", None)
    return None if index is None else index.to_numpy()


def cut(data: Any, rows: int) -> Any:
    """The first `rows` bars."""
    if isinstance(data, Panel):
        return data.rows(np.arange(rows))
    if isinstance(data, dict):
        return {name: cut(part, rows) for name, part in data.items()}
    return data.iloc[:rows].copy() if hasattr(data, "iloc") else data[:rows].copy()


def other_future(data: Any, t: int, draw: np.random.Generator, *, whole_bar: bool) -> Any:
    """The same bars up to `t`, with other prices after it; a missing price stays missing. Without
    `whole_bar`, the prices of bar `t` besides its open change, too.
    """
    factor = float(np.exp(draw.normal(0.0, 0.2)) + 0.5)

    def moved(values: np.ndarray, begins: int) -> np.ndarray:
        out = np.array(values, dtype=np.float64)
        out[begins:] *= factor * np.exp(draw.normal(0.0, 0.05, out[begins:].shape))
        return out

    def begins(name: str) -> int:
        return t + 1 if whole_bar or name.lower() == "open" else t

    if isinstance(data, Panel):
        later = np.ones(data.close.shape)
        later[t + 1 :] = factor * np.exp(draw.normal(0.0, 0.05, later[t + 1 :].shape))
        own = later.copy()
        if not whole_bar:
            own[t] = factor
        more = data.extra_fields()
        close = data.close * own
        changed = {
            name: more[name] * (later if name == "open" else own)
            if name in ("open", "high", "low", "volume")
            else more[name]
            for name in more
        }
        for name, better in (("high", np.maximum), ("low", np.minimum)):
            if name in changed:
                changed[name] = better(changed[name], better(close, changed.get("open", close)))
        return data.replaced(
            close, {name: changed[name] for name in EXTRA_FIELDS if name in changed}
        )
    if isinstance(data, dict):
        return {
            name: part * 0.0 + moved(part.to_numpy(), begins(str(name)))
            for name, part in data.items()
        }
    if hasattr(data, "columns"):
        out = data.copy()
        for k, name in enumerate(data.columns):
            if data.dtypes.iloc[k].kind in "fiu":
                out[name] = moved(data.iloc[:, k].to_numpy(), begins(str(name)))
        return out
    return (
        data * 0.0 + moved(np.asarray(data), begins("close"))
        if hasattr(data, "index")
        else moved(data, begins("close"))
    )
