"""The page of a back-test: the frames and the words that its report shows."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant import disk
from gpuquant.reporting.html import FIGURES, Words, backtest_page

if TYPE_CHECKING:
    from gpuquant.backtesting.result import Backtest

ONE_TRIAL = (
    "Nothing is deflated: one trial is counted, and a ledger (ledger=, or with "
    "TrialLog(path):) counts all that is tried."
)
BEST = 20  # columns in the table of the best


def write(result: Backtest, path: Any) -> Path:
    """Write the page of a back-test: the best column, its Sharpe ratio deflated by the number of
    trials, and the distribution of all columns.
    """
    import pandas as pd

    path = disk.ready(path, "report", parents=True)  # fail before the page is computed
    best = result.deflated_sharpe()
    column = int(best["column"])
    dates = result.account.panel.clock
    equity, returns = result.equity([column]).iloc[:, 0], result.returns([column]).iloc[:, 0]
    growth = pd.DataFrame({"equity": equity.to_numpy() / result.account.cash}, index=dates)
    frame = pd.DataFrame(result.measures)
    names = [name for _, name, _ in FIGURES]
    kept = " kept" if len(result) < result.account.columns else ""
    known = int(np.isfinite(result.measures["sharpe"]).sum())
    title = f"Sharpe ratio of the {known} columns{kept}"
    top = np.argsort(-np.nan_to_num(frame["sharpe"], nan=-np.inf), kind="stable")[:BEST]
    shown = frame.iloc[top][["sharpe", "total_return", "max_drawdown", "orders"]]
    return backtest_page(
        Words("Back-test", _lead(result, best), result.meta, _headline(result, best)),
        growth,
        returns.set_axis(dates[-len(returns) :]),  # the first bar may have none
        frame.iloc[[column]][names].T.set_axis(["shown"], axis=1),
        frame["sharpe"].rename(title),
        shown.set_axis(result.names(top), axis=0),
        path,
    )


def _lead(result: Backtest, best: Any) -> str:
    span = result.account.panel.clock.astype("datetime64[D]")
    trials = int(best["trials"])
    free = " Trading is free here: no costs were given." if result.account.free else ""
    return (
        f"{span[0]} to {span[-1]}, {trials} column{'s' if trials != 1 else ''} tried; shown "
        f"is {result.names([int(best['column'])])[0]}.{free}"
    )


def _headline(result: Backtest, best: Any) -> str:
    error = result.measures["sharpe_error"][int(best["column"])]
    sharpe = f"Sharpe {best['sharpe']:.2f} &plusmn; {error:.2f}"
    trials = int(best["trials"])
    if trials == 1:
        return f"{sharpe}. {ONE_TRIAL}"
    return (
        f"Deflated Sharpe: probability <b>{best['deflated_sharpe']:.2f}</b> of a Sharpe ratio "
        f"above the luck of {trials} trials. {sharpe}; {html.escape(result.needed(best))}."
    )
