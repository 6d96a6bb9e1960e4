"""Plots with matplotlib, from the `viz` extra."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from gpuquant.errors import InputError, missing, unknown


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


def equity_of(found: Any, columns: Any, ax: Any) -> Any:
    """Equity of the chosen columns."""
    equity = found.equity(columns)
    return equity_plot(equity.set_axis(found.names(equity.columns), axis=1), ax)


def account_plot(found: Any, columns: Any, ax: Any) -> Any:
    """One column: its equity, its drawdown, and its fills on the price."""
    column = int(np.atleast_1d(0 if columns is None else columns)[0])
    if ax is None:
        _axes_module()
        import matplotlib.pyplot as plt

        ax = plt.subplots(
            3, 1, figsize=(9, 8), sharex=True, height_ratios=(3, 1.2, 3), layout="constrained"
        )[1]
    top, middle, bottom = ax
    equity_of(found, [column], top)
    underwater_plot(found, [column], middle)
    orders, panel = found.orders([column]), found.account.panel
    for asset in dict.fromkeys(orders["asset"]) or panel.assets[:1]:
        own = orders[orders["asset"] == asset]
        line = bottom.plot(
            panel.index, panel.close[:, panel.asset(asset)], linewidth=0.9, label=str(asset)
        )[0]
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


def underwater_plot(found: Any, columns: Any, ax: Any) -> Any:
    """How far each column is below its highest equity."""
    ax = _axes(ax)
    equity = found.equity(columns)
    for column, name in zip(equity, found.names(equity.columns), strict=True):
        curve = np.concatenate([[found.account.cash], equity[column].to_numpy()])
        below = (curve / np.maximum.accumulate(curve) - 1.0)[1:]
        ax.fill_between(equity.index.to_numpy(), below, 0.0, alpha=0.35, label=name)
    _percent(ax)
    ax.set_ylabel("drawdown")
    ax.grid(alpha=0.3)
    return ax


def rolling_plot(found: Any, columns: Any, ax: Any, *, window: int = 252) -> Any:
    """The Sharpe ratio of the last `window` bars, annualised."""
    ax = _axes(ax)
    returns = found.returns(columns)
    rolled = returns.rolling(window)
    ratio = rolled.mean() / rolled.std() * np.sqrt(found.account.periods)
    for column, name in zip(ratio, found.names(ratio.columns), strict=True):
        ax.plot(ratio.index.to_numpy(), ratio[column].to_numpy(), linewidth=1.1, label=name)
    ax.axhline(0.0, color="#888", linewidth=0.8)
    ax.set_ylabel(f"Sharpe ratio of {window} bars")
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def exposure_plot(found: Any, columns: Any, ax: Any) -> Any:
    """Value held, long and short, as a share of equity."""
    ax = _axes(ax)
    panel = found.account.panel
    equity, held = found.equity(columns), found.positions(columns)
    for column, name in zip(equity, found.names(equity.columns), strict=True):
        own = held[column]
        value = own.to_numpy() * np.nan_to_num(
            panel.last_close[:, [panel.asset(a) for a in own.columns]]
        )
        worth = equity[column].to_numpy()[:, None]
        share = np.where(worth > 0.0, value / np.where(worth > 0.0, worth, 1.0), 0.0)
        ax.plot(
            equity.index.to_numpy(),
            np.maximum(share, 0.0).sum(axis=1),
            linewidth=0.9,
            label=f"{name}: long",
        )
        if (share < 0.0).any():
            ax.plot(
                equity.index.to_numpy(),
                np.minimum(share, 0.0).sum(axis=1),
                linewidth=0.9,
                label=f"{name}: short",
            )
    _percent(ax)
    ax.set_ylabel("exposure")
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def heatmap_plot(
    found: Any,
    columns: Any,
    ax: Any,
    *,
    x: str | None = None,
    y: str | None = None,
    measure: str = "sharpe",
) -> Any:
    """The median of a measure over all columns with each pair of two parameters."""
    names = [
        name
        for name, values in found.labels.items()
        if name not in ("asset", "account") and len(set(values)) > 1
    ]
    if x is None or y is None:
        if len(names) < 2:
            raise InputError("heatmap: needs a grid over two parameters")
        y, x = (
            ([*names, None])[:2]
            if x is None and y is None
            else (y or next(n for n in names if n != x), x or next(n for n in names if n != y))
        )
    frame = found.frame
    for name in (x, y, measure):
        if name not in frame:
            raise unknown("column", name, map(str, frame.columns))
    ax = _axes(ax)
    table = frame.pivot_table(index=y, columns=x, values=measure, aggfunc="median")
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
    ax.set_xlabel(str(x))
    ax.set_ylabel(str(y))
    ax.figure.colorbar(image, ax=ax, label=f"{measure}, median")
    return ax


def distribution_plot(found: Any, columns: Any, ax: Any, *, measure: str = "sharpe") -> Any:
    """How a measure is distributed over all columns."""
    if measure not in found.measures:
        raise unknown("measure", measure, found.measures)
    ax = _axes(ax)
    values = found.measures[measure]
    values = values[np.isfinite(values)]
    ax.hist(values, bins=min(80, max(10, len(values) // 10)), color="#4878a8")
    for share, colour in ((0.05, "#c44e52"), (0.5, "#333333"), (0.95, "#2a7f4f")):
        ax.axvline(
            np.quantile(values, share),
            color=colour,
            linewidth=1.4,
            label=f"{share:.0%}: {np.quantile(values, share):.3g}",
        )
    ax.set_xlabel(measure)
    ax.set_ylabel("columns")
    ax.legend()
    return ax


def _percent(ax: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    ax.yaxis.set_major_formatter(PercentFormatter(1.0))


KINDS = {
    "equity": equity_of,
    "account": account_plot,
    "underwater": underwater_plot,
    "rolling": rolling_plot,
    "exposure": exposure_plot,
    "heatmap": heatmap_plot,
    "distribution": distribution_plot,
}


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


def pnl_plot(risk: Any, ax: Any = None) -> Any:
    """Distribution of a book's profit and loss."""
    ax = _axes(ax)
    ax.hist(risk.total, bins=min(60, max(10, len(risk.total) // 8)), color="#4878a8")
    for label, loss, colour in (
        ("VaR 99 %", risk.var(0.99), "#c44e52"),
        ("ES 97.5 %", risk.expected_shortfall(0.975), "#8c1d1d"),
    ):
        ax.axvline(-loss, color=colour, linewidth=1.5, label=f"{label}: {np.round(loss):,.0f}")
    ax.set_xlabel("profit and loss")
    ax.set_ylabel("scenarios")
    ax.legend()
    return ax
