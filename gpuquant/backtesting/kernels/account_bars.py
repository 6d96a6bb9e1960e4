"""An account goes through the bars of a block: from one at which something is due to the next, or
bar by bar.

Kernel source.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.backtesting.kernels.account_events import (
    apply_actions,
    carry_interest,
    close_ruined,
    count_exposure,
    margin_called,
    pay_delisted,
    refuse_ruined,
)
from gpuquant.backtesting.kernels.codes import NO_CHANGE, Cause
from gpuquant.backtesting.kernels.flags import flags
from gpuquant.backtesting.kernels.marking import equity_at, mark_to_market
from gpuquant.backtesting.kernels.order_sizing import execute_decisions
from gpuquant.backtesting.kernels.records import (
    Account,
    Block,
    Decisions,
    Position,
    Run,
    Tally,
)
from gpuquant.backtesting.kernels.resting_orders import reject_ruined, work_orders
from gpuquant.backtesting.kernels.stops import fetch_prices, first_stop_hit, trigger_stops


def process_block(
    run: Run,
    account: Account,
    tally: Tally,
    positions: list[Position],
    block: Block,
    decisions: Decisions,
    t0,
    here,
    due,
):
    """Take the account through a block; whether its equity may have moved."""
    moved = flags.financing or account.positions > 0.0
    if flags.skips:
        acted = skip_through(run, account, tally, positions, block, decisions, t0, here, due)
        moved = moved or acted
    else:
        for q in part(BLOCK, 0, here):
            due_here = 0
            if not flags.resting_orders:
                for j in range(len(positions)):
                    due_here = 1 if decisions.target[j, q] < NO_CHANGE else due_here
            acted = process_bar(
                run, account, tally, positions, block, decisions, q, t0 + q, due_here
            )
            moved = moved or acted
    return moved


def skip_through(
    run: Run,
    account: Account,
    tally: Tally,
    positions: list[Position],
    block: Block,
    decisions: Decisions,
    t0,
    here,
    due,
):
    """Take the account from one bar at which something is due to the next; whether it trades.

    `due` has a bit for each place with a decision. Where many are signals, those that change
    nothing are passed over.
    """
    moved = False
    if flags.stops:
        fetch_prices(run.prices, len(positions), t0 + BLOCK)
    if flags.crowds:
        longs = u64(0)
        shorts = u64(0)
        later = due & (due - u64(1))
        crowded = later & (later - u64(1)) != u64(0)  # more than two are due
        if crowded:
            longs = due ^ (due & compare_mask(decisions.target, (0, 0), LEAST_SIGNAL))
            shorts = due & compare_mask(decisions.target, (0, 0), 0.0)
    q = 0
    while q < here:
        next_due = min(i64(lowest(due)), here)
        if flags.crowds and crowded:
            next_due = min(i64(lowest(that_trade(positions[0], due, longs, shorts))), here)
        to = next_due
        if to > q:
            to = mark_to_market(run, account, positions, block, t0, q, to)
            if flags.stops:
                to = first_stop_hit(run, positions, t0, q, to)
        due_here = 1 if to == next_due else 0
        if to < here:
            acted = process_bar(
                run, account, tally, positions, block, decisions, to, t0 + to, due_here
            )
            moved = moved or acted
        due &= u64(0) - (u64(2) << u64(min(to, BLOCK - 1)))  # those that are still to come
        q = to + 1
    return moved


def that_trade(position: Position, due, longs, shorts):
    """Of the places that have a signal due, those whose signal may change the position: none that
    says long while it is long, short while it is short, flat while it is flat.
    """
    flats = due ^ (due & (longs | shorts))
    same = longs if position.units > 0.0 else (shorts if position.units < 0.0 else flats)
    return due ^ (due & same)


def process_bar(
    run: Run,
    account: Account,
    tally: Tally,
    positions: list[Position],
    block: Block,
    decisions: Decisions,
    q,
    t,
    due,
):
    """One bar of the account, in place `q` of its block: what happens to it, its stops and orders,
    its value at the close; whether it trades.
    """
    acted = False
    before = block.equity[q + FRONT - 1]
    if flags.actions or flags.delistings or flags.stops or flags.resting_orders:
        account.equity = before
        orders = tally.orders
    if flags.financing and account.alive:  # of what was held since the bar before
        carry_interest(run, account, tally, positions, t)
    if flags.actions:
        apply_actions(run, account, tally, positions, t)
    if flags.delistings:
        pay_delisted(run, account, tally, positions, t)
    if flags.margin and account.cause == Cause.MARGIN_CALL:  # which comes before any decision
        due = 1
        for j in range(len(positions)):
            decisions.target[j, q] = 0.0
    if flags.stops and not flags.at_next:
        for j in range(len(positions)):
            hit = trigger_stops(run, account, tally, positions, j, t)
            if hit != Cause.ORDER:  # a bar that stops out has no other signal
                decisions.target[j, q] = NO_CHANGE
    if due > 0 and not account.alive:
        refuse_ruined(run, account, tally, decisions, q, t, len(positions))
    if due > 0 and account.alive:
        execute_decisions(run, account, tally, positions, decisions, q, t)
        acted = True
    if flags.stops and flags.at_next:
        account.equity = before  # a stop's turnover is a share of it, whatever was decided
        for j in range(len(positions)):
            hit = trigger_stops(run, account, tally, positions, j, t)
    if flags.resting_orders and account.alive:
        work_orders(run, account, tally, positions, t)
    if flags.actions or flags.delistings or flags.stops or flags.resting_orders:
        acted = acted or tally.orders != orders
    if acted:
        count_exposure(account, tally, t)
    close_bar(run, account, tally, positions, block, q, t)
    return acted


def close_bar(
    run: Run, account: Account, tally: Tally, positions: list[Position], block: Block, q, t
):
    """The account's value at the close of bar `t`; it ends where that is gone, and is called where
    it is below the maintenance margin.
    """
    equity = equity_at(run, account, positions, t)
    block.equity[q + FRONT] = equity
    if equity <= 0.0 and account.alive:
        close_ruined(run, account, tally, positions, t, equity)
        if flags.resting_orders:
            reject_ruined(run, t)
        count_exposure(account, tally, t + 1)
    if flags.margin:
        account.cause = Cause.ORDER
        called = margin_called(run, positions, t, equity)
        if called and account.alive:
            account.cause = Cause.MARGIN_CALL
            tally.margin_calls += 1.0
