"""What an account can pay for: the units that cash, margin and the account's worth let it open.

Kernel source. Without margin, purchases come to the cash there is, and all shorts together to what
the account is worth.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.backtesting.kernels.flags import extra, flags
from gpuquant.backtesting.kernels.price_access import (
    extra_at,
    fill_or_last_close,
    last_close,
    value_of,
)
from gpuquant.backtesting.kernels.records import Account, Order, Position, Run


def most_openable(
    run: Run, account: Account, positions: list[Position], j, order: Order, closing, paid, t
):
    """The units that an order may open, once `closing` units are closed at the price `paid`.

    With margin, equity E and gross exposure G allow units of value (E - m G) / m, with m the
    initial margin.
    """
    side = 1.0 if order.units > 0.0 else -1.0
    cash = account.cash - side * closing * paid
    if closing > 0.0:
        cash -= charge(run.parameters, 0, closing * paid, closing)
    room = cash  # the value that may be opened, with its fee
    if flags.margin:
        gross = 0.0
        equity = cash
        for q in range(len(positions)):
            units = positions[q].units + (side * closing if q == j else 0.0)
            price = order.price if q == j else last_close(run.prices, q, t)
            equity += value_of(units, price)
            gross += abs(value_of(units, price))
        initial = run.settings.initial_margin
        room = (equity - initial * gross) / initial
    elif (
        flags.lock_short_proceeds
    ):  # the proceeds of a short, and as much again, stay where they are
        had = positions[j].units
        freed = closing * positions[j].proceeds / abs(had) if had < 0.0 and closing > 0.0 else 0.0
        room = cash - 2.0 * (account.locked_proceeds - freed)
    if side < 0.0 and not flags.margin and not flags.lock_short_proceeds:
        shorts = short_room(run, positions, j, side * closing, order.price, cash, t)
        most = max(shorts, 0.0) / paid
    else:
        most = afford(run.parameters, 0, max(room, 0.0), paid) / paid
    return most


def short_room(run: Run, positions: list[Position], j, closed, price, cash, t):
    """The value that may still be sold short without margin, once `closed` units of asset `j` are
    executed: all shorts together come to what the account is worth.
    """
    room = cash
    for q in range(j):
        room += room_of(run, positions[q], q, t)
    units = positions[j].units + closed
    room += value_of(units, price) + value_of(min(units, 0.0), price)
    for q in range(j + 1, len(positions)):
        room += room_of(run, positions[q], q, t)
    return room


def room_of(run: Run, position: Position, j, t):
    """What a position adds to the room for shorts: its worth, and for a short the same again, as
    far as the order that buys it back leaves it.
    """
    price = fill_or_last_close(run.prices, j, t)
    covered = units_once_covered(run, position, j, t)
    return value_of(position.units, price) + value_of(min(covered, 0.0), price)


def opening_units(position: Position):
    """The units that the order of a position opens, once the other side is closed."""
    size = abs(position.order)
    held = -position.units if position.order > 0.0 else position.units
    return size - min(size, max(held, 0.0))


def short_share(run: Run, account: Account, positions: list[Position], t):
    """The share of the new shorts that the account may open without margin."""
    shorting = 0.0
    room = account.cash
    for j in range(len(positions)):
        if positions[j].order < 0.0:
            shorting += opening_units(positions[j]) * fill_or_last_close(run.prices, j, t)
        room += room_of(run, positions[j], j, t)
    return min(1.0, max(room, 0.0) / shorting) if shorting > 0.0 else 1.0


def units_once_covered(run: Run, position: Position, j, t):
    """The units of a position once the order that buys back its short, which comes after new
    shorts, is executed as far as volume allows.
    """
    size = max(position.order, 0.0)
    if flags.volumes:
        volume = extra_at(run.prices, extra.volume, j, t)
        most = run.settings.max_participation * volume if volume > 0.0 else 0.0
        if size > most:
            size = most if flags.partial_fills else 0.0
    return position.units + min(size, max(-position.units, 0.0))
