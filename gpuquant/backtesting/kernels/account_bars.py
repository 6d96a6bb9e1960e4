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
from gpuquant.backtesting.kernels.decisions import decide_by_account
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
    if flags.skip_idle_bars:
        touched = skip_through(run, account, tally, positions, block, decisions, t0, here, due)
        moved = moved or touched
    else:
        for q in part(BLOCK, 0, here):
            due_here = 0
            if not flags.resting_orders:
                for j in range(len(positions)):
                    due_here = 1 if decisions.target[j, q] < NO_CHANGE else due_here
            if flags.sees_account and not flags.at_next:
                due_here = TO_DECIDE if due > u64(0) else 0
            touched = process_bar(
                run, account, tally, positions, block, decisions, q, t0 + q, due_here
            )
            moved = moved or touched
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
    """Take the account from one bar at which something is due to the next; whether it may have
    changed.

    `due` has a bit for each place with a decision; `lowest(0)` is 64. Of more than two signals of
    one asset, those that change nothing are passed over: looking for them pays only then. A signal
    is long if it is not below LEAST_SIGNAL, the smallest positive number.
    """
    moved = False
    if flags.stops:
        fetch_prices(run.prices, len(positions), t0 + BLOCK)
    if flags.skip_repeated_signals:
        longs = u64(0)
        shorts = u64(0)
        without_first = due & (due - u64(1))
        many_due = without_first & (without_first - u64(1)) != u64(0)
        if many_due:
            longs = due ^ (due & compare_mask(decisions.target, (0, 0), LEAST_SIGNAL))
            shorts = due & compare_mask(decisions.target, (0, 0), 0.0)
    q = 0
    while q < here:
        next_due = min(i64(lowest(due)), here)
        if flags.skip_repeated_signals and many_due:
            next_due = min(i64(lowest(that_trade(positions[0], due, longs, shorts))), here)
        to = next_due
        if to > q:
            to = mark_to_market(run, account, positions, block, t0, q, to)
            if flags.stops:
                to = first_stop_hit(run, positions, t0, q, to)
        due_here = 1 if to == next_due else 0
        if to < here:
            touched = process_bar(
                run, account, tally, positions, block, decisions, to, t0 + to, due_here
            )
            moved = moved or touched
        due &= u64(0) - (u64(2) << u64(min(to, BLOCK - 1)))  # a mask of all places after `to`
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
    """One bar of the account, in place `q` of its block; whether the account may have changed.

    Interest, splits, dividends and delistings come first. Decisions at the close are executed after
    the bar's stops; decisions at the next bar are executed before them, at its open. Resting orders
    follow, and the account is marked to market at the close.
    """
    touched = False
    before = block.equity[q + PADDING - 1]
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
    stopped = False
    if flags.stops and not flags.at_next:
        for j in range(len(positions)):
            hit = trigger_stops(run, account, tally, positions, j, t)
            if hit != Cause.ORDER:  # a stop was met: the bar has no other decision for the asset
                decisions.target[j, q] = NO_CHANGE
                stopped = True
    if flags.sees_account and not flags.at_next and due == TO_DECIDE:
        due = decide_at_close(run, account, positions, block, decisions, q, t, stopped)
    if due > 0 and not account.alive:
        refuse_ruined(run, account, tally, decisions, q, t, len(positions))
    if due > 0 and account.alive:
        execute_decisions(run, account, tally, positions, decisions, q, t)
        touched = True
    if flags.stops and flags.at_next:
        account.equity = before  # a stop's turnover is a share of it, whatever was decided
        for j in range(len(positions)):
            _ = trigger_stops(run, account, tally, positions, j, t)
    if flags.resting_orders and account.alive:
        work_orders(run, account, tally, positions, t)
    if flags.actions or flags.delistings or flags.stops or flags.resting_orders:
        touched = touched or tally.orders != orders
    if touched:
        count_exposure(account, tally, t)
    close_bar(run, account, tally, positions, block, q, t)
    return touched


def decide_at_close(
    run: Run,
    account: Account,
    positions: list[Position],
    block: Block,
    decisions: Decisions,
    q,
    t,
    stopped,
):
    """What is due at bar `t`, by a rule that looks at what is held after the bar's events; nothing
    where a stop was met. A margin call has decided before.
    """
    decide_by_account(run, account, positions, block, decisions, t, q)
    if stopped:
        decisions.target[0, q] = NO_CHANGE
    return 1 if decisions.target[0, q] < NO_CHANGE else 0


def close_bar(
    run: Run, account: Account, tally: Tally, positions: list[Position], block: Block, q, t
):
    """Mark the account to market at the close of bar `t`.

    If its equity is zero or less, the account is closed. If the equity is below the maintenance
    margin, a margin call sells all positions at the next bar.
    """
    equity = equity_at(run, account, positions, t)
    block.equity[q + PADDING] = equity
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
