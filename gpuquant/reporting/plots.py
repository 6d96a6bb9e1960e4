"""Plots of frames and series with matplotlib, from the `viz` extra."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np

from gpuquant.errors import missing, unknown


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    _axes_module()
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(8, 4), layout="constrained")[1]


def _axes_module() -> None:
    if importlib.util.find_spec("matplotlib") is None:
        raise missing("matplotlib", "viz")


def equity_plot(equity: Any, ax: Any = None) -> Any:
    """Equity curves on a logarithmic axis, each under its column's name."""
    ax = _axes(ax)
    from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

    for name, values in equity.items():
        ax.plot(values.index.to_numpy(), values.to_numpy(), label=str(name), linewidth=1.2)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(EngFormatter(sep=" "))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylabel("equity, logarithmic")
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def account_plot(equity: Any, orders: Any, prices: Any, start: float, ax: Any = None) -> Any:
    """One account: its equity, its drawdown, and its fills on the prices of what it traded.

    `equity` has one column; `orders` the columns asset, side, date and price; `prices` a column
    for each asset to draw.
    """
    if ax is None:
        _axes_module()
        import matplotlib.pyplot as plt

        ax = plt.subplots(
            3, 1, figsize=(9, 8), sharex=True, height_ratios=(3, 1.2, 3), layout="constrained"
        )[1]
    top, middle, bottom = ax
    equity_plot(equity, top)
    underwater_plot(equity, start, middle)
    for asset, closes in prices.items():
        line = bottom.plot(closes.index, closes, linewidth=0.9, label=str(asset))[0]
        own = orders[orders["asset"] == asset]
        for side, mark, colour in (("buy", "^", "#2a7f4f"), ("sell", "v", "#c44e52")):
            done = own[own["side"] == side]
            bottom.scatter(
                done["date"],
                done["price"],
                marker=mark,
                s=22,
                color=colour,
                zorder=3,
                edgecolors=line.get_color(),
                linewidths=0.4,
            )
    bottom.set_ylabel("price, fills")
    bottom.grid(alpha=0.3)
    bottom.legend()
    return ax


def underwater_plot(equity: Any, start: float, ax: Any = None) -> Any:
    """How far each column is below its highest equity, the start among them."""
    ax = _axes(ax)
    for name, values in equity.items():
        curve = np.concatenate([[start], values.to_numpy()])
        below = (curve / np.maximum.accumulate(curve) - 1.0)[1:]
        ax.fill_between(equity.index.to_numpy(), below, 0.0, alpha=0.35, label=str(name))
    _percent(ax)
    ax.set_ylabel("drawdown")
    ax.grid(alpha=0.3)
    return ax


def rolling_plot(ratio: Any, window: int, ax: Any = None) -> Any:
    """Sharpe ratios of the last `window` bars, a column each."""
    ax = _axes(ax)
    for name, values in ratio.items():
        ax.plot(values.index.to_numpy(), values.to_numpy(), linewidth=1.1, label=str(name))
    ax.axhline(0.0, color="#888", linewidth=0.8)
    ax.set_ylabel(f"Sharpe ratio of {window} bars")
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def lines_plot(series: Any, label: str, ax: Any = None) -> Any:
    """One series over its index."""
    ax = _axes(ax)
    ax.plot(series.index.to_numpy(), series.to_numpy(), linewidth=1.3)
    ax.axhline(0.0, color="#888", linewidth=0.8)
    ax.set_ylabel(label)
    ax.grid(alpha=0.3)
    return ax


def exposure_plot(long: Any, short: Any, ax: Any = None) -> Any:
    """Value held long, and where there is any short, as a share of equity, a column each."""
    ax = _axes(ax)
    for (name, held), (_, lent) in zip(long.items(), short.items(), strict=True):
        for side, share in (("long", held), ("short", lent)):
            if side == "long" or (share < 0.0).any():
                ax.plot(
                    share.index.to_numpy(), share.to_numpy(), linewidth=0.9, label=f"{name}: {side}"
                )
    _percent(ax)
    ax.set_ylabel("exposure")
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def heatmap_plot(table: Any, label: str, ax: Any = None) -> Any:
    """A table of one number for each pair of two parameters, its index and its columns."""
    ax = _axes(ax)
    image = ax.imshow(table.to_numpy(), aspect="auto", origin="lower", cmap="viridis")
    for axis, values in ((ax.xaxis, table.columns), (ax.yaxis, table.index)):
        step = -(-len(values) // 12)
        axis.set_ticks(
            range(0, len(values), step),
            [
                f"{v:g}" if isinstance(v, int | float | np.number) else str(v)
                for v in values[::step]
            ],
        )
    ax.set_xlabel(str(table.columns.name))
    ax.set_ylabel(str(table.index.name))
    ax.figure.colorbar(image, ax=ax, label=label)
    return ax


def distribution_plot(values: Any, ax: Any = None) -> Any:
    """How the finite numbers of a series are distributed, by its name."""
    ax = _axes(ax)
    known = values[np.isfinite(values)]
    ax.hist(known, bins=min(80, max(10, len(known) // 10)), color="#4878a8")
    for share, colour in ((0.05, "#c44e52"), (0.5, "#333333"), (0.95, "#2a7f4f")):
        level = np.quantile(known, share)
        ax.axvline(level, color=colour, linewidth=1.4, label=f"{share:.0%}: {level:.3g}")
    ax.set_xlabel(str(values.name))
    ax.set_ylabel("columns")
    ax.legend()
    return ax


def _percent(ax: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    ax.yaxis.set_major_formatter(PercentFormatter(1.0))


def price_plot(frame: Any, x: str, y: str, ax: Any = None) -> Any:
    """A result column against a contract column."""
    for name in (x, y):
        if name not in frame:
            raise unknown("column", name, map(str, frame.columns))
    ax = _axes(ax)
    known = frame.dropna(subset=[y]).sort_values(x)
    error = known.get("std_error" if y == "price" else f"{y}_std_error")
    ax.errorbar(
        known[x],
        known[y],
        yerr=None if error is None else 2.0 * error,
        fmt=".",
        markersize=4,
        linewidth=0.8,
    )
    ax.set_xlabel(x)
    ax.set_ylabel(f"{y} (bars: two standard errors)")
    ax.grid(alpha=0.3)
    return ax


def pnl_plot(pnl: Any, marks: Mapping[str, float], ax: Any = None) -> Any:
    """Distribution of profit and loss over scenarios, with losses marked by name."""
    ax = _axes(ax)
    ax.hist(pnl, bins=min(60, max(10, len(pnl) // 8)), color="#4878a8")
    for (label, loss), colour in zip(marks.items(), ("#c44e52", "#8c1d1d"), strict=False):
        ax.axvline(-loss, color=colour, linewidth=1.5, label=f"{label}: {np.round(loss):,.0f}")
    ax.set_xlabel("profit and loss")
    ax.set_ylabel("scenarios")
    ax.legend()
    return ax
