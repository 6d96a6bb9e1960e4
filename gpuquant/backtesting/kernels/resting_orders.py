"""Resting orders: worked bar by bar until each has filled or met its end.

Kernel source. Orders are in the order in which they are tried; the status of order `k` stands
beside it.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.backtesting.kernels.codes import NAN, NO_LIMIT, Cause, OrderState, Reject, SizeType
from gpuquant.backtesting.kernels.execution import execute_order
from gpuquant.backtesting.kernels.flags import flags
from gpuquant.backtesting.kernels.order_sizing import price_within
from gpuquant.backtesting.kernels.price_access import (
    bar_span,
    close_at,
    fill_at,
    first_price,
    shares_since,
)
from gpuquant.backtesting.kernels.records import (
    Account,
    Order,
    OrderStatus,
    Position,
    RestingOrder,
    Run,
    Tally,
)


def work_orders(run: Run, account: Account, tally: Tally, positions: list[Position], t):
    """Try every order that lives at bar `t`.

    Orders at the market fill at the open, before those that wait for a price within the bar.
    """
    for turn in range(2):
        work_some(run, account, tally, positions, t, turn > 0)


def work_some(run: Run, account: Account, tally: Tally, positions: list[Position], t, waiting):
    """Try the orders that wait for a price, or those at the market."""
    ended = True  # all before this one
    for k in range(account.first_order, len(run.inputs.orders)):
        resting = run.inputs.orders[k]
        status = run.inputs.statuses[k]
        if resting.first_bar > t:
            break
        if waits_for_price(resting) == waiting:
            if status.state == OrderState.WAITING:
                wake_order(run, resting, status, t)
            if status.state == OrderState.LIVE:
                try_order(run, account, tally, positions, k, t)
                if status.state == OrderState.LIVE and resting.last_bar <= t:
                    status.state = OrderState.EXPIRED
                    status.bar = t
        if ended and status.state > OrderState.LIVE:
            account.first_order = k + 1
        else:
            ended = False


def waits_for_price(resting: RestingOrder):
    """Whether an order has a limit or a stop."""
    return resting.limit == resting.limit or resting.stop == resting.stop


def wake_order(run: Run, resting: RestingOrder, status: OrderStatus, t):
    """Let an order live once its parent has filled; cancel it where the parent has ended."""
    if resting.parent < 0:
        status.state = OrderState.LIVE
    else:
        parent = run.inputs.statuses[resting.parent]
        if parent.state == OrderState.FILLED and (parent.bar < t or flags.entry_bar):
            status.state = OrderState.LIVE
        elif parent.state > OrderState.FILLED:
            status.state = OrderState.CANCELLED
            status.bar = t


def try_order(run: Run, account: Account, tally: Tally, positions: list[Position], k, t):
    """Fill order `k` at bar `t` if the bar's prices allow it."""
    resting = run.inputs.orders[k]
    status = run.inputs.statuses[k]
    j = resting.asset
    market = fill_at(run.prices, j, t)
    if resting.at_close:
        market = close_at(run.prices, j, t)
    shares = shares_since_sent(run, resting, j, t)
    units = units_asked(run, account, positions, k, market, t)
    side = 1.0 if units > 0.0 else -1.0
    first = market
    if flags.at_next and waits_for_price(resting):
        first = first_price(run.prices, j, t, market)
    low, high = bar_span(run.prices, j, t, first)
    price = 0.0
    if market > 0.0:
        # its limit and its stop were said of one share, which has become `shares`
        stop = resting.stop / shares if not status.triggered else NAN
        if stop == stop and ((high >= stop) if side > 0.0 else (low <= stop)):
            status.triggered = True  # a stop that is met stays met
        price = price_within(side, first, low, high, resting.limit / shares, stop)
    if abs(units) < 1e-12 and market > 0.0:
        status.state = OrderState.CANCELLED
        status.reject = Reject.NOTHING_TO_CLOSE
        status.bar = t
    elif price > 0.0:
        fill_order(run, account, tally, positions, k, Order(units, NO_LIMIT, price, 1.0, 0), t)
    elif not (market > 0.0):
        status.reject = Reject.NO_PRICE


def fill_order(
    run: Run, account: Account, tally: Tally, positions: list[Position], k, asked: Order, t
):
    """Execute order `k`, whose price was reached; what is left of it, and what it cancels."""
    resting = run.inputs.orders[k]
    status = run.inputs.statuses[k]
    shares = shares_since_sent(run, resting, resting.asset, t)
    cause = Cause.STOP if resting.stop == resting.stop else Cause.ORDER
    cause = Cause.LIMIT if resting.limit == resting.limit else cause
    slips = 0.0 if resting.limit == resting.limit else 1.0
    order = Order(asked.units, NO_LIMIT, asked.price, slips, cause)
    done = execute_order(run, account, tally, positions, resting.asset, order, t)
    status.filled += done / shares
    status.bar = t
    status.reject = account.reject
    whole = abs(done) >= abs(asked.units) * (1.0 - 1e-9)
    if whole or (done != 0.0 and account.reject != Reject.NO_VOLUME):
        status.state = OrderState.FILLED
    elif account.reject != Reject.NO_VOLUME:
        status.state = OrderState.REJECTED
    if status.state == OrderState.FILLED and resting.group >= 0.0:  # one cancels the others
        for n in range(len(run.inputs.orders)):
            other = run.inputs.statuses[n]
            together = run.inputs.orders[n].group == resting.group
            if n != k and together and other.state <= OrderState.LIVE:
                other.state = OrderState.CANCELLED
                other.bar = t


def shares_since_sent(run: Run, resting: RestingOrder, j, t):
    """The shares that one share of the bar at whose close an order was sent has become."""
    sent = resting.first_bar - 1 if flags.at_next else resting.first_bar
    return shares_since(run.prices, j, sent, t)


def units_asked(run: Run, account: Account, positions: list[Position], k, price, t):
    """The signed units that order `k` asks for at bar `t`, less what it has filled.

    Units that an order states, and units filled, are those of its own day.
    """
    resting = run.inputs.orders[k]
    status = run.inputs.statuses[k]
    held = positions[resting.asset].units
    size = resting.size
    shares = shares_since_sent(run, resting, resting.asset, t)
    filled = status.filled * shares
    units = size * shares
    if resting.size_type == SizeType.VALUE:
        units = size / price
    if resting.size_type == SizeType.EQUITY:
        units = size * account.equity / price
    if resting.size_type == SizeType.CASH:
        side = 1.0 if size > 0.0 else -1.0
        paid = fill_price(run.parameters, 0, price, side, 0.0)
        # a share of the cash there was, not of what the order has left
        spent = max(side * filled, 0.0) * paid if side > 0.0 else 0.0
        cash = abs(size) * max(account.cash + spent, 0.0)
        units = side * afford(run.parameters, 0, cash, paid) / paid
    if resting.size_type == SizeType.HOLDING:
        units = size * abs(held - filled)
    if size != size:  # no size: what closes the parent's fill, or the position
        units = -held
        if resting.parent >= 0:
            parent = run.inputs.orders[resting.parent]
            since = shares_since_sent(run, parent, resting.asset, t)
            units = -run.inputs.statuses[resting.parent].filled * since
        filled = 0.0
    return units - filled


def reject_ruined(run: Run, t):
    """Reject every order that has not ended: the account has lost everything."""
    for k in range(len(run.inputs.orders)):
        status = run.inputs.statuses[k]
        if status.state <= OrderState.LIVE:
            status.state = OrderState.REJECTED
            status.reject = Reject.RUINED
            status.bar = t
