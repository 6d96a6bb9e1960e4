"""What happens to an account without its asking: interest, splits and dividends, delistings, the mark to market, margin calls, ruin.

Kernel source, as `walk.py`; the numbers in `book` are those of `broker.py`.
"""
# mypy: ignore-errors
# ruff: noqa: F821


def carry(r, book, close, lead, asset0, t):
    """Interest of a bar: on cash and on debt, and what borrowed shares cost, by the prices of the bar before."""
    cash = book[CASH, 0]
    paid = cash * (r[INTEREST] if cash > 0.0 else r[FINANCING])
    for j in range(ASSETS):
        units = book[HELD + PER * j, 0]
        if units < 0.0:
            paid += value_of(units, close[u64(asset0 + j), u64(lead + t - 1)]) * r[BORROW]
    book[CASH, 0] += paid
    book[CARRIED, 0] += paid


def act(book, extra, lead, asset0, t):
    """Splits and dividends that go ex at bar `t`: the holder of a share gets both, who is short pays."""
    for j in range(ASSETS):
        units = book[HELD + PER * j, 0]
        if units != 0.0:
            paid = units * extra[DIVIDEND, u64(asset0 + j), u64(lead + t)]
            ratio = extra[SPLIT, u64(asset0 + j), u64(lead + t)]
            book[CASH, 0] += paid
            book[DIVIDENDS, 0] += paid
            book[BASIS + PER * j, 0] -= paid
            book[HELD + PER * j, 0] = units * ratio
            if STOPS:
                book[TOP + PER * j, 0] /= ratio
                book[LOSS + PER * j, 0] /= ratio
                book[STOP + PER * j, 0] /= ratio
                book[GOAL + PER * j, 0] /= ratio


def delist(r, book, close, extra, lead, asset0, t, recorded, column, orders, order_at):
    """Holdings whose last bar was the one before `t` are paid out at their last price and the return of the delisting."""
    for j in range(ASSETS):
        last = extra[GONE, u64(asset0 + j), u64(lead + t)]
        if last > -2.0 and book[HELD + PER * j, 0] != 0.0:
            price = max(close[u64(asset0 + j), u64(lead + t - 1)] * (1.0 + last), 1e-12)
            _ = deal(r, book, close, extra, lead, asset0, ASSETS, j, t, -book[HELD + PER * j, 0], price, 0.0, BY_DELISTING, recorded, column, orders, order_at)


def call(r, book, close, lead, asset0, t, worth):
    """Whether the account is below its maintenance margin at the close of bar `t`: then everything is sold."""
    gross = 0.0
    for j in range(ASSETS):
        gross += abs(value_of(book[HELD + PER * j, 0], close[u64(asset0 + j), u64(lead + t)]))
    called = 1.0 if worth < r[MAINTENANCE] * gross else 0.0
    return called


def mark(book, close, lead, asset0, t):
    """Equity at the close of bar `t`."""
    worth = book[CASH, 0]
    for j in range(ASSETS):
        price = close[u64(asset0 + j), u64(lead + t)]
        if HALTS:
            worth += value_of(book[HELD + PER * j, 0], price)
        else:
            worth += book[HELD + PER * j, 0] * price
    return worth


def expose(book, t):
    """Count the bars before `t` at which something was held; what is held now counts from there on."""
    book[EXPOSED, 0] += book[INVESTED, 0] * (t - book[SINCE, 0])
    book[INVESTED, 0] = 1.0 if book[ACTIVE, 0] > 0.0 else 0.0
    book[SINCE, 0] = t


def end(book, worth):
    """Close an account that has lost everything: nothing can be traded any more, and no return of a debt has a meaning."""
    book[CASH, 0] = worth
    book[ALIVE, 0] = 0.0
    book[ACTIVE, 0] = 0.0
    for j in range(ASSETS):
        book[HELD + PER * j, 0] = 0.0
