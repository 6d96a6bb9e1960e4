"""Decisions: what a rule, or the caller's array, says at the close of each bar of a block.

Kernel source. Decisions rest on prices alone, unless the rule asks for its account: so they are
known before the account has come so far.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.backtesting.kernels.codes import NAN, NO_CHANGE, NO_SIGNAL
from gpuquant.backtesting.kernels.flags import flags
from gpuquant.backtesting.kernels.marking import equity_at
from gpuquant.backtesting.kernels.price_access import close_at, value_of
from gpuquant.backtesting.kernels.records import (
    Account,
    Block,
    Decisions,
    Inputs,
    Past,
    Position,
    Run,
)


def rule_target(parameters, state, seen, past: Past, inputs: Inputs):
    """The rule's decision at a close: its state and its target, and where it is priced a limit and
    a stop.
    """
    return decide(parameters, 0, state, past, F(past.bar), seen)


def signal_target(parameters, state, seen, past: Past, inputs: Inputs):
    """The caller's signal at the bar."""
    signal = inputs.targets[past.prices.first_asset + past.asset, past.bar]
    return state, NO_CHANGE if signal == NO_SIGNAL else f64(signal)


def array_target(parameters, state, seen, past: Past, inputs: Inputs):
    """The caller's target at the bar: NaN changes nothing."""
    target = inputs.targets[past.prices.first_asset + past.asset, past.bar]
    return state, NO_CHANGE if target != target else target


def entry_target(parameters, state, seen, past: Past, inputs: Inputs):
    """What the caller's entries and exits at the bar mean to the position that is held: bits of
    enter, exit, short, cover, and only if flat, as `entries.Entries` has them.
    """
    held = seen[0]
    code = u64(inputs.targets[past.prices.first_asset + past.asset, past.bar])
    enters = (code & u64(1)) != u64(0)
    exits = (code & u64(2)) != u64(0) and held > 0.0
    shorts = (code & u64(4)) != u64(0)
    covers = (code & u64(8)) != u64(0) and held < 0.0
    free = held == 0.0 or (code & u64(16)) == u64(0)
    target = 0.0 if exits or covers else NO_CHANGE
    target = 1.0 if enters and free and not exits else target
    target = -1.0 if shorts and free and not covers else target
    return state, target


def decide_bar(run: Run, state, seen, j, t, decisions: Decisions, q):
    """Put the decision for asset `j` at the close of bar `t` in place `q`; the state after it."""
    past = Past(run.prices, j, t)
    if flags.priced:
        state, target, limit, stop = target_of(run.parameters, state, seen, past, run.inputs)
        priced = limit >= 0.0 and stop >= 0.0  # NaN, and below zero, is no price to wait for
        target = target if priced else NO_CHANGE
        decisions.limit[j, q] = limit if limit > 0.0 else NAN
        decisions.stop[j, q] = stop if stop > 0.0 else NAN
    else:
        state, target = target_of(run.parameters, state, seen, past, run.inputs)
    if not flags.signals:
        target = target if target == target else NO_CHANGE
    decisions.target[j, q] = target
    return state


def see_account(run: Run, account: Account, positions: list[Position], t):
    """What a rule sees of its account at the close of bar `t`, as `rules.base.ACCOUNT` names it."""
    position = positions[0]
    units = position.units
    held = units != 0.0
    value = value_of(units, close_at(run.prices, 0, t))
    return (
        units,
        position.cost / units if held else NAN,
        f64(position.entry_bar) if held else NAN,
        value - position.cost if held else 0.0,
        equity_at(run, account, positions, t),
        account.cash,
    )


def decide_by_account(
    run: Run, account: Account, positions: list[Position], block: Block, decisions: Decisions, t, q
):
    """Put the decision of a rule that sees its account at the close of bar `t` in place `q`."""
    bar = block.bars[0]
    bar.seen = see_account(run, account, positions, t)
    bar.state = decide_bar(run, bar.state, bar.seen, 0, t, decisions, q)


def decide_block(run: Run, state, block: Block, decisions: Decisions, t0, here, assets):
    """Decide at the closes of a block, each decision in the place of the bar at which it is due;
    the state after them, and the places that have one due, a bit for each.

    These decisions rest on prices alone: so they are known before the account has come so far.
    """
    if BLOCK == 1:
        for j in range(assets):
            state = decide_bar(run, state, block.bars[0].seen, j, t0, decisions, NEXT)
    else:
        state = follow_state(run, state, block, t0, here)
        for j in range(assets):
            for q in range(here):  # with the state known, this is vector code
                bar = block.bars[q]
                _later = decide_bar(run, bar.state, bar.seen, j, t0 + q, decisions, q + NEXT)
    due = u64(0)
    if flags.skip_idle_bars:
        for j in range(assets):
            due |= compare_mask(decisions.target, (j, 0), NO_CHANGE)
        if here < BLOCK:  # beyond the last bar stand decisions of the block before
            due &= (u64(1) << u64(here)) - u64(1)
    return state, due


def follow_state(run: Run, state, block: Block, t0, here):
    """The rule's state before each bar of a block, and after the last: bar by bar, unless each is
    known without the one before it.
    """
    block.bars[0].state = state
    carried = 1  # bars whose state rests on the one before
    if flags.stateless:
        carried = 0
        for q in range(here):
            past = Past(run.prices, 0, t0 + q)
            sure, after = stateless_update(run.parameters, 0, past, F(t0 + q), block.bars[q].seen)
            block.bars[q + 1].state = after
            carried += 0 if sure else 1
    if carried > 0:
        for q in range(here):
            past = Past(run.prices, 0, t0 + q)
            result = target_of(run.parameters, state, block.bars[q].seen, past, run.inputs)
            state = result[0]
            block.bars[q + 1].state = state
    else:
        state = block.bars[here].state
    return state
