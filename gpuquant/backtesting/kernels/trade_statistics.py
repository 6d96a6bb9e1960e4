"""What the trades of an account come to: their profits, their lengths, and how far each went.

Kernel source.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.backtesting.kernels.flags import extra, flags
from gpuquant.backtesting.kernels.price_access import close_at, extra_at, shares_since, split_at
from gpuquant.backtesting.kernels.records import Account, Position, Run, Tally


def count_trade(run: Run, account: Account, tally: Tally, position: Position, j, profit, units, t):
    """Count a trade of `units` that has ended with `profit` at bar `t`."""
    tally.trades += 1.0
    tally.wins += 1.0 if profit > 0.0 else 0.0
    tally.gross_profit += max(profit, 0.0)
    tally.gross_loss -= min(profit, 0.0)
    tally.squared_profit += profit * profit
    first = tally.trades == 1.0
    tally.best_trade = profit if first else max(tally.best_trade, profit)
    tally.worst_trade = profit if first else min(tally.worst_trade, profit)
    streak = account.streak
    streak = (max(streak, 0.0) + 1.0) if profit > 0.0 else (min(streak, 0.0) - 1.0)
    account.streak = streak
    tally.win_streak = max(tally.win_streak, streak)
    tally.loss_streak = max(tally.loss_streak, -streak)
    length = f64(t - position.entry_bar)
    tally.bars_held += length
    tally.longest_trade = max(tally.longest_trade, length)
    entry_price = position.cost / units
    if flags.detail and (entry_price > 0.0):  # dividends may have paid back all that it cost
        count_excursions(run, tally, position, j, entry_price, units, t)


def count_excursions(run: Run, tally: Tally, position: Position, j, entry_price, units, t):
    """Count how far a trade went against its holder and for it, as shares of its entry price."""
    low, high = lowest_and_highest(run, j, t, position.entry_bar, entry_price)
    adverse = low / entry_price - 1.0 if units > 0.0 else 1.0 - high / entry_price
    favourable = high / entry_price - 1.0 if units > 0.0 else 1.0 - low / entry_price
    tally.adverse += min(adverse, 0.0)
    tally.favourable += max(favourable, 0.0)
    tally.most_adverse = min(tally.most_adverse, adverse)


def lowest_and_highest(run: Run, j, t, entry_bar, entry_price):
    """The lowest and the highest price from the close of the entry to bar `t`, of shares as they
    are now.

    `entry_price` is less all dividends. A price from before a dividend is lowered as the entry
    price was by then: low_q * (entry price now / entry price at q) / shares since q.
    """
    low = close_at(run.prices, j, entry_bar)
    high = low
    if flags.actions:
        low = 1e300
        high = 0.0
        entry_then = entry_price  # less the dividends up to bar q
        for n in range(t - entry_bar + 1):
            q = t - n
            worst, best = range_after_entry(run, j, q, entry_bar)
            scale = entry_price / entry_then / shares_since(run.prices, j, q, t)
            low = min(low, worst * scale)
            high = max(high, best * scale)
            entry_then += (
                extra_at(run.prices, extra.dividends, j, q)
                * extra_at(run.prices, extra.shares, j, q)
                / split_at(run.prices, j, q)
                / extra_at(run.prices, extra.shares, j, t)
            )
    else:
        for q in range(entry_bar + 1, t + 1):
            worst, best = range_after_entry(run, j, q, entry_bar)
            low = min(low, worst)
            high = max(high, best)
    return low, high


def range_after_entry(run: Run, j, q, entry_bar):
    """The lowest and the highest price of bar `q`; of the entry's bar, its close."""
    worst = close_at(run.prices, j, q)
    best = worst
    if flags.ranges and (q > entry_bar):
        worst = extra_at(run.prices, extra.low, j, q)
        best = extra_at(run.prices, extra.high, j, q)
    return worst, best
