"""Measures of a return series or of a back-test's running sums, and the honesty of having tried many.

Conventions: simple returns per bar; standard deviations with ddof 1; annualised by `periods` bars a year (252 unless said);
the risk-free rate is 0; drawdowns are negative. Every function takes arrays and works on all columns at once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

PERIODS = 252.0
EULER = 0.5772156649015329


def from_sums(sums: dict[str, np.ndarray], bars: int, periods: float = PERIODS) -> dict[str, np.ndarray]:
    """Measures of many columns from the running sums of the back-test walk.

    Parameters
    ----------
    sums : dict of arrays, shape (columns,)
        As named by `backtest.engine.SUMS`.
    bars : int
        Bars of every column, the flat ones before a rule's first decision among them.
    periods : float
        Bars a year.
    """
    n = float(bars)
    years = n / periods
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sums["s1"] / n
        second = np.maximum(sums["s2"] - n * mean * mean, 0.0)
        deviation = np.sqrt(second / (n - 1.0))
        central3 = sums["s3"] / n - 3.0 * mean * sums["s2"] / n + 2.0 * mean**3
        central4 = sums["s4"] / n - 4.0 * mean * sums["s3"] / n + 6.0 * mean**2 * sums["s2"] / n - 3.0 * mean**4
        biased = second / n
        growth = np.maximum(sums["growth"], 0.0) ** (1.0 / years) - 1.0
        out = {
            "total_return": sums["growth"] - 1.0,
            "cagr": growth,
            "volatility": deviation * math.sqrt(periods),
            "sharpe": mean / deviation * math.sqrt(periods),
            "sortino": mean / np.sqrt(sums["down"] / n) * math.sqrt(periods),
            "max_drawdown": sums["depth"],
            "max_drawdown_bars": sums["longest"],
            "calmar": growth / -sums["depth"],
            "skew": central3 / biased**1.5,
            "kurtosis": central4 / biased**2 - 3.0,
            "best_bar": sums["best"],
            "worst_bar": sums["worst"],
            "exposure": sums["exposed"] / n,
            "orders": sums["orders"],
            "trades": sums["trades"],
            "win_rate": sums["wins"] / sums["trades"],
            "profit_factor": sums["gained"] / sums["lost"],
            "expectancy": (sums["gained"] - sums["lost"]) / sums["trades"],
            "fees": sums["fees"],
            "turnover": sums["turnover"] / years,
        }
    return out


def sums_of(returns: np.ndarray) -> dict[str, np.ndarray]:
    """The sums of return series, shape (bars, columns), by the walk's definitions; trading sums are NaN."""
    returns = np.asarray(returns, dtype=float)
    returns = returns[:, None] if returns.ndim == 1 else returns
    growth = np.vstack([np.ones(returns.shape[1]), np.cumprod(1.0 + returns, axis=0)])
    peak = np.maximum.accumulate(growth, axis=0)
    high = growth >= peak
    order = np.arange(len(growth))[:, None]
    since = order - np.maximum.accumulate(np.where(high, order, 0), axis=0)
    nothing = np.full(returns.shape[1], np.nan)
    return {
        "growth": growth[-1],
        "s1": returns.sum(0),
        "s2": (returns**2).sum(0),
        "s3": (returns**3).sum(0),
        "s4": (returns**4).sum(0),
        "down": (np.minimum(returns, 0.0) ** 2).sum(0),
        "best": returns.max(0),
        "worst": returns.min(0),
        "depth": (growth / peak - 1.0).min(0),
        "longest": since.max(0).astype(float),
        **dict.fromkeys(("exposed", "orders", "trades", "wins", "gained", "lost", "fees", "turnover"), nothing),
    }


def sharpe(returns: Any, periods: float = PERIODS) -> float:
    """Annualised Sharpe ratio of one series."""
    returns = np.asarray(returns, dtype=float)
    deviation = returns.std(ddof=1)
    return float(returns.mean() / deviation * math.sqrt(periods)) if deviation > 0 else float("nan")


def sharpe_error(returns: Any, periods: float = PERIODS) -> float:
    """Standard error of the annualised Sharpe ratio (Lo, 2002; Mertens, 2002: skew and fat tails counted)."""
    returns = np.asarray(returns, dtype=float)
    n, deviation = len(returns), returns.std()
    if n < 3 or deviation == 0:
        return float("nan")
    z = (returns - returns.mean()) / deviation
    s = returns.mean() / deviation
    skew, kurtosis = float((z**3).mean()), float((z**4).mean())
    return math.sqrt(max(1.0 - skew * s + 0.25 * (kurtosis - 1.0) * s * s, 0.0) / (n - 1.0) * periods)


def probabilistic_sharpe(returns: Any, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio per bar exceeds `benchmark` (Bailey and Lopez de Prado, 2012, eq. 9)."""
    from statistics import NormalDist

    returns = np.asarray(returns, dtype=float)
    error = sharpe_error(returns, periods=1.0)
    return NormalDist().cdf((sharpe(returns, 1.0) - benchmark) / error) if error > 0 else float("nan")


def expected_best_sharpe(trials: int, spread: float) -> float:
    """Expected largest of `trials` Sharpe ratios of no skill whose standard deviation is `spread` (Bailey and Lopez de Prado, 2014)."""
    from statistics import NormalDist

    if trials < 2:
        return 0.0
    inverse = NormalDist().inv_cdf
    return spread * ((1.0 - EULER) * inverse(1.0 - 1.0 / trials) + EULER * inverse(1.0 - 1.0 / (trials * math.e)))


def deflated_sharpe(returns: Any, trials: int, spread: float) -> float:
    """Probability that the true Sharpe ratio exceeds what the best of `trials` lucky ones would show.

    `spread` is the standard deviation of the trials' Sharpe ratios per bar (Bailey and Lopez de Prado, 2014, eq. 2).
    """
    return probabilistic_sharpe(returns, expected_best_sharpe(trials, spread))


def value_at_risk(pnl: np.ndarray, level: float) -> float:
    """The loss that is exceeded with probability 1 - `level`: an empirical quantile, positive for a loss; NaN when an outcome is."""
    if np.isnan(pnl).any():
        return float("nan")
    return float(-np.quantile(pnl, 1.0 - level, method="inverted_cdf"))


def expected_shortfall(pnl: np.ndarray, level: float) -> float:
    """Mean of the worst 1 - `level` of outcomes, positive for a loss; the boundary outcome counts by its share; NaN when one is."""
    if np.isnan(pnl).any():
        return float("nan")
    ordered = np.sort(np.asarray(pnl, dtype=float))
    mass = (1.0 - level) * len(ordered)
    whole = math.floor(mass + 1e-12)
    part = max(mass - whole, 0.0)
    total = ordered[:whole].sum() + (part * ordered[whole] if part > 1e-12 else 0.0)
    return float(-total / mass)
