"""What an account can pay for in the back-test walk: the units that cash, margin and the worth of
the account allow to be opened.

Kernel source, as `walk.py`; the numbers in `book` are those of `broker.py`. Without margin, longs
come to the cash there is, and all shorts together to what the account is worth.
"""
# mypy: ignore-errors
# ruff: noqa: F821


def openable(r, book, prices, ASSETS, j, t, side, had, closing, price, paid):
    """The units that cash, margin and the locked proceeds of shorts allow to be opened, once
    `closing` units are closed.
    """
    left = book[CASH, 0] - side * closing * paid
    if closing > 0.0:
        left -= charge(r, 0, closing * paid, closing)
    room = left  # value that may be opened, with its fee
    if LEVERED:
        gross = 0.0
        worth = left
        for q in range(ASSETS):
            units = book[HELD + PER * q, 0] + (side * closing if q == j else 0.0)
            mark = price if q == j else last_close(prices, q, t)
            worth += value_of(units, mark)
            gross += abs(value_of(units, mark))
        room = (worth - r[INITIAL] * gross) / r[INITIAL]
    elif LOCKED:  # the proceeds of a short, and as much again, stay where they are
        room = left - 2.0 * (
            book[DEBT, 0]
            - (
                closing * book[DEBT_OF + PER * j, 0] / abs(had)
                if had < 0.0 and closing > 0.0
                else 0.0
            )
        )
    if side < 0.0 and not LEVERED and not LOCKED:
        most = (
            max(short_room(r, book, prices, ASSETS, j, t, side * closing, price, left), 0.0) / paid
        )
    else:
        most = afford(r, 0, max(room, 0.0), paid) / paid
    return most


def short_room(r, book, prices, ASSETS, j, t, closed, price, cash):
    """The value that may still be sold short without margin, once `closed` units of asset `j`
    are dealt: all shorts together come to what the account is worth.
    """
    room = cash
    for q in range(ASSETS):
        if q == j:
            units = book[HELD + PER * q, 0] + closed
            room += value_of(units, price) + value_of(min(units, 0.0), price)
        else:
            mark = fill_of(prices, q, t)
            mark = mark if mark > 0.0 else last_close(prices, q, t)
            room += value_of(book[HELD + PER * q, 0], mark) + value_of(
                min(once_covered(r, book, prices, q, t), 0.0), mark
            )
    return room


def opening_units(book, j):
    """The units of the SIZE to trade of asset `j` that open, once what it held of the other side
    is closed.
    """
    size = book[SIZE + PER * j, 0]
    had = book[HELD + PER * j, 0]
    return abs(size) - min(abs(size), max(-had if size > 0.0 else had, 0.0))


def short_share(r, book, prices, ASSETS, t):
    """The share of the new shorts wished for that the account may open without margin."""
    shorting = 0.0
    room = book[CASH, 0]
    for j in range(ASSETS):
        price = fill_of(prices, j, t)
        if HALTS:
            price = price if price > 0.0 else last_close(prices, j, t)
        if book[SIZE + PER * j, 0] < 0.0:
            shorting += opening_units(book, j) * price
        room += value_of(book[HELD + PER * j, 0], price) + value_of(
            min(once_covered(r, book, prices, j, t), 0.0), price
        )
    return min(1.0, max(room, 0.0) / shorting) if shorting > 0.0 else 1.0


def once_covered(r, book, prices, j, t):
    """The units of asset `j` once what buys back its short, which is dealt after new shorts, is
    dealt as far as volume allows.
    """
    had = book[HELD + PER * j, 0]
    size = max(book[SIZE + PER * j, 0], 0.0)
    if VOLUMES:
        volume = extra_of(prices, VOLUME, j, t)
        most = r[PARTICIPATION] * volume if volume > 0.0 else 0.0
        if size > most:
            size = most if PARTIAL else 0.0
    return had + min(size, max(-had, 0.0))
