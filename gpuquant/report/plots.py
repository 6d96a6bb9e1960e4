"""Plots with matplotlib, from the `viz` extra."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from gpuquant.errors import missing, unknown


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    if importlib.util.find_spec("matplotlib") is None:
        raise missing("matplotlib", "viz")
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(8, 4), layout="constrained")[1]


def equity_plot(equity: Any, ax: Any = None) -> Any:
    """Equity curves on a logarithmic axis, each under its column's name."""
    ax = _axes(ax)
    from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

    for name in equity:
        ax.plot(equity.index.to_numpy(), equity[name].to_numpy(), label=str(name), linewidth=1.2)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(EngFormatter(sep=" "))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylabel("equity, logarithmic")
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def price_plot(frame: Any, x: str, y: str, ax: Any = None) -> Any:
    """A result column against a contract column."""
    for name in (x, y):
        if name not in frame:
            raise unknown("column", name, map(str, frame.columns))
    ax = _axes(ax)
    known = frame.dropna(subset=[y]).sort_values(x)
    error = known.get("std_error" if y == "price" else f"{y}_std_error")
    ax.errorbar(known[x], known[y], yerr=None if error is None else 2.0 * error, fmt=".", markersize=4, linewidth=0.8)
    ax.set_xlabel(x)
    ax.set_ylabel(f"{y} (bars: two standard errors)")
    ax.grid(alpha=0.3)
    return ax


def pnl_plot(risk: Any, ax: Any = None) -> Any:
    """Distribution of a book's profit and loss."""
    ax = _axes(ax)
    ax.hist(risk.total, bins=min(60, max(10, len(risk.total) // 8)), color="#4878a8")
    for label, loss, colour in (("VaR 99 %", risk.var(0.99), "#c44e52"), ("ES 97.5 %", risk.expected_shortfall(0.975), "#8c1d1d")):
        ax.axvline(-loss, color=colour, linewidth=1.5, label=f"{label}: {np.round(loss):,.0f}")
    ax.set_xlabel("profit and loss")
    ax.set_ylabel("scenarios")
    ax.legend()
    return ax
