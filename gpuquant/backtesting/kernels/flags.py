"""What a run does: the switches that its kernel is made for.

`flags.stops` and the like are decided when a kernel is made, and what they switch off is left out
of it: in a kernel's functions `flags` and `extra` stand for the run's own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flags:
    """What a run does, and what its kernel therefore holds.

    Parameters
    ----------
    signals : bool
        The rule decides a direction for each asset; False with targets or weights.
    targets : bool
        The rule decides units to hold; with neither this nor `signals`, shares of the equity.
    sees_account : bool
        The rule looks at the account when it decides.
    priced : bool
        The rule gives a limit and a stop price with its decision.
    pyramiding : bool
        A repeated entry adds to the position.
    long_only : bool
        Positions are never short.
    short_only : bool
        Positions are never long.
    lots : bool
        Orders are rounded to whole lots.
    partial_fills : bool
        An order that is too large is cut, not refused.
    volumes : bool
        The bar's volume limits an order, or enters its cost.
    stops : bool
        Positions have stop-losses, take-profits or trailing stops.
    ranges : bool
        The panel has the high and the low of each bar.
    close_only : bool
        Only the close of a bar triggers a stop.
    max_holding : bool
        A position ends after `max_holding_bars`.
    trails : bool
        Stops follow the best price since the entry.
    trails_close : bool
        That best price is of closes alone, not of highs and lows.
    entry_from_close : bool
        Stops are measured from the close of the entry's bar, not from the fill.
    entry_from_signal : bool
        Stops are measured from the close of the bar before the entry's.
    entry_bar : bool
        The rest of the entry's own bar can trigger a stop.
    stops_slip : bool
        A fill by a stop pays slippage.
    limits_slip : bool
        A fill by a take-profit pays slippage.
    margin : bool
        The account may borrow up to its leverage.
    lock_short_proceeds : bool
        The proceeds of short sales are locked and buy nothing.
    sequential_cash : bool
        Purchases take the cash one after the other; else one factor cuts all.
    allow_halts : bool
        An asset may have no price, and so not trade, at a bar.
    actions : bool
        Assets split and pay dividends.
    delistings : bool
        Assets end, with a return at their end.
    financing : bool
        Cash earns interest, debt and borrowed shares cost it.
    resting_orders : bool
        The rule is orders that wait at a price.
    benchmark : bool
        The returns are compared with a benchmark's.
    detail : bool
        Trades and the tails of the returns are measured.
    keep_returns : bool
        Every bar's return is kept until the row ends, for its quantiles.
    generated : bool
        Prices are made as the loop goes, not read.
    at_next : bool
        A decision fills at the bar after its own; else at its own.
    skip_idle_bars : bool
        The loop may pass over bars at which nothing is due.
    skip_repeated_signals : bool
        The loop may pass over signals that change nothing.
    stateless : bool
        The rule's state at a bar can be known without the bar before.
    from_model : bool
        Generated prices come from a model; else they are drawn from history.
    """

    signals: bool = False
    targets: bool = False
    sees_account: bool = False
    priced: bool = False
    pyramiding: bool = False
    long_only: bool = False
    short_only: bool = False
    lots: bool = False
    partial_fills: bool = False
    volumes: bool = False
    stops: bool = False
    ranges: bool = False
    close_only: bool = False
    max_holding: bool = False
    trails: bool = False
    trails_close: bool = False
    entry_from_close: bool = False
    entry_from_signal: bool = False
    entry_bar: bool = False
    stops_slip: bool = False
    limits_slip: bool = False
    margin: bool = False
    lock_short_proceeds: bool = False
    sequential_cash: bool = False
    allow_halts: bool = False
    actions: bool = False
    delistings: bool = False
    financing: bool = False
    resting_orders: bool = False
    benchmark: bool = False
    detail: bool = False
    keep_returns: bool = False
    generated: bool = False
    at_next: bool = False
    skip_idle_bars: bool = False
    skip_repeated_signals: bool = False
    stateless: bool = False
    from_model: bool = False


@dataclass(frozen=True)
class ExtraFields:
    """Where each field that a panel has besides closes stands in `prices.extra`."""

    open: int = 0
    high: int = 0
    low: int = 0
    volume: int = 0
    splits: int = 0
    dividends: int = 0
    shares: int = 0
    delistings: int = 0


flags = Flags()  # stands for the run's own
extra = ExtraFields()
