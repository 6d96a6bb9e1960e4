"""Measures of trades, each a function of their profits in order; `gpuquant.measures` has them all.

What is not defined is NaN: a ratio to nothing, a mean of no trades.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpuquant.device import on_host
from gpuquant.errors import InputError
from gpuquant.sums import TRADED, of_trades


def as_values(returns: Any, name: str = "returns") -> np.ndarray:
    """Returns as an array of float64, shape (bars,) or (bars, columns)."""
    returns = on_host(returns, name)
    try:
        values = np.asarray(returns, dtype=np.float64)
    except (TypeError, ValueError) as failure:
        raise InputError(f"{name}: must be numbers: {failure}") from failure
    if values.ndim not in (1, 2) or not values.size:
        raise InputError(
            f"{name} have shape {values.shape}: must be a series, or a table of one "
            "series a column, of one bar at least"
        )
    if np.isinf(values).any():
        raise InputError(
            f"{name}[{int(np.argwhere(np.isinf(values))[0][0])}] is infinite: must be "
            "finite, or NaN for no answer"
        )
    return values


def _trades(profits: Any) -> dict[str, np.ndarray]:
    """The sums of trades' profits, in their order."""
    gains = (
        np.ravel(as_values(profits, "profits"))[:, None] if np.size(profits) else np.zeros((0, 1))
    )
    won = gains > 0.0
    runs = [
        np.diff(np.flatnonzero(np.concatenate([[True], ~side[:, 0], [True]]))).max(initial=1) - 1
        for side in (won, ~won)
    ]
    nothing = np.full(1, np.nan)
    return {
        **dict.fromkeys(TRADED, nothing),
        "trades": np.full(1, float(len(gains))),
        "wins": won.sum(0).astype(float),
        "gross_profit": np.maximum(gains, 0.0).sum(0),
        "gross_loss": -np.minimum(gains, 0.0).sum(0),
        "squared_profit": (gains**2).sum(0),
        "best_trade": gains.max(0, initial=-np.inf),
        "worst_trade": gains.min(0, initial=np.inf),
        "win_streak": np.full(1, float(runs[0])),
        "loss_streak": np.full(1, float(runs[1])),
    }


def _of_profits(name: str, profits: Any) -> float:
    if np.isnan(np.asarray(profits, dtype=float)).any():
        return float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        result = float(of_trades(_trades(profits), 1.0)[name][0])
    return result if math.isfinite(result) else float("nan")


def win_rate(profits: Any) -> float:
    """Share of the trades that gained, of their profits in order."""
    return _of_profits("win_rate", profits)


def profit_factor(profits: Any) -> float:
    """What the winners gained over what the losers lost; NaN where nothing was lost."""
    return _of_profits("profit_factor", profits)


def expectancy(profits: Any) -> float:
    """Mean profit of a trade."""
    return _of_profits("expectancy", profits)


def average_win(profits: Any) -> float:
    """Mean profit of the trades that gained."""
    return _of_profits("average_win", profits)


def average_loss(profits: Any) -> float:
    """Mean loss of the trades that did not gain; negative."""
    return _of_profits("average_loss", profits)


def payoff_ratio(profits: Any) -> float:
    """The average win over the average loss."""
    return _of_profits("payoff_ratio", profits)


def sqn(profits: Any) -> float:
    """Root of the number of trades times mean over standard deviation (ddof 0) of their profits
    (Tharp's system quality number).
    """
    return _of_profits("sqn", profits)


def best_trade(profits: Any) -> float:
    """The largest profit."""
    return _of_profits("best_trade", profits)


def worst_trade(profits: Any) -> float:
    """The smallest profit."""
    return _of_profits("worst_trade", profits)


def win_streak(profits: Any) -> float:
    """The most trades in a row that gained."""
    return _of_profits("win_streak", profits)


def loss_streak(profits: Any) -> float:
    """The most trades in a row that did not gain."""
    return _of_profits("loss_streak", profits)
