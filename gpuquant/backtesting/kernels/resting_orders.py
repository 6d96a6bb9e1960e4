"""Resting orders in the back-test walk: a list of tickets, worked bar by bar until each has filled
or met its end.

Kernel source, as `walk.py`. A ticket is a row of numbers (`TICKET` below names them); its fate is a
row beside it: what it is now, the units filled, whether its stop has been met, and why it did not
fill. Tickets are in the order in which they are tried.
"""
# mypy: ignore-errors
# ruff: noqa: F821

TICKET = ("from", "asset", "size", "of", "limit", "stop", "until", "group", "parent", "at_close")
FATE = ("state", "filled", "met", "reason", "bar")
WAITING, LIVE, FILLED, CANCELLED, EXPIRED, REJECTED = range(6)
STATES = ("waiting", "live", "filled", "cancelled", "expired", "rejected")


def shares_since_sent(tickets, prices, k, j, t):
    """How many shares one share of the bar at whose close ticket `k` was sent has become at bar
    `t`.
    """
    return shares_since(prices, j, i64(tickets[k, TICKET_FROM]) - NEXT, t)


def ticket_units(r, book, tickets, fates, prices, k, j, t, price):
    """Signed units that ticket `k` asks for at bar `t`; units that are said, and filled, are
    those of its own day.
    """
    size = tickets[k, TICKET_SIZE]
    shares = shares_since_sent(tickets, prices, k, j, t)
    of = tickets[k, TICKET_OF]
    parent = i64(tickets[k, TICKET_PARENT])
    worth = book[WORTH, 0]
    filled = fates[k, FATE_FILLED] * shares
    units = size * shares
    if of == OF_VALUE:
        units = size / price
    if of == OF_EQUITY:
        units = size * worth / price
    if of == OF_CASH:
        side = 1.0 if size > 0.0 else -1.0
        paid = fill_price(r, 0, price, side, 0.0)
        spent = (
            max(side * filled, 0.0) * paid if side > 0.0 else 0.0
        )  # a share of what there was, not of what is left
        units = side * afford(r, 0, abs(size) * max(book[CASH, 0] + spent, 0.0), paid) / paid
    if of == OF_HOLDING:
        units = size * abs(book[HELD + PER * j, 0] - filled)
    if size != size:  # no size: what closes the parent's fill, or the holding
        units = -book[HELD + PER * j, 0]
        if parent >= 0:
            units = -fates[parent, FATE_FILLED] * shares_since_sent(tickets, prices, parent, j, t)
    return units - (filled if size == size else 0.0)


def reached(tickets, fates, k, side, first, low, high, shares):
    """The price at which bar prices fill ticket `k`, and 0.0 where they do not; a stop that is met
    stays met.

    Its limit and its stop were said of one share, which has become `shares`.
    """
    stop = tickets[k, TICKET_STOP] / shares if fates[k, FATE_MET] == 0.0 else NAN
    if stop == stop and ((high >= stop) if side > 0.0 else (low <= stop)):
        fates[k, FATE_MET] = 1.0
    return price_within(side, first, low, high, tickets[k, TICKET_LIMIT] / shares, stop)


def work(r, book, prices, t, tickets, fates, begun, notes):
    """Try every ticket that lives at bar `t`; the number of the first that is left.

    Orders at the market fill at the open, before those that wait for a price within the bar.
    """
    for resting in range(2):
        begun = work_some(r, book, prices, t, tickets, fates, begun, resting, notes)
    return begun


def work_some(r, book, prices, t, tickets, fates, begun, resting, notes):
    """Try the tickets at the market (`resting` 0), or those that wait for a price."""
    ended = True
    for k in range(begun, tickets.shape[0]):
        if tickets[k, TICKET_FROM] > t:
            break
        state = fates[k, FATE_STATE]
        waits = (
            tickets[k, TICKET_LIMIT] == tickets[k, TICKET_LIMIT]
            or tickets[k, TICKET_STOP] == tickets[k, TICKET_STOP]
        )
        turn = waits == (resting > 0)
        parent = i64(tickets[k, TICKET_PARENT])
        if turn and state == WAITING:
            if parent < 0 or (
                fates[parent, FATE_STATE] == FILLED and (fates[parent, FATE_BAR] < t or ENTRY_BAR)
            ):
                state = LIVE
            elif fates[parent, FATE_STATE] > FILLED:
                state = CANCELLED
                fates[k, FATE_BAR] = t
        if turn and state == LIVE:
            j = i64(tickets[k, TICKET_ASSET])
            last = close_of(prices, j, t)
            first = fill_of(prices, j, t)
            if tickets[k, TICKET_AT_CLOSE] > 0.0:
                first = last
            shares = shares_since_sent(tickets, prices, k, j, t)
            units = ticket_units(r, book, tickets, fates, prices, k, j, t, first)
            side = 1.0 if units > 0.0 else -1.0
            within = opening_of(prices, j, t, first) if waits and NEXT else first
            low, high = span(prices, j, t, within)
            price = (
                reached(tickets, fates, k, side, within, low, high, shares) if first > 0.0 else 0.0
            )
            if abs(units) < 1e-12 and first > 0.0:  # nothing to close
                state = CANCELLED
                fates[k, FATE_REASON] = NOTHING
                fates[k, FATE_BAR] = t
            elif price > 0.0:
                limit = tickets[k, TICKET_LIMIT]
                why = (
                    BY_LIMIT
                    if limit == limit
                    else (BY_STOP if tickets[k, TICKET_STOP] == tickets[k, TICKET_STOP] else 0.0)
                )
                done = 1.0 * deal(
                    r,
                    book,
                    prices,
                    ASSETS,
                    j,
                    t,
                    units,
                    NO_LIMIT,
                    price,
                    0.0 if limit == limit else 1.0,
                    why,
                    notes,
                )
                fates[k, FATE_FILLED] += done / shares
                fates[k, FATE_BAR] = t
                fates[k, FATE_REASON] = book[REASON, 0]
                whole = abs(done) >= abs(units) * (1.0 - 1e-9)
                if whole or (done != 0.0 and book[REASON, 0] != NO_VOLUME):
                    state = FILLED
                elif book[REASON, 0] != NO_VOLUME:
                    state = REJECTED
                if state == FILLED and tickets[k, TICKET_GROUP] >= 0.0:  # one cancels the others
                    for other in range(tickets.shape[0]):
                        if (
                            other != k
                            and tickets[other, TICKET_GROUP] == tickets[k, TICKET_GROUP]
                            and fates[other, FATE_STATE] <= LIVE
                        ):
                            fates[other, FATE_STATE] = CANCELLED
                            fates[other, FATE_BAR] = t
            elif not (first > 0.0):
                fates[k, FATE_REASON] = NO_PRICE
            if state == LIVE and tickets[k, TICKET_UNTIL] <= t:
                state = EXPIRED
                fates[k, FATE_BAR] = t
        fates[k, FATE_STATE] = state
        if ended and state > LIVE:
            begun = k + 1
        else:
            ended = False
    return begun
