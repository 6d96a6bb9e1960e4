"""Measures from running sums, which a back-test adds up bar by bar, or `sums_of` computes from a
series of returns.

An undefined measure (a division by zero, the mean of no trades) is NaN, never infinite.
"""

from __future__ import annotations

import math

import numpy as np

from gpuquant.data.calendar import TRADING_DAYS

MOST_PERSISTENT = 0.99  # beyond this share the bars say next to nothing
STILL = 1e-12  # a variance below this share of the sum of squares is rounding error


def tail_mass(level: float, count: int) -> float:
    """The number (1 - level) * count of outcomes beyond a level, such as 5 of 500 at 0.99, free of
    the rounding error of 1 - level.
    """
    return round((1.0 - level) * count, 9)


def worst(ordered: np.ndarray, level: float) -> np.ndarray:
    """The quantile of n outcomes that ascend along the first axis: outcome number
    floor((1 - level) n) + 1, so that at most a share 1 - `level` of them lies below it.
    """
    return np.asarray(ordered[min(math.floor(tail_mass(level, len(ordered))), len(ordered) - 1)])


def mean_of_worst(ordered: np.ndarray, level: float) -> np.ndarray:
    """Mean of the worst 1 - `level` of ascending outcomes; the one at the boundary counts by its
    share (Rockafellar and Uryasev, 2002).
    """
    mass = tail_mass(level, len(ordered))
    if mass <= 1.0:
        return np.asarray(ordered[0])
    whole = math.floor(mass)
    total = ordered[:whole].sum(axis=0)
    return np.asarray((total + (mass - whole) * ordered[whole] if mass > whole else total) / mass)


