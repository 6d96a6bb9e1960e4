"""The pictures of a back-test: the frames that each kind of plot draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.errors import InputError, unknown
from gpuquant.reporting import plots

if TYPE_CHECKING:
    import pandas as pd

    from gpuquant.backtesting.result import Backtest


def named(result: Backtest, frame: pd.DataFrame) -> pd.DataFrame:
    """A frame of columns of the back-test, under the names that a reader knows them by."""
    return frame.set_axis(result.names(frame.columns), axis=1)


def equity(result: Backtest, columns: Any, ax: Any) -> Any:
    """Equity of the chosen columns."""
    return plots.equity_plot(named(result, result.equity(columns)), ax)


def account(result: Backtest, columns: Any, ax: Any) -> Any:
    """One column: its equity, its drawdown, and its fills on the price."""
    column = int(np.atleast_1d(0 if columns is None else columns)[0])
    orders = result.orders([column])
    assets = list(dict.fromkeys(orders["asset"])) or list(result.account.panel.assets[:1])
    prices = result.account.panel.to_frame()[assets]
    curve = named(result, result.equity([column]))
    return plots.account_plot(curve, orders, prices, result.account.cash, ax)


def underwater(result: Backtest, columns: Any, ax: Any) -> Any:
    """How far each column is below its highest equity."""
    return plots.underwater_plot(named(result, result.equity(columns)), result.account.cash, ax)


def rolling(result: Backtest, columns: Any, ax: Any, *, window: int = 252) -> Any:
    """The Sharpe ratio of the last `window` bars, annualised."""
    rolled = named(result, result.returns(columns)).rolling(window)
    ratio = rolled.mean() / rolled.std() * np.sqrt(result.account.periods)
    return plots.rolling_plot(ratio, window, ax)


def exposure(result: Backtest, columns: Any, ax: Any) -> Any:
    """Value held, long and short, as a share of equity."""
    panel = result.account.panel
    worth, held = result.equity(columns), result.positions(columns)
    long, short = worth * 0.0, worth * 0.0
    for column in worth:
        own = held[column]
        value = own.to_numpy() * np.nan_to_num(
            panel.last_close[:, [panel.asset(a) for a in own.columns]]
        )
        whole = worth[column].to_numpy()[:, None]
        share = np.where(whole > 0.0, value / np.where(whole > 0.0, whole, 1.0), 0.0)
        long[column] = np.maximum(share, 0.0).sum(axis=1)
        short[column] = np.minimum(share, 0.0).sum(axis=1)
    return plots.exposure_plot(named(result, long), named(result, short), ax)


def heatmap(
    result: Backtest,
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
        for name, values in result.labels.items()
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
    frame = result.frame
    for name in (x, y, measure):
        if name not in frame:
            raise unknown("column", name, map(str, frame.columns))
    table = frame.pivot_table(index=y, columns=x, values=measure, aggfunc="median")
    return plots.heatmap_plot(table, f"{measure}, median", ax)


def distribution(result: Backtest, columns: Any, ax: Any, *, measure: str = "sharpe") -> Any:
    """How a measure is distributed over all columns."""
    if measure not in result.measures:
        raise unknown("measure", measure, result.measures)
    return plots.distribution_plot(result.frame[measure], ax)


KINDS = {
    "equity": equity,
    "account": account,
    "underwater": underwater,
    "rolling": rolling,
    "exposure": exposure,
    "heatmap": heatmap,
    "distribution": distribution,
}
