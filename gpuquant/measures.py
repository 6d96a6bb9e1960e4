"""Measures of returns, of trades, and of having tried many: each a function of a plain series.

Conventions, the same in back-tests, risk and reports:

- returns are simple, one fewer than the prices; n returns span n / `periods` years;
- standard deviations use ddof 1; annual figures count `periods` bars a year, by default read from
  the dates of a Series or a frame, and 252 without dates; the risk-free rate is 0;
- drawdowns are negative; a value at risk or an expected shortfall is positive for a loss;
- the quantile at level a of n outcomes is the outcome that has floor((1 - a) n) worse ones, without
  interpolation: of 100 outcomes at 95 % the sixth worst, since five are worse (McNeil, Frey and
  Embrechts, 2005, definition 2.10);
- an undefined measure, such as a division by zero or the mean of no trades, is NaN.

A function takes a list, an array, a Series or a frame of returns. It returns a float for one
series, and an array or a Series with one number per column for several series.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpuquant.data.arguments import scalar
from gpuquant.data.calendar import TRADING_DAYS, dates_of, frequency_of
from gpuquant.errors import InputError
from gpuquant.sums import from_sums, mean_of_worst, sums_of, worst
from gpuquant.trade_measures import as_values as _values
from gpuquant.trade_measures import average_loss as average_loss
from gpuquant.trade_measures import average_win as average_win
from gpuquant.trade_measures import best_trade as best_trade
from gpuquant.trade_measures import expectancy as expectancy
from gpuquant.trade_measures import loss_streak as loss_streak
from gpuquant.trade_measures import payoff_ratio as payoff_ratio
from gpuquant.trade_measures import profit_factor as profit_factor
from gpuquant.trade_measures import sqn as sqn
from gpuquant.trade_measures import win_rate as win_rate
from gpuquant.trade_measures import win_streak as win_streak
from gpuquant.trade_measures import worst_trade as worst_trade

EULER = 0.5772156649015329


def _in_callers_shape(result: Any, returns: Any) -> Any:
    """A float for one series; for several, a number each, by name where they have names."""
    if np.ndim(returns) == 1:
        return float(np.ravel(result)[0])
    if hasattr(returns, "columns"):
        import pandas as pd

        return pd.Series(np.ravel(result), index=returns.columns)
    return np.ravel(result)


def _a_year(periods: float | None, returns: Any) -> float:
    """Bars a year: `periods`, or as the dates have it where the returns have dates, else 252."""
    if periods is not None:
        return scalar("periods", periods)
    if not hasattr(getattr(returns, "index", None), "tz"):
        return TRADING_DAYS
    dates, zone = dates_of(returns.index)
    result = frequency_of(dates.to_numpy(), zone)
    if math.isnan(result.periods):
        raise InputError(
            "periods: how many bars a year has cannot be read off the dates "
            f"({result.label}): say it, such as periods=252"
        )
    return result.periods


def _measure(name: str, returns: Any, periods: float | None = None, benchmark: Any = None) -> Any:
    """One measure of plain returns, by the definitions of the back-test."""
    values = _values(returns)
    market = None if benchmark is None else _values(benchmark, "benchmark")
    if (
        benchmark is not None
        and hasattr(benchmark, "index")
        and hasattr(returns, "index")
        and not benchmark.index.equals(returns.index)
    ):
        raise InputError(
            "benchmark: its index must be that of the returns, date by date: "
            "benchmark.reindex(returns.index)"
        )
    if market is not None and market.shape != values.shape[:1]:
        raise InputError(
            f"benchmark has shape {market.shape}: must be ({len(values)},), a return for each bar"
        )
    periods = _a_year(periods, returns)
    result = from_sums(sums_of(values, market), len(values), periods, market)[name]
    return _in_callers_shape(np.where(np.isnan(values).any(axis=0), np.nan, result), returns)


def total_return(returns: Any) -> Any:
    """Growth over all bars, less one."""
    return _measure("total_return", returns)


def cagr(returns: Any, periods: float | None = None) -> Any:
    """Compound growth a year, (product of 1 + r)^(periods / n) - 1; -1 for what lost everything."""
    return _measure("cagr", returns, periods)


def volatility(returns: Any, periods: float | None = None) -> Any:
    """Standard deviation of the returns, ddof 1, times the root of `periods`."""
    return _measure("volatility", returns, periods)


def sharpe(returns: Any, periods: float | None = None) -> Any:
    """Mean over standard deviation (ddof 1), times the root of `periods` (Sharpe, 1994); NaN for
    returns that do not move.
    """
    return _measure("sharpe", returns, periods)


def sortino(returns: Any, periods: float | None = None) -> Any:
    """Mean over the root of the mean of min(r, 0)^2 over all bars, annualised (Sortino and Price,
    1994).

    As empyrical; skfolio divides by the semi-deviation from the mean, with ddof 1.
    """
    return _measure("sortino", returns, periods)


def omega(returns: Any) -> Any:
    """Sum of gains over sum of losses (Keating and Shadwick, 2002), as empyrical at a threshold
    of 0.
    """
    return _measure("omega", returns)


def max_drawdown(returns: Any) -> Any:
    """The largest drawdown of compounded equity from its running peak, which includes the start;
    negative.

    As in empyrical. skfolio's is positive, and sums returns unless it is told to compound.
    """
    return _measure("max_drawdown", returns)


def max_drawdown_bars(returns: Any) -> Any:
    """Length of the longest drawdown, in bars."""
    return _measure("max_drawdown_bars", returns)


def average_drawdown(returns: Any) -> Any:
    """Mean drawdown over all bars; negative.

    skfolio's is positive; QuantStats averages over the separate drawdowns.
    """
    return _measure("average_drawdown", returns)


def ulcer(returns: Any) -> Any:
    """Root of the mean squared drawdown over all bars (Martin and McCann, 1989), as in skfolio
    with compounded returns.
    """
    return _measure("ulcer", returns)


def calmar(returns: Any, periods: float | None = None) -> Any:
    """Compound growth a year over the deepest drawdown (Young, 1991), as empyrical."""
    return _measure("calmar", returns, periods)


def martin(returns: Any, periods: float | None = None) -> Any:
    """Compound growth a year over the ulcer index (Martin and McCann, 1989)."""
    return _measure("martin", returns, periods)


def recovery_factor(returns: Any) -> Any:
    """Total return over the deepest drawdown."""
    return _measure("recovery_factor", returns)


def skew(returns: Any) -> Any:
    """Third central moment over the 1.5th power of the variance, ddof 0, as scipy and skfolio;
    pandas corrects for n.
    """
    return _measure("skew", returns)


def kurtosis(returns: Any) -> Any:
    """Fourth central moment over the squared variance, ddof 0, less 3; skfolio does not subtract
    3, pandas corrects for n.
    """
    return _measure("kurtosis", returns)


def best_bar(returns: Any) -> Any:
    """The largest return."""
    return _measure("best_bar", returns)


def worst_bar(returns: Any) -> Any:
    """The smallest return."""
    return _measure("worst_bar", returns)


def hit_rate(returns: Any) -> Any:
    """Share of the bars with a gain among the bars with a gain or a loss."""
    return _measure("hit_rate", returns)


def tail_ratio(returns: Any) -> Any:
    """The 95 % quantile of the returns divided by the 95 % quantile of the losses; empyrical
    interpolates both.
    """
    return _measure("tail_ratio", returns)


def alpha(returns: Any, benchmark: Any, periods: float | None = None) -> Any:
    """Mean return less beta times the benchmark's, times `periods` (Jensen, 1968); empyrical
    compounds it.
    """
    return _measure("alpha", returns, periods, benchmark=benchmark)


def beta(returns: Any, benchmark: Any) -> Any:
    """Covariance with the benchmark over its variance, as empyrical."""
    return _measure("beta", returns, benchmark=benchmark)


def correlation(returns: Any, benchmark: Any) -> Any:
    """With the benchmark's returns."""
    return _measure("correlation", returns, benchmark=benchmark)


