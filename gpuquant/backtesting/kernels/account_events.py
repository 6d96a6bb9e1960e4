"""What happens to an account without its asking: interest, splits and dividends, delistings, the
mark to market, margin calls, ruin.

Kernel source, as `walk.py`; the numbers in `book` are those of `broker.py`.
"""
# mypy: ignore-errors
# ruff: noqa: F821


def carry(r, book, prices, t, years):
    """Interest of the time since the bar before: on cash and on debt, and what borrowed shares
    cost, by the prices of that bar.
    """
    cash = book[CASH, 0]
    paid = cash * (r[INTEREST] if cash > 0.0 else r[FINANCING])
    for j in range(ASSETS):
        units = book[HELD + PER * j, 0]
        if units < 0.0:
            paid += value_of(units, close_of(prices, j, t - 1)) * r[BORROW]
    paid = paid * years[t] if years[t] > 0.0 else 0.0
    book[CASH, 0] += paid
    book[CARRIED, 0] += paid


def act(book, prices, t):
    """Splits and dividends that go ex at bar `t`: the holder of a share gets both, who is short
    pays.
    """
    for j in range(ASSETS):
        units = book[HELD + PER * j, 0]
        if units != 0.0:
            paid = units * extra_of(prices, DIVIDEND, j, t)
            ratio = extra_of(prices, SPLIT, j, t)
            book[CASH, 0] += paid
            book[DIVIDENDS, 0] += paid
            book[BASIS + PER * j, 0] -= paid
            book[HELD + PER * j, 0] = units * ratio
            if STOPS:
                book[TOP + PER * j, 0] /= ratio
                book[LOSS + PER * j, 0] /= ratio
                book[STOP + PER * j, 0] /= ratio
                book[GOAL + PER * j, 0] /= ratio


def delist(r, book, prices, t, notes):
    """Holdings whose last bar was the one before `t` are paid out at their last price and the
    return of the delisting.
    """
    for j in range(ASSETS):
        last = extra_of(prices, GONE, j, t)
        if last > -2.0 and book[HELD + PER * j, 0] != 0.0:
            price = max(last_close(prices, j, t) * (1.0 + last), 1e-12)
            _ = deal(
                r,
                book,
                prices,
                ASSETS,
                j,
                t,
                -book[HELD + PER * j, 0],
                NO_LIMIT,
                price,
                0.0,
                BY_DELISTING,
                notes,
            )


def call(r, book, prices, t, worth):
    """Whether the account is below its maintenance margin at the close of bar `t`: then
    everything is sold.
    """
    gross = 0.0
    for j in range(ASSETS):
        gross += abs(value_of(book[HELD + PER * j, 0], close_of(prices, j, t)))
    called = 1.0 if worth < r[MAINTENANCE] * gross else 0.0
    return called


def mark(book, prices, t):
    """Equity at the close of bar `t`."""
    worth = book[CASH, 0]
    for j in range(ASSETS):
        price = close_of(prices, j, t)
        if HALTS:
            worth += value_of(book[HELD + PER * j, 0], price)
        else:
            worth += book[HELD + PER * j, 0] * price
    return worth


def expose(book, t):
    """Count the bars before `t` at which something was held; what is held now counts from there
    on.
    """
    book[EXPOSED, 0] += book[INVESTED, 0] * (t - book[SINCE, 0])
    book[INVESTED, 0] = 1.0 if book[ACTIVE, 0] > 0.0 else 0.0
    book[SINCE, 0] = t


def refuse(book, want, prices, q, t, notes):
    """Write down that the wishes in place `q` come too late: the account has lost everything."""
    recorded, _column, _equity, _orders, _order_at = notes
    for j in range(ASSETS):
        wish = want[u64(j), u64(q)]
        if wish < HOLD and wish != 0.0:
            book[REJECTS, 0] += 1.0
            if recorded:
                note(book, notes, t, asset_of(prices, j), 0.0, NAN, 0.0, wish, book[WHY, 0], RUINED)


def end(r, book, prices, t, worth, notes):
    """Close an account that has lost everything, at the closes of bar `t`: nothing can be traded
    any more.
    """
    recorded, _column, _equity, _orders, _order_at = notes
    for j in range(ASSETS):
        units = book[HELD + PER * j, 0]
        book[HELD + PER * j, 0] = 0.0
        if abs(units) >= LEAST_UNITS:
            price = close_of(prices, j, t)
            count_trade(book, prices, j, t, units * price - book[BASIS + PER * j, 0], units)
            book[ORDERS, 0] += 1.0
            if recorded:
                note(book, notes, t, asset_of(prices, j), -units, price, 0.0, -units, BY_RUIN, 0.0)
    book[CASH, 0] = worth
    book[ALIVE, 0] = 0.0
    book[ACTIVE, 0] = 0.0