def from_sums(
    sums: dict[str, np.ndarray],
    bars: int,
    periods: float = TRADING_DAYS,
    market: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Measures of many columns from the running sums of a back-test.

    Parameters
    ----------
    sums : dict of arrays, shape (columns,)
        As named by `backtesting.kernels.build.SUMS`.
    bars : int
        Returns of every column, the flat ones before a rule's first decision among them.
    periods : float
        Bars a year.
    market : array, shape (bars,), optional
        Returns of a benchmark, for alpha and beta.
    """
    n, root = float(bars), math.sqrt(periods)
    years = n / periods
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = sums["s1"] / n
        second = sums["s2"] - n * mean * mean
        # what stands still has no ratio
        second = np.where(second <= STILL * sums["s2"], 0.0, second)
        deviation = np.sqrt(second / (n - 1.0))
        central3 = sums["s3"] / n - 3.0 * mean * sums["s2"] / n + 2.0 * mean**3
        central4 = (
            sums["s4"] / n
            - 4.0 * mean * sums["s3"] / n
            + 6.0 * mean**2 * sums["s2"] / n
            - 3.0 * mean**4
        )
        biased = second / n
        growth = np.maximum(sums["growth"], 0.0) ** (1.0 / years) - 1.0
        ratio = mean / deviation
        skew, fourth = central3 / biased**1.5, central4 / biased**2
        lower = sums["up"] - sums["s1"]  # what was lost in the bars that lost
        ulcer = np.sqrt(sums["under2"] / n)
        has_tail = np.abs(sums["low5"]) > STILL * np.abs(sums["high5"])
        spread = np.maximum(1.0 - skew * ratio + 0.25 * (fourth - 1.0) * ratio**2, 0.0)
        spread *= persistence(sums["lagged"], sums["s1"], second, n)
        out = {
            "total_return": sums["growth"] - 1.0,
            "cagr": growth,
            "volatility": deviation * root,
            "sharpe": ratio * root,
            "sharpe_error": np.sqrt(spread / (n - 1.0) * periods),
            "sortino": mean / np.sqrt(sums["down"] / n) * root,
            "omega": sums["up"] / lower,
            "max_drawdown": sums["max_drawdown"],
            "max_drawdown_bars": sums["longest_drawdown"],
            "average_drawdown": -sums["under"] / n,
            "ulcer": ulcer,
            "calmar": growth / -sums["max_drawdown"],
            "martin": growth / ulcer,
            "recovery_factor": (sums["growth"] - 1.0) / -sums["max_drawdown"],
            "skew": skew,
            "kurtosis": fourth - 3.0,
            "best_bar": sums["best_return"],
            "worst_bar": sums["worst_return"],
            "hit_rate": sums["ups"] / (sums["ups"] + sums["downs"]),
            "value_at_risk": -sums["low5"],
            "expected_shortfall": -sums["mean5"],
            "tail_ratio": np.where(has_tail, sums["high5"] / -sums["low5"], np.nan),
            # filled at a close, the last bar is held for no time
            "exposure": np.minimum(sums["exposed"] / n, 1.0),
            **of_trades(sums, years),
        }
        if market is not None:
            out |= _against(sums["cross"], mean, biased, market, n, periods)
    return {name: np.where(np.isfinite(value), value, np.nan) for name, value in out.items()}


def persistence(lagged: np.ndarray, total: np.ndarray, second: np.ndarray, n: float) -> np.ndarray:
    """By how much the variance of a mean of n numbers is above that of independent ones, if each
    bar keeps a share rho of the one before: (1 + rho) / (1 - rho); never below 1.

    rho is the first autocorrelation, less its bias -(1 + 3 rho) / n (Marriott and Pope, 1954). The
    factor is that of Lo (2002), section "Time aggregation", for long samples.

    Parameters
    ----------
    lagged, total, second : array
        Sums of products with the number before, of the numbers, and of their squared deviations.
    n : float
        How many numbers.
    """
    share = (lagged - total * total / n * (1.0 - 1.0 / n)) / second
    share = np.clip(share + (1.0 + 3.0 * share) / n, 0.0, MOST_PERSISTENT)
    return np.asarray(np.where(np.isfinite(share), (1.0 + share) / (1.0 - share), 1.0))


def _against(
    cross: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    market: np.ndarray,
    n: float,
    periods: float,
) -> dict[str, np.ndarray]:
    """Measures against a benchmark's returns; `cross` sums return times the benchmark's."""
    square = float((market * market).sum()) / n
    level = float(market.mean())
    spread_m = square - level * level
    together = cross / n - mean * level
    beta = together / spread_m
    active = np.sqrt(np.maximum(variance - 2.0 * together + spread_m, 0.0) * n / (n - 1.0))
    return {
        "alpha": (mean - beta * level) * periods,
        "beta": beta,
        "correlation": together / np.sqrt(variance * spread_m),
        "tracking_error": active * math.sqrt(periods),
        "information_ratio": (mean - level) / active * math.sqrt(periods),
    }


TRADED = (
    "exposed", "orders", "rejects", "trades", "wins", "gross_profit", "gross_loss",
    "squared_profit", "best_trade", "worst_trade", "win_streak", "loss_streak", "bars_held",
    "longest_trade", "adverse", "favourable", "most_adverse", "fees", "turnover", "financing",
    "dividends", "margin_calls",
)  # fmt: skip


def of_trades(sums: dict[str, np.ndarray], years: float) -> dict[str, np.ndarray]:
    """What the orders and trades of each column came to, and what they cost."""
    trades, losers = sums["trades"], sums["trades"] - sums["wins"]
    gain = sums["gross_profit"] - sums["gross_loss"]
    second = sums["squared_profit"] / trades - (gain / trades) ** 2
    spread = np.sqrt(
        np.where(second <= STILL * sums["squared_profit"], 0.0, second)
    )  # trades that all gain the same have no ratio
    return {
        "orders": sums["orders"],
        "rejects": sums["rejects"],
        "trades": trades,
        "win_rate": sums["wins"] / trades,
        "profit_factor": sums["gross_profit"] / sums["gross_loss"],
        "expectancy": gain / trades,
        "average_win": sums["gross_profit"] / sums["wins"],
        "average_loss": -sums["gross_loss"] / losers,
        "payoff_ratio": sums["gross_profit"] / sums["wins"] / (sums["gross_loss"] / losers),
        "sqn": np.sqrt(trades) * gain / trades / spread,
        "best_trade": sums["best_trade"],
        "worst_trade": sums["worst_trade"],
        "win_streak": sums["win_streak"],
        "loss_streak": sums["loss_streak"],
        "avg_holding_bars": sums["bars_held"] / trades,
        "longest_trade": sums["longest_trade"],
        "adverse_excursion": sums["adverse"] / trades,
        "worst_excursion": sums["most_adverse"],
        "favourable_excursion": sums["favourable"] / trades,
        "fees": sums["fees"],
        "turnover": sums["turnover"] / years,
        "financing_cost": sums["financing"],
        "dividends": sums["dividends"],
        "margin_calls": sums["margin_calls"],
    }


def sums_of(returns: np.ndarray, market: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """The sums of return series, shape (bars, columns), by the definitions of a back-test; trading
    sums are NaN.
    """
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
    return {
        "growth": growth[-1],
        "s1": returns.sum(0),
        "s2": (returns**2).sum(0),
        "s3": (returns**3).sum(0),
        "s4": (returns**4).sum(0),
        "lagged": (returns[1:] * returns[:-1]).sum(0),
        "down": (np.minimum(returns, 0.0) ** 2).sum(0),
        "up": np.maximum(returns, 0.0).sum(0),
        "ups": (returns > 0.0).sum(0).astype(float),
        "downs": (returns < 0.0).sum(0).astype(float),
        "under": under.sum(0),
        "under2": (under**2).sum(0),
        "cross": nothing if market is None else (returns * market[:, None]).sum(0),
        "best_return": returns.max(0),
        "worst_return": returns.min(0),
        "max_drawdown": (growth / peak - 1.0).min(0),
        "longest_drawdown": since.max(0).astype(float),
        "low5": worst(ordered, 0.95),
        "mean5": mean_of_worst(ordered, 0.95),
        "high5": -worst(-ordered[::-1], 0.95),
        **dict.fromkeys(TRADED, nothing),
    }


NAMES = tuple(
    from_sums(sums_of(np.zeros((2, 1)), np.zeros(2)), 2, market=np.zeros(2))
)  # of every measure
