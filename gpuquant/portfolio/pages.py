"""The pages of a fund and of a book's risk: the frames and the words that their reports show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant import disk
from gpuquant.reporting import html
from gpuquant.reporting.html import FIGURES, Words

if TYPE_CHECKING:
    from gpuquant.backtesting.result import Backtest
    from gpuquant.portfolio.fund_backtest import FundBacktest
    from gpuquant.portfolio.risk import Risk


def tear_sheet(fund: FundBacktest, baseline: Backtest, path: Any) -> Path:
    """Equity, drawdown, monthly returns, exposure and costs of a fund, with the baseline beside
    it.
    """
    import pandas as pd

    path = disk.ready(path, "report", parents=True)  # before the work of making it
    dates, start = fund.panel.clock, fund.account.account.cash
    own, naive = fund.equity.to_numpy(), baseline.equity()[0].to_numpy()
    returns, weights, orders = fund.returns, np.nan_to_num(fund.weights), fund.orders()
    fees = np.zeros(len(dates))
    np.add.at(fees, orders["bar"].to_numpy(), orders["fee"].to_numpy())
    measures = {"fund": fund.account.measures, "equal weight": baseline.measures}
    return html.tear_sheet(
        Words("Tear sheet", _lead(fund), fund.meta, _headline(fund)),
        pd.DataFrame({"fund": own / start, "equal weight": naive / start}, index=dates),
        returns.set_axis(dates[-len(returns) :]),  # the first bar may have none
        pd.DataFrame({"gross": np.abs(weights).sum(1), "net": weights.sum(1)}, index=dates),
        pd.Series(np.cumsum(fees), index=dates),
        pd.DataFrame(
            {
                who: {name: float(values[name][0]) for _, name, _ in FIGURES}
                for who, values in measures.items()
            }
        ),
        path,
    )


def _lead(fund: FundBacktest) -> str:
    span = fund.panel.clock.astype("datetime64[D]")
    costs = "without costs: trading is free here" if fund.costs is None else "after costs"
    return (
        f"Out of sample {span[0]} to {span[-1]} ({fund.sample}), {len(fund.panel.assets)} assets, "
        f"{costs}, "
        f"filled at the {'next bar' if fund.meta['fill'] == 'next' else 'same close'}."
    )


def _headline(fund: FundBacktest) -> str:
    ratio, error = (float(fund.account.measures[name][0]) for name in ("sharpe", "sharpe_error"))
    line = fund.headline().replace("+-", "&plusmn;")
    return (
        f"<b>{line[0].upper()}{line[1:]}.</b> Sharpe ratio {ratio:.2f} &plusmn; {error:.2f}; "
        f"information coefficient {fund.ic[0]:+.4f} &plusmn; {fund.ic[1]:.4f}."
    )


def risk_page(risk: Risk, path: Any) -> Path:
    """The distribution of profit and loss, the tail figures with intervals, and who contributes."""
    import pandas as pd

    path = disk.ready(path, "report", parents=True)  # before the work of making it
    worth = f"{risk.worth:,.0f}{f' {risk.currency}' if risk.currency else ''}"
    lead = (
        f"{len(risk.pnl)} scenarios, {risk.pnl.shape[1]} positions worth {worth}, every position "
        "revalued in full."
    )
    lost = len(risk.failed)
    if lost:
        fate = " are left out" if risk.partial else ": totals are not known"
        lead += f" {lost} without a price{fate}."
    return html.risk_page(
        Words("Risk", lead, risk.meta),
        pd.Series(risk.total),
        {"VaR 99 %": risk.var(0.99), "ES 97.5 %": risk.expected_shortfall(0.975)},
        risk.frame,
        pd.DataFrame({"value": risk.value, "contribution": risk.contributions()}),
        risk.failed,
        path,
    )