def tracking_error(returns: Any, benchmark: Any, periods: float | None = None) -> Any:
    """Standard deviation (ddof 1) of the returns less the benchmark's, annualised."""
    return _measure("tracking_error", returns, periods, benchmark=benchmark)


def information_ratio(returns: Any, benchmark: Any, periods: float | None = None) -> Any:
    """Mean of the returns less the benchmark's over their standard deviation, annualised
    (Grinold and Kahn, 1999).
    """
    return _measure("information_ratio", returns, periods, benchmark=benchmark)


def value_at_risk(returns: Any, level: float = 0.95) -> Any:
    """The smallest loss that is exceeded with a probability of no more than 1 - `level`, as
    skfolio; NaN when an outcome is.

    `returns` may be profits in money. empyrical interpolates, and gives a loss as negative.
    """
    ordered = np.sort(_values(returns), axis=0)
    return _in_callers_shape(
        np.where(np.isnan(ordered[-1]), np.nan, -worst(ordered, level_of(level))), returns
    )


def expected_shortfall(returns: Any, level: float = 0.95) -> Any:
    """Mean of the worst 1 - `level` of outcomes, positive for a loss, as skfolio's CVaR; NaN when
    one is NaN.

    The outcome at the boundary counts by its share (Rockafellar and Uryasev, 2002), so that it is
    continuous in the level and never below the value at risk.
    """
    ordered = np.sort(_values(returns), axis=0)
    return _in_callers_shape(
        np.where(np.isnan(ordered[-1]), np.nan, -mean_of_worst(ordered, level_of(level))), returns
    )


