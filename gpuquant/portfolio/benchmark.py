"""The naive account that a strategy is measured against."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gpuquant.backtesting.engine import backtest
from gpuquant.backtesting.result import Backtest
from gpuquant.costs.base import Cost
from gpuquant.data.panel import Panel
from gpuquant.validation.overfitting import uncounted


@uncounted()
def equal_weight(panel: Panel, costs: Cost | None, cash: float, fill: str) -> Backtest:
    """The same share of every asset that trades, bought at the first bar of each month."""
    months = panel.clock.astype("datetime64[M]")
    first = np.concatenate([[True], months[1:] != months[:-1]])
    there = panel.listed[first]
    weights = np.full(panel.close.shape, np.nan)
    weights[first] = there / np.maximum(there.sum(axis=1, keepdims=True), 1)
    return backtest(panel, weights=weights, costs=costs, cash=cash, fill=fill)


def excess(account: Backtest, benchmark: Backtest) -> pd.Series:
    """Returns of an account less those of its benchmark, per bar."""
    result: pd.Series = account.returns()[0] - benchmark.returns()[0]
    return result
