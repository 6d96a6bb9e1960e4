"""From decisions to orders: how many units, at which price, and in which order of assets.

Kernel source.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.backtesting.kernels.buying_power import opening_units, short_share
from gpuquant.backtesting.kernels.codes import (
    MIN_UNITS,
    NAN,
    NO_CHANGE,
    NO_LIMIT,
    ROUNDING,
    Cause,
    SizeType,
)
from gpuquant.backtesting.kernels.execution import execute_order, floored
from gpuquant.backtesting.kernels.flags import flags
from gpuquant.backtesting.kernels.price_access import (
    bar_span,
    fill_at,
    fill_or_last_close,
    first_price,
    split_at,
    value_of,
)
from gpuquant.backtesting.kernels.records import Account, Decisions, Order, Position, Run, Tally


def execute_decisions(
    run: Run,
    account: Account,
    tally: Tally,
    positions: list[Position],
    decisions: Decisions,
    q,
    t,
):
    """Turn the decisions in place `q` into fills at bar `t`: sales first, whose cash pays for the
    purchases.
    """
    opening, covering = size_orders(run, account, tally, positions, decisions, q, t)
    if len(positions) == 1:
        size = positions[0].order
        if size != 0.0:
            price = fill_at(run.prices, 0, t)
            cause = account.cause
            slips = 1.0
            if flags.priced and cause == Cause.ORDER:  # a margin call takes any price
                price, slips, cause = limited_fill(run, decisions, 0, q, t, size, price)
            order = Order(size, NO_LIMIT, price, slips, cause)
            _ = execute_order(run, account, tally, positions, 0, order, t)
    elif flags.sequential_cash:
        execute_in_sequence(run, account, tally, positions, t)
    else:
        execute_pro_rata(run, account, tally, positions, opening, covering, t)


def size_orders(
    run: Run,
    account: Account,
    tally: Tally,
    positions: list[Position],
    decisions: Decisions,
    q,
    t,
):
    """Set the order of every position at bar `t`; the cost of the purchases that open, and of
    those that cover.
    """
    equity = account.cash
    for j in range(len(positions)):
        equity += value_of(positions[j].units, fill_or_last_close(run.prices, j, t))
    account.equity = equity
    opening = 0.0
    covering = 0.0
    for j in range(len(positions)):
        position = positions[j]
        price = fill_at(run.prices, j, t)
        target = decisions.target[j, q]
        if flags.targets and flags.actions and flags.at_next:  # units said before the split
            target = target * split_at(run.prices, j, t) if target < NO_CHANGE else target
        size = units_to_trade(run, account, position, target, price)
        if flags.allow_halts and not (price > 0.0):  # an order that cannot trade has unknown units
            size = 0.0
            if target < NO_CHANGE and (target != 0.0 or position.units != 0.0):
                order = Order(NAN, NO_LIMIT, price, 1.0, account.cause)
                _ = execute_order(run, account, tally, positions, j, order, t)
        if abs(size) < MIN_UNITS and abs(size) <= ROUNDING * abs(position.units):
            size = 0.0  # what rounding makes of a target that is held
        position.order = size
        if size > 0.0 and len(positions) > 1 and not flags.sequential_cash:
            paid = fill_price(run.parameters, 0, price, 1.0, 0.0)
            cover = min(size, max(-position.units, 0.0))
            fee = charge(run.parameters, 0, cover * paid, cover) if cover > 0.0 else 0.0
            covering += cover * paid + fee
            opening += (size - cover) * paid
    return opening, covering


def units_to_trade(run: Run, account: Account, position: Position, target, price):
    """The signed units that lead from a position to its target.

    Targets that change nothing are tested first, because division is slow.
    """
    had = position.units
    units = 0.0
    held = flags.signals and not flags.pyramiding and target * had > 0.0
    if (target == NO_CHANGE) or (target == 0.0 and had == 0.0) or held:
        pass
    elif target == 0.0:
        units = -had
    elif flags.signals:
        side = 1.0 if target > 0.0 else -1.0
        size = signal_size(run, account, had, side, price)
        turns = (had * side <= 0.0 and not flags.pyramiding) or had == 0.0
        units = side * size - had if turns else side * size
        if flags.long_only or flags.short_only:  # a signal of the other side closes, at most
            other = target < 0.0 if flags.long_only else target > 0.0
            units = -had if other and abs(units) > abs(had) else units
            units = 0.0 if other and target * had >= 0.0 else units
    else:
        units = (target if flags.targets else target * account.equity / price) - had
    return units


def signal_size(run: Run, account: Account, had, side, price):
    """The units of a signal, by the size type of the run."""
    amount = run.settings.amount
    size = amount  # units
    if SIZE_TYPE == SizeType.VALUE:
        size = amount / price
    if SIZE_TYPE == SizeType.EQUITY:
        size = amount * account.equity / price
    if SIZE_TYPE == SizeType.RISK:  # the stop-loss loses this share of the equity
        size = amount * account.equity / (price * run.settings.stop_loss)
    if SIZE_TYPE == SizeType.CASH:  # of what there is once the other side is closed
        paid = fill_price(run.parameters, 0, price, side, 0.0)
        closing = max(-side * had, 0.0)
        fee = charge(run.parameters, 0, closing * paid, closing) if closing > 0.0 else 0.0
        left = account.cash - side * closing * paid - fee
        size = afford(run.parameters, 0, amount * max(left, 0.0), paid) / paid
        if flags.margin:
            size = size / run.settings.initial_margin
    if flags.lots:
        size = floored(size / run.settings.lot_size + 1e-9) * run.settings.lot_size
    return size


def execute_in_sequence(run: Run, account: Account, tally: Tally, positions: list[Position], t):
    """Execute from the largest sale to the largest purchase, until the cash is gone."""
    for _turn in range(len(positions)):
        best = -1
        least = 1e300
        for j in range(len(positions)):
            size = positions[j].order
            value = size * fill_at(run.prices, j, t)
            if size != 0.0 and value < least:
                least = value
                best = j
        if best >= 0:
            size = positions[best].order
            positions[best].order = 0.0
            order = Order(size, NO_LIMIT, fill_at(run.prices, best, t), 1.0, account.cause)
            _ = execute_order(run, account, tally, positions, best, order, t)


def execute_pro_rata(
    run: Run, account: Account, tally: Tally, positions: list[Position], opening, covering, t
):
    """Execute the sales, then the purchases. Units that close a position are never cut. Units that
    open one are cut by one factor where the cash does not pay for all of them.

    With margin there is no factor: each order is limited by itself, in the order of assets.
    """
    for turn in range(2):
        share = 1.0
        if turn == 0 and not flags.margin and not flags.lock_short_proceeds:
            share = short_share(run, account, positions, t)
        if turn == 1 and opening > 0.0 and not flags.margin:
            cash = max(account.cash - covering, 0.0)
            # the value that the cash buys, its fees paid; at this price a unit's own fee is nothing
            share = min(1.0, afford(run.parameters, 0, cash, 1e300) / opening)
        side = 2.0 * turn - 1.0
        for j in range(len(positions)):
            position = positions[j]
            size = position.order
            if size * side > 0.0:
                allowed = NO_LIMIT
                if share != 1.0:
                    allowed = abs(size) - (1.0 - share) * opening_units(position)
                position.order = 0.0
                order = Order(size, allowed, fill_at(run.prices, j, t), 1.0, account.cause)
                _ = execute_order(run, account, tally, positions, j, order, t)


def limited_fill(run: Run, decisions: Decisions, j, q, t, size, first):
    """The price at which the decision in place `q` fills at bar `t`, NaN where it does not; whether
    it slips, and what filled it.
    """
    limit = decisions.limit[j, q]
    stop = decisions.stop[j, q]
    if flags.actions and flags.at_next:  # they were said of a share before the split
        limit = limit / split_at(run.prices, j, t)
        stop = stop / split_at(run.prices, j, t)
    low = first
    high = first
    if flags.at_next:  # at a close only that price can fill; at the next bar its whole range can
        if limit == limit or stop == stop:
            first = first_price(run.prices, j, t, first)
        low, high = bar_span(run.prices, j, t, first)
    price = price_within(1.0 if size > 0.0 else -1.0, first, low, high, limit, stop)
    cause = Cause.STOP if stop == stop else Cause.ORDER
    cause = Cause.LIMIT if limit == limit else cause
    return price if price > 0.0 else NAN, 0.0 if limit == limit else 1.0, cause


def price_within(side, first, low, high, limit, stop):
    """The price at which a bar fills an order, 0.0 where it does not; `limit` and `stop` are NaN
    where the order has none.

    A stop-limit fills, within its bar, where the stop was met, if the limit allows that.
    """
    price = first
    reached = True
    if stop == stop:
        price = max(first, stop) if side > 0.0 else min(first, stop)
        allowed = limit != limit or ((price <= limit) if side > 0.0 else (price >= limit))
        reached = allowed and ((high >= stop) if side > 0.0 else (low <= stop))
    elif limit == limit:
        price = min(first, limit) if side > 0.0 else max(first, limit)
        reached = (low <= limit) if side > 0.0 else (high >= limit)
    return price if reached else 0.0