def level_of(level: Any) -> float:
    """A level of risk, refused where it is not within 0.5 and 1."""
    if not (isinstance(level, int | float | np.number) and 0.5 <= level < 1.0):
        raise InputError(f"level = {level!r}: must be within 0.5 and 1, such as 0.99")
    return float(level)


def sharpe_error(returns: Any, periods: float | None = None) -> Any:
    """Standard error of the annualised Sharpe ratio (Lo, 2002; Mertens, 2002): skew, fat tails and
    the dependence of each return on the one before are counted; see `sums.persistence`.
    """
    return _measure("sharpe_error", returns, periods)


def probabilistic_sharpe(returns: Any, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio per bar exceeds `benchmark` (Bailey and Lopez de
    Prado, 2012, eq. 9).
    """
    from statistics import NormalDist

    if _values(returns).ndim != 1:
        raise InputError("returns: must be one series: a probability is of one record")
    error = sharpe_error(returns, periods=1.0)
    return (
        NormalDist().cdf((sharpe(returns, 1.0) - benchmark) / error) if error > 0 else float("nan")
    )


def expected_best_sharpe(trials: int, spread: float) -> float:
    """Expected largest of `trials` Sharpe ratios of no skill whose standard deviation is
    `spread` (Bailey and Lopez de Prado, 2014).
    """
    from statistics import NormalDist

    if trials < 2:
        return 0.0
    inverse = NormalDist().inv_cdf
    return spread * (
        (1.0 - EULER) * inverse(1.0 - 1.0 / trials) + EULER * inverse(1.0 - 1.0 / (trials * math.e))
    )


def deflated_sharpe(returns: Any, trials: int, spread: float) -> float:
    """Probability that the true Sharpe ratio exceeds the expected largest Sharpe ratio of `trials`
    strategies without skill.

    `spread` is the standard deviation of the trials' Sharpe ratios per bar (Bailey and Lopez de
    Prado, 2014, eq. 2).
    """
    return probabilistic_sharpe(returns, expected_best_sharpe(trials, spread))


def minimum_length(trials: int, sharpe: float) -> float:
    """Minimum track record in years: on a shorter one, the best of `trials` strategies without
    skill is expected to exceed this annual Sharpe ratio.

    (E[max of trials standard normals] / sharpe)^2 (Bailey, Borwein, Lopez de Prado and Zhu, 2014,
    theorem 1).
    """
    return (expected_best_sharpe(trials, 1.0) / sharpe) ** 2 if sharpe > 0.0 else float("nan")
