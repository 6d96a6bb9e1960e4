"""The broker of the bar loop: how an order becomes a fill, and what a fill does to the account.

Kernel source. Every fill goes through `execute_order`.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.backtesting.kernels.buying_power import most_openable
from gpuquant.backtesting.kernels.codes import MIN_UNITS, Cause, Reject
from gpuquant.backtesting.kernels.flags import extra, flags
from gpuquant.backtesting.kernels.price_access import close_at, extra_at, last_close
from gpuquant.backtesting.kernels.records import Account, Filled, Order, Position, Run, Tally
from gpuquant.backtesting.kernels.stop_levels import set_stop_levels
from gpuquant.backtesting.kernels.trade_statistics import count_trade


def floored(x):
    """The whole number below x >= 0."""
    return f64(i64(x))


def execute_order(
    run: Run, account: Account, tally: Tally, positions: list[Position], j, order: Order, t
):
    """Trade asset `j` at bar `t` as far as price, cash, margin, lots and volume allow; the signed
    units that were traded.

    `account.reject` says why it was not all.
    """
    account.reject = Reject.NONE
    position = positions[j]
    side = 1.0 if order.units > 0.0 else -1.0
    had = position.units
    size = abs(order.units)
    if size > order.allowed:
        if size > order.allowed * (1.0 + 1e-12):  # rounding is no lack of cash
            account.reject = Reject.NO_CASH
        size = order.allowed
    share = 0.0
    if flags.volumes:
        size, share = limit_by_volume(run, account, j, order, size, t)
    paid = fill_price(run.parameters, 0, order.price, side * order.slips, share)
    closing = min(size, max(-side * had, 0.0))
    opens_wrong_side = side < 0.0 if flags.long_only else side > 0.0
    if (flags.long_only or flags.short_only) and size > closing and opens_wrong_side:
        size = closing
        account.reject = Reject.NOTHING_TO_CLOSE
    opening = size - closing
    if opening > 0.0 and order.price > 0.0:
        most = most_openable(run, account, positions, j, order, closing, paid, t)
        if opening > most:
            if opening > most * (1.0 + 1e-12):
                account.reject = Reject.NO_CASH
            opening = most
    size = closing + opening
    whole = size == abs(had) and order.units * had < 0.0  # any position may be closed whole
    size = tradable_size(run, account, order, size, whole)
    fee = 0.0
    if size > 0.0:
        fee = charge(run.parameters, 0, size * paid, size)
        filled = Filled(side * size, paid, fee)
        book_fill(run, account, tally, position, j, order, filled, whole, t)
    else:
        tally.rejects += 1.0
    if run.log.enabled:
        record_fill(run, account, tally, j, order, Filled(side * size, paid, fee), t)
    return side * size


def limit_by_volume(run: Run, account: Account, j, order: Order, size, t):
    """The size that the volume of bar `t` allows, and its share of the volume."""
    share = 0.0
    volume = extra_at(run.prices, extra.volume, j, t)
    if not (volume > 0.0):
        volume = 0.0
    if order.cause != Cause.DELISTING:  # which pays out whatever trades
        if size > run.settings.max_participation * volume:
            size = run.settings.max_participation * volume
            account.reject = Reject.NO_VOLUME
        share = size / volume if volume > 0.0 else 0.0
    return size, share


def tradable_size(run: Run, account: Account, order: Order, size, whole):
    """The size in lots, or 0.0 where it is too small, has no price, or may not be cut."""
    lot = run.settings.lot_size
    if flags.lots:
        size = size if whole else floored(size / lot * (1.0 + 1e-12)) * lot
    # a common cut of purchases (`allowed`) is no partial fill
    if not flags.partial_fills and size < min(abs(order.units), order.allowed) * (1.0 - 1e-9):
        size = 0.0
        if account.reject == Reject.NONE:
            account.reject = Reject.TOO_SMALL
    if not (order.price > 0.0):
        size = 0.0
        account.reject = Reject.NO_PRICE
        # units are NaN only where the bar has no price; else its limit or stop was not reached
        if flags.priced and order.units == order.units:
            account.reject = Reject.NOT_REACHED
    elif size < MIN_UNITS or (size < run.settings.min_size and not whole):
        size = 0.0
        if account.reject == Reject.NONE:
            account.reject = Reject.TOO_SMALL
    return size


def book_fill(
    run: Run,
    account: Account,
    tally: Tally,
    position: Position,
    j,
    order: Order,
    filled: Filled,
    whole,
    t,
):
    """Change the account by one fill; a trade ends when its position is closed or turns round."""
    had = position.units
    now = 0.0 if whole else had + filled.units
    position.units = now
    account.cash -= filled.units * filled.price + filled.fee
    tally.fees += filled.fee
    tally.orders += 1.0
    value = abs(filled.units) * order.price  # turnover leaves slippage out
    tally.turnover += value / account.equity if account.equity > 0.0 else 0.0
    if flags.lock_short_proceeds:
        lock_proceeds(account, position, filled, had, now)
    if had == 0.0:
        account.positions += 1.0
        position.cost = filled.units * filled.price + filled.fee
    elif filled.units * had > 0.0:
        position.cost += filled.units * filled.price + filled.fee
    else:
        close_units(run, account, tally, position, j, filled, had, now, t)
    if had * now <= 0.0:
        position.entry_bar = t
        if flags.stops:
            entry = filled.price
            if flags.entry_from_close:
                entry = close_at(run.prices, j, t)
            if flags.entry_from_signal:
                entry = last_close(run.prices, j, t)
            entry = entry if entry > 0.0 else filled.price  # before the first close there is none
            set_stop_levels(run, position, entry)


def lock_proceeds(account: Account, position: Position, filled: Filled, had, now):
    """Lock the cash that a short sale brings in, and release it in proportion as the short is
    bought back.
    """
    before = position.proceeds
    if filled.units < 0.0:
        after = before + min(-filled.units, max(-now, 0.0)) * filled.price
    else:
        after = before * max(-now, 0.0) / max(-had, 1e-300) if had < 0.0 else 0.0
    account.locked_proceeds += after - before
    position.proceeds = after


def close_units(
    run: Run, account: Account, tally: Tally, position: Position, j, filled: Filled, had, now, t
):
    """End a trade by a fill against its position, in part, whole, or beyond it."""
    cost = position.cost
    closed = 1.0  # the share of the position that closes, with its share of the cost
    charged = 1.0  # the share of the fee; the rest is a cost of the turned position
    if now * had > 0.0:
        closed = abs(filled.units / had)
    elif now * had < 0.0:
        charged = abs(had / filled.units)
    profit = closed * had * filled.price - charged * filled.fee - closed * cost
    count_trade(run, account, tally, position, j, profit, had, t)
    account.positions -= 1.0 if now == 0.0 else 0.0
    turned = now * filled.price + (1.0 - charged) * filled.fee
    position.cost = turned if closed == 1.0 else (1.0 - closed) * cost


def record_fill(run: Run, account: Account, tally: Tally, j, order: Order, filled: Filled, t):
    """Write down an order and what it came to, in the account's next row.

    The counts of orders and rejects hold this one already. A row beyond those that the log has for
    the account is not written: the log is made for as many as a first run counted.
    """
    row = run.log.first[run.log.column] + i64(tally.orders + tally.rejects) - 1
    if row < run.log.first[run.log.column + 1]:
        fill = run.log.fills[row]
        fill.bar = t
        fill.asset = run.prices.first_asset + j
        fill.units = filled.units
        fill.price = filled.price
        fill.fee = filled.fee
        fill.wanted = order.units
        fill.cause = order.cause
        fill.reject = account.reject
