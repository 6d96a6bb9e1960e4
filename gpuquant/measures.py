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


def from_sums(sums: dict[str, np.ndarray], bars: int, periods: float = PERIODS, market: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Measures of many columns from the running sums of the back-test walk.

    Parameters
    ----------
    sums : dict of arrays, shape (columns,)
        As named by `backtesting.kernel.SUMS`.
    bars : int
        Bars of every column, the flat ones before a rule's first decision among them.
    periods : float
        Bars a year.
    market : array, shape (bars,), optional
        Returns of a benchmark, for alpha and beta.
    """
    n = float(bars)
    years = n / periods
    root = math.sqrt(periods)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sums["s1"] / n
        second = np.maximum(sums["s2"] - n * mean * mean, 0.0)
        deviation = np.sqrt(second / (n - 1.0))
        central3 = sums["s3"] / n - 3.0 * mean * sums["s2"] / n + 2.0 * mean**3
        central4 = sums["s4"] / n - 4.0 * mean * sums["s3"] / n + 6.0 * mean**2 * sums["s2"] / n - 3.0 * mean**4
        biased = second / n
        growth = np.maximum(sums["growth"], 0.0) ** (1.0 / years) - 1.0
        ratio = mean / deviation
        skew, fourth = central3 / biased**1.5, central4 / biased**2
        lower = sums["up"] - sums["s1"]  # what was lost in the bars that lost
        ulcer = np.sqrt(sums["under2"] / n)
        out = {
            "total_return": sums["growth"] - 1.0,
            "cagr": growth,
            "volatility": deviation * root,
            "sharpe": ratio * root,
            "sharpe_error": np.sqrt(np.maximum(1.0 - skew * ratio + 0.25 * (fourth - 1.0) * ratio**2, 0.0) / (n - 1.0) * periods),
            "sortino": mean / np.sqrt(sums["down"] / n) * root,
            "omega": sums["up"] / lower,
            "max_drawdown": sums["depth"],
            "max_drawdown_bars": sums["longest"],
            "average_drawdown": -sums["under"] / n,
            "ulcer": ulcer,
            "calmar": growth / -sums["depth"],
            "martin": growth / ulcer,
            "recovery": (sums["growth"] - 1.0) / -sums["depth"],
            "skew": skew,
            "kurtosis": fourth - 3.0,
            "best_bar": sums["best"],
            "worst_bar": sums["worst"],
            "hit_rate": sums["ups"] / (sums["ups"] + sums["downs"]),
            "value_at_risk": -sums["low5"],
            "expected_shortfall": -sums["mean5"],
            "tail_ratio": sums["high5"] / -sums["low5"],
            "exposure": sums["exposed"] / n,
            **_of_trades(sums, years),
        }
        if market is not None:
            square = float((market * market).sum()) / n
            level = float(market.mean())
            spread_m = square - level * level
            together = sums["cross"] / n - mean * level
            beta = together / spread_m
            active = np.sqrt(np.maximum(biased - 2.0 * together + spread_m, 0.0) * n / (n - 1.0))
            out |= {
                "alpha": (mean - beta * level) * periods,
                "beta": beta,
                "correlation": together / np.sqrt(biased * spread_m),
                "tracking_error": active * root,
                "information_ratio": (mean - level) / active * root,
            }
    return out


TRADED = (
    "exposed", "orders", "rejects", "trades", "wins", "gained", "lost", "gain_squares", "best_trade", "worst_trade", "win_run", "loss_run", "kept",
    "longest_trade", "against", "along", "most_against", "fees", "turnover", "carried", "dividends", "calls",
)  # fmt: skip


def _of_trades(sums: dict[str, np.ndarray], years: float) -> dict[str, np.ndarray]:
    """What the orders and trades of each column came to, and what they cost."""
    trades, losers = sums["trades"], sums["trades"] - sums["wins"]
    gain = sums["gained"] - sums["lost"]
    spread = np.sqrt(np.maximum(sums["gain_squares"] / trades - (gain / trades) ** 2, 0.0))
    return {
        "orders": sums["orders"],
        "rejects": sums["rejects"],
        "trades": trades,
        "win_rate": sums["wins"] / trades,
        "profit_factor": sums["gained"] / sums["lost"],
        "expectancy": gain / trades,
        "average_win": sums["gained"] / sums["wins"],
        "average_loss": -sums["lost"] / losers,
        "payoff": sums["gained"] / sums["wins"] / (sums["lost"] / losers),
        "quality": np.sqrt(trades) * gain / trades / spread,
        "best_trade": sums["best_trade"],
        "worst_trade": sums["worst_trade"],
        "win_streak": sums["win_run"],
        "loss_streak": sums["loss_run"],
        "average_bars": sums["kept"] / trades,
        "longest_trade": sums["longest_trade"],
        "adverse_excursion": sums["against"] / trades,
        "worst_excursion": sums["most_against"],
        "favourable_excursion": sums["along"] / trades,
        "fees": sums["fees"],
        "turnover": sums["turnover"] / years,
        "carried": sums["carried"],
        "dividends": sums["dividends"],
        "margin_calls": sums["calls"],
    }


def sums_of(returns: np.ndarray, market: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """The sums of return series, shape (bars, columns), by the walk's definitions; trading sums are NaN."""
    returns = np.asarray(returns, dtype=float)
    returns = returns[:, None] if returns.ndim == 1 else returns
    growth = np.vstack([np.ones(returns.shape[1]), np.cumprod(1.0 + returns, axis=0)])
    peak = np.maximum.accumulate(growth, axis=0)
    high = growth >= peak
    order = np.arange(len(growth))[:, None]
    since = order - np.maximum.accumulate(np.where(high, order, 0), axis=0)
    under = (1.0 - growth / peak)[1:]
    nothing = np.full(returns.shape[1], np.nan)
    ordered = np.sort(returns, axis=0)
    n = len(returns)
    return {
        "growth": growth[-1],
        "s1": returns.sum(0),
        "s2": (returns**2).sum(0),
        "s3": (returns**3).sum(0),
        "s4": (returns**4).sum(0),
        "down": (np.minimum(returns, 0.0) ** 2).sum(0),
        "up": np.maximum(returns, 0.0).sum(0),
        "ups": (returns > 0.0).sum(0).astype(float),
        "downs": (returns < 0.0).sum(0).astype(float),
        "under": under.sum(0),
        "under2": (under**2).sum(0),
        "cross": nothing if market is None else (returns * market[:, None]).sum(0),
        "best": returns.max(0),
        "worst": returns.min(0),
        "depth": (growth / peak - 1.0).min(0),
        "longest": since.max(0).astype(float),
        "low5": ordered[max(math.ceil(0.05 * n - 1e-12) - 1, 0)],
        "mean5": np.array([-expected_shortfall(column, 0.95) for column in returns.T]),
        "high5": ordered[n - 1 - max(math.ceil(0.05 * n - 1e-12) - 1, 0)],
        **dict.fromkeys(TRADED, nothing),
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


def minimum_length(trials: int, sharpe: float) -> float:
    """Years of record below which the best of `trials` lucky ones would be expected to show this annual Sharpe ratio.

    (E[max of trials standard normals] / sharpe)^2 (Bailey, Borwein, Lopez de Prado and Zhu, 2014, theorem 1).
    """
    return (expected_best_sharpe(trials, 1.0) / sharpe) ** 2 if sharpe > 0.0 else float("nan")


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
