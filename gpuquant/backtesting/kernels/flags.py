"""What a run does: the switches that its kernel is made for.

`flags.stops` and the like are decided when a kernel is made, and what they switch off is left out
of it: in a kernel's functions `flags` and `known` stand for the run's own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flags:
    """What a run does, and what its kernel therefore holds.

    Parameters
    ----------
    signals, targets : bool
        Decisions are directions, or units to hold; with neither they are shares of the equity.
    priced : bool
        A rule gives a limit and a stop with its decision.
    pyramiding, long_only, short_only, lots, partial_fills, volumes : bool
        Orders add to a position; open one side alone; come in lots; may be cut; are limited by the
        bar's volume.
    stops, ranges, close_only, timed, trails, trails_close : bool
        Positions are protected; high and low are known; only the close triggers a stop; positions
        end after some bars; stops trail, and follow closes alone.
    entry_from_close, entry_from_signal, entry_bar : bool
        A stop's entry price is the close of its bar, or of the bar before; and the rest of the
        entry's own bar is watched.
    stops_slip, limits_slip : bool
        Stops, and take-profits, pay slippage.
    margin, locked : bool
        The account may borrow; or the proceeds of shorts are locked.
    sequential_cash : bool
        Orders take the cash one after the other; else purchases are cut by one factor.
    halts, actions, delistings, financing, resting_orders, benchmark, detail, tails, paths : bool
        Assets may not trade at a bar; split and pay dividends; end; cash and debt bear interest;
        orders rest; returns are compared; trades and tails of returns are measured; prices are made
        as the loop goes.
    at_next : bool
        Decisions fill at the next bar; else at the bar they were made at.
    skips, crowds : bool
        The loop may pass over bars at which nothing is due; and over signals that change nothing.
    stateless : bool
        A rule's state may be known without the one before it.
    modelled : bool
        Paths come from a model; else from history.
    """

    signals: bool = False
    targets: bool = False
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
    timed: bool = False
    trails: bool = False
    trails_close: bool = False
    entry_from_close: bool = False
    entry_from_signal: bool = False
    entry_bar: bool = False
    stops_slip: bool = False
    limits_slip: bool = False
    margin: bool = False
    locked: bool = False
    sequential_cash: bool = False
    halts: bool = False
    actions: bool = False
    delistings: bool = False
    financing: bool = False
    resting_orders: bool = False
    benchmark: bool = False
    detail: bool = False
    tails: bool = False
    paths: bool = False
    at_next: bool = False
    skips: bool = False
    crowds: bool = False
    stateless: bool = False
    modelled: bool = False


@dataclass(frozen=True)
class Known:
    """Where each thing that a panel knows besides closes stands in `prices.more`."""

    open: int = 0
    high: int = 0
    low: int = 0
    volume: int = 0
    splits: int = 0
    dividends: int = 0
    shares: int = 0
    delistings: int = 0


flags = Flags()  # stands for the run's own
known = Known()
