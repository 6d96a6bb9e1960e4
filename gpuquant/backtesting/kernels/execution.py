"""The broker's side of the back-test walk: how a wish becomes a fill, and what a fill does to the
account.

The functions are kernel source, as those of `walk.py`, and are put in place of their calls. `book`
holds the account: the tallies by their names, then PER numbers for each asset: the units HELD,
their BASIS (what they cost), the SIZE to trade, the bar of ENTRY, and where stops are watched the
levels of `stops.py`. Every fill goes through `deal`.

A fill is recorded in eight numbers: bar, asset, signed units, price, fee, units wanted, why it was
sent, and why it was not filled in full.
"""
# mypy: ignore-errors
# ruff: noqa: F821


def start(block, book, want, cash0, first):
    """An account that holds nothing and wants nothing, before bar `first`."""
    for k in unrolled(HELD + PER * ASSETS):
        book[k, 0] = 0.0
    for k in unrolled(SUMMED):
        for q in unrolled(BLOCK):
            block[MOMENTS + k, q] = 0.0
    book[CASH, 0] = cash0
    book[ALIVE, 0] = 1.0
    book[PEAK, 0] = cash0
    book[PEAK_AT, 0] = first - 1.0
    book[FLOOR, 0] = cash0
    book[DEEPEST, 0] = 1.0
    book[SINCE, 0] = first
    book[BEST, 0] = (
        0.0 if first > ORIGIN else -1e300
    )  # bars that nothing happens in have a return of 0
    book[WORST, 0] = 0.0 if first > ORIGIN else 1e300
    block[EQUITY, FRONT - 1] = cash0
    for j in range(ASSETS):
        want[u64(j), 0] = HOLD


def value_of(units, price):
    """What a holding is worth; nothing where nothing is held, whatever the price."""
    return units * price if units != 0.0 else 0.0


def floored(x):
    """The whole number below x >= 0."""
    return f64(i64(x))


def wanted_units(r, wish, had, cash, worth, price):
    """Units to trade for a wish; the sizing is the run's. What needs no sizing is seen before
    anything is divided, which takes long.
    """
    wanted = 0.0
    idle = (
        (wish == HOLD)
        or (wish == 0.0 and had == 0.0)
        or (SIGNALS and not ADDS and wish * had > 0.0)
    )
    if idle:
        pass
    elif wish == 0.0:
        wanted = -had
    elif SIGNALS:
        side = 1.0 if wish > 0.0 else -1.0
        units = r[AMOUNT]  # of them
        if OF == OF_VALUE:
            units = r[AMOUNT] / price
        if OF == OF_EQUITY:
            units = r[AMOUNT] * worth / price
        if OF == OF_RISK:  # so many that the stop loses this share of the equity
            units = r[AMOUNT] * worth / (price * r[STOP_LOSS])
        if OF == OF_CASH:  # of what there is once the other side is closed, the fee included
            paid = fill_price(r, 0, price, side, 0.0)
            closing = max(-side * had, 0.0)
            left = (
                cash
                - side * closing * paid
                - (charge(r, 0, closing * paid, closing) if closing > 0.0 else 0.0)
            )
            units = afford(r, 0, r[AMOUNT] * max(left, 0.0), paid) / paid
            if LEVERED:
                units = units / r[INITIAL]
        if LOTS:
            units = floored(units / r[LOT] + 1e-9) * r[LOT]
        wanted = (
            side * units - had if (had * side <= 0.0 and not ADDS) or had == 0.0 else side * units
        )
        if LONG_ONLY or SHORT_ONLY:  # a signal of the other side closes what is held, at most
            other = wish * (LONG_ONLY - SHORT_ONLY) < 0.0
            wanted = -had if other and abs(wanted) > abs(had) else wanted
            wanted = 0.0 if other and wish * had >= 0.0 else wanted
    else:
        wanted = (wish if TARGETS else wish * worth / price) - had
    return wanted


def count_trade(book, prices, j, t, gain, had):
    """Count a trade that has ended with `gain`: runs of winners and losers, how long it was held
    and how far it went.
    """
    book[TRADES, 0] += 1.0
    book[WINS, 0] += 1.0 if gain > 0.0 else 0.0
    book[GAINED, 0] += max(gain, 0.0)
    book[LOST, 0] -= min(gain, 0.0)
    book[GAIN_SQUARES, 0] += gain * gain
    first = book[TRADES, 0] == 1.0
    book[BEST_TRADE, 0] = gain if first else max(book[BEST_TRADE, 0], gain)
    book[WORST_TRADE, 0] = gain if first else min(book[WORST_TRADE, 0], gain)
    run = book[RUN, 0]
    run = (max(run, 0.0) + 1.0) if gain > 0.0 else (min(run, 0.0) - 1.0)
    book[RUN, 0] = run
    book[WIN_RUN, 0] = max(book[WIN_RUN, 0], run)
    book[LOSS_RUN, 0] = max(book[LOSS_RUN, 0], -run)
    entry = i64(book[ENTRY + PER * j, 0])
    book[KEPT, 0] += t - entry
    book[LONGEST_TRADE, 0] = max(book[LONGEST_TRADE, 0], f64(t - entry))
    entered = book[BASIS + PER * j, 0] / had
    if DETAIL and (entered > 0.0):  # dividends may have paid back all that it cost
        low, high = furthest(prices, j, t, entry, entered)
        against = low / entered - 1.0 if had > 0.0 else 1.0 - high / entered
        along = high / entered - 1.0 if had > 0.0 else 1.0 - low / entered
        book[AGAINST, 0] += min(against, 0.0)
        book[ALONG, 0] += max(along, 0.0)
        book[MOST_AGAINST, 0] = min(book[MOST_AGAINST, 0], against)


def furthest(prices, j, t, entry, entered):
    """The lowest and the highest price of a holding from the close of its entry to bar `t`, of
    shares as they are now.

    `entered` is what a share has cost less all its dividends; a price from before a dividend is
    lowered as what the share had cost by then is.
    """
    low = close_of(prices, j, entry)
    high = low
    if ACTIONS:
        low = 1e300
        high = 0.0
        before = entered  # what a share had cost, less the dividends up to its bar
        for n in range(t - entry + 1):
            q = t - n
            worst, best = range_of(prices, j, q, entry)
            scale = entered / before / shares_since(prices, j, q, t)
            low = min(low, worst * scale)
            high = max(high, best * scale)
            before += (
                extra_of(prices, DIVIDEND, j, q)
                * extra_of(prices, SHARES, j, q)
                / extra_of(prices, SPLIT, j, q)
                / extra_of(prices, SHARES, j, t)
            )
    else:
        for q in range(entry + 1, t + 1):
            worst, best = range_of(prices, j, q, entry)
            low = min(low, worst)
            high = max(high, best)
    return low, high


def range_of(prices, j, q, entry):
    """The lowest and the highest price of bar `q` after the entry of a holding; of the entry's
    bar, its close.
    """
    worst = close_of(prices, j, q)
    best = worst
    if RANGES and (q > entry):
        worst = extra_of(prices, LOW, j, q)
        best = extra_of(prices, HIGH, j, q)
    return worst, best


def settle(r, book, prices, j, t, size, whole, price, paid, fee):
    """Book one fill of asset `j`; a trade ends when its holding is closed or turns round."""
    had = book[HELD + PER * j, 0]
    now = 0.0 if whole else had + size
    book[HELD + PER * j, 0] = now
    book[CASH, 0] -= size * paid + fee
    book[FEES, 0] += fee
    book[ORDERS, 0] += 1.0
    book[TURNOVER, 0] += abs(size) * price / book[WORTH, 0] if book[WORTH, 0] > 0.0 else 0.0
    if LOCKED:
        debt = book[DEBT_OF + PER * j, 0]
        if size < 0.0:
            after = debt + min(-size, max(-now, 0.0)) * paid
        else:
            after = debt * max(-now, 0.0) / max(-had, 1e-300) if had < 0.0 else 0.0
        book[DEBT, 0] += after - debt
        book[DEBT_OF + PER * j, 0] = after
    if had == 0.0:
        book[ACTIVE, 0] += 1.0
        book[BASIS + PER * j, 0] = size * paid + fee
    elif size * had > 0.0:
        book[BASIS + PER * j, 0] += size * paid + fee
    else:
        basis = book[BASIS + PER * j, 0]
        shut = 1.0  # of the holding, which takes its share of the cost with it
        part = 1.0  # of the fee; the rest is what the turned holding costs
        if now * had > 0.0:
            shut = abs(size / had)
        elif now * had < 0.0:
            part = abs(had / size)
        count_trade(book, prices, j, t, shut * had * paid - part * fee - shut * basis, had)
        book[ACTIVE, 0] -= 1.0 if now == 0.0 else 0.0
        book[BASIS + PER * j, 0] = (
            now * paid + (1.0 - part) * fee if shut == 1.0 else (1.0 - shut) * basis
        )
    if had * now <= 0.0:
        book[ENTRY + PER * j, 0] = t
        if STOPS:
            base = paid
            if BASE_CLOSE or BASE_SIGNAL:
                base = last_close(prices, j, t) if BASE_SIGNAL else close_of(prices, j, t)
                base = base if base > 0.0 else paid  # before the first close there was none
            guard(r, book, base, j, now)


def note(book, notes, t, asset, size, paid, fee, wanted, why, reason):
    """Write down what was dealt, in its column's next row."""
    _recorded, column, _equity, orders, order_at = notes
    place = order_at[column] + i64(book[ORDERS, 0] + book[REJECTS, 0]) - 1
    if place < order_at[column + 1]:
        orders[place, 0] = t
        orders[place, 1] = asset
        orders[place, 2] = size
        orders[place, 3] = paid
        orders[place, 4] = fee
        orders[place, 5] = wanted
        orders[place, 6] = why
        orders[place, 7] = reason


def deal(r, book, prices, ASSETS, j, t, wanted, share_of, price, slips, why, notes):
    """Trade `wanted` units of asset `j` at `price`, as far as price, cash, margin, lots and volume
    allow; the signed units that were traded.

    What is not filled is recorded with its reason. No more than `share_of` units are its share of
    the cash; `slips` is 0.0 where the price is a limit, which no slippage moves.
    """
    side = 1.0 if wanted > 0.0 else -1.0
    had = book[HELD + PER * j, 0]
    size = abs(wanted)
    reason = 0.0
    if size > share_of:
        reason = NO_CASH if size > share_of * (1.0 + 1e-12) else 0.0
        size = share_of
    share = 0.0
    if VOLUMES:
        volume = extra_of(prices, VOLUME, j, t)
        if not (volume > 0.0):
            volume = 0.0
        if why != BY_DELISTING:  # which pays out whatever trades
            if size > r[PARTICIPATION] * volume:
                size = r[PARTICIPATION] * volume
                reason = NO_VOLUME
            share = size / volume if volume > 0.0 else 0.0
    paid = fill_price(r, 0, price, side * slips, share)
    closing = min(size, max(-side * had, 0.0))
    if (LONG_ONLY or SHORT_ONLY) and size > closing and side * (LONG_ONLY - SHORT_ONLY) < 0.0:
        size = closing
        reason = NOTHING
    opening = size - closing
    if opening > 0.0 and price > 0.0:
        most = openable(r, book, prices, ASSETS, j, t, side, had, closing, price, paid)
        if opening > most:
            reason = NO_CASH if opening > most * (1.0 + 1e-12) else reason
            opening = most
    size = closing + opening
    whole = size == abs(had) and wanted * had < 0.0  # a holding may be closed whatever its size
    if LOTS:
        size = size if whole else floored(size / r[LOT] * (1.0 + 1e-12)) * r[LOT]
    if not PARTIAL and size < min(abs(wanted), share_of) * (1.0 - 1e-9):
        size = 0.0
        reason = reason if reason > 0.0 else TOO_SMALL
    if not (price > 0.0):
        size = 0.0
        reason = (
            NOT_REACHED if PRICED and wanted == wanted else NO_PRICE
        )  # a bar without prices leaves the units unknown, too
    elif size < LEAST_UNITS or (size < r[LEAST] and not whole):
        size = 0.0
        reason = reason if reason > 0.0 else TOO_SMALL
    fee = 0.0
    if size > 0.0:
        fee = charge(r, 0, size * paid, size)
        settle(r, book, prices, j, t, side * size, whole, price, paid, fee)
    else:
        book[REJECTS, 0] += 1.0
    book[REASON, 0] = reason
    recorded, _column, _equity, _orders, _order_at = notes
    if recorded:
        note(book, notes, t, asset_of(prices, j), side * size, paid, fee, wanted, why, reason)
    return side * size


def trade(r, book, want, prices, q, t, notes):
    """Turn the wishes in place `q` into fills at bar `t`: sells first, since their cash pays for
    the buys.
    """
    wanted, covering = size_wishes(r, book, want, prices, q, t, notes)
    if ASSETS == 1:
        size = book[SIZE, 0]
        if size != 0.0:
            price = fill_of(prices, 0, t)
            why = book[WHY, 0]
            slips = 1.0
            if PRICED and why == 0.0:  # a margin call takes any price
                price, slips, why = priced(want, prices, 0, q, t, size, price)
            _ = deal(r, book, prices, ASSETS, 0, t, size, NO_LIMIT, price, slips, why, notes)
    elif IN_ORDER:
        trade_in_order(r, book, prices, t, notes)
    else:
        trade_pro_rata(r, book, prices, t, wanted, covering, notes)


def opening_of(prices, j, t, fill):
    """The first price of bar `t` that an order within it may meet: its open, or the price at
    which orders fill where no range is known.
    """
    return extra_of(prices, OPENING, j, t) if RANGES else fill


def span(prices, j, t, first):
    """The lowest and the highest price of bar `t` that is known, whose first is `first`."""
    low = min(first, close_of(prices, j, t))
    high = max(first, close_of(prices, j, t))
    if RANGES:
        low = extra_of(prices, LOW, j, t)
        high = extra_of(prices, HIGH, j, t)
    return low, high


def priced(want, prices, j, q, t, size, first):
    """The price at which the wish in place `q` fills at bar `t`, NaN where it does not; whether
    it slips, and what filled it.
    """
    limit = want[1, u64(q)]
    stop = want[2, u64(q)]
    if ACTIONS and NEXT:  # they were said of a share before the split
        limit = limit / extra_of(prices, SPLIT, j, t)
        stop = stop / extra_of(prices, SPLIT, j, t)
    low = first
    high = first
    if NEXT:  # at a close the rest of its bar is past
        if limit == limit or stop == stop:
            first = opening_of(prices, j, t, first)
        low, high = span(prices, j, t, first)
    price = price_within(1.0 if size > 0.0 else -1.0, first, low, high, limit, stop)
    why = BY_LIMIT if limit == limit else (BY_STOP if stop == stop else 0.0)
    return price if price > 0.0 else NAN, 0.0 if limit == limit else 1.0, why


def price_within(side, first, low, high, limit, stop):
    """The price at which a bar fills an order with this limit and stop, NaN for none, and 0.0 where
    it does not.

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


def size_wishes(r, book, want, prices, q, t, notes):
    """Put down the SIZE to trade of every asset at bar `t`; what the buys that open would cost,
    and those that cover.
    """
    worth = book[CASH, 0]
    for j in range(ASSETS):
        price = fill_of(prices, j, t)
        if HALTS:
            price = price if price > 0.0 else last_close(prices, j, t)
        worth += value_of(book[HELD + PER * j, 0], price)
    book[WORTH, 0] = worth
    wanted = 0.0
    covering = 0.0
    for j in range(ASSETS):
        price = fill_of(prices, j, t)
        wish = want[u64(j), u64(q)]
        had = book[HELD + PER * j, 0]
        if TARGETS and ACTIONS and NEXT:  # units said before the split
            wish = wish * extra_of(prices, SPLIT, j, t) if wish < HOLD else wish
        size = wanted_units(r, wish, had, book[CASH, 0], worth, price)
        if HALTS and not (price > 0.0):  # what cannot trade is recorded, and its units are unknown
            size = 0.0
            if wish < HOLD and (wish != 0.0 or had != 0.0):
                _ = deal(
                    r, book, prices, ASSETS, j, t, NAN, NO_LIMIT, price, 1.0, book[WHY, 0], notes
                )
        if abs(size) < LEAST_UNITS and abs(size) <= ROUNDING * abs(
            had
        ):  # what rounding makes of a target that is held; else it is refused as too small
            size = 0.0
        book[SIZE + PER * j, 0] = size
        if size > 0.0 and ASSETS > 1 and not IN_ORDER:
            paid = fill_price(r, 0, price, 1.0, 0.0)
            cover = min(size, max(-book[HELD + PER * j, 0], 0.0))
            covering += cover * paid + (charge(r, 0, cover * paid, cover) if cover > 0.0 else 0.0)
            wanted += (size - cover) * paid
    return wanted, covering


def trade_in_order(r, book, prices, t, notes):
    """Deal from the largest sale to the largest purchase, until the cash is gone."""
    for _turn in range(ASSETS):
        best = -1
        least = 1e300
        for j in range(ASSETS):
            size = book[SIZE + PER * j, 0]
            value = size * fill_of(prices, j, t)
            if size != 0.0 and value < least:
                least = value
                best = j
        if best >= 0:
            size = book[SIZE + PER * best, 0]
            book[SIZE + PER * best, 0] = 0.0
            price = fill_of(prices, best, t)
            _ = deal(
                r, book, prices, ASSETS, best, t, size, NO_LIMIT, price, 1.0, book[WHY, 0], notes
            )


def trade_pro_rata(r, book, prices, t, wanted, covering, notes):
    """Deal the sells, then the buys: what closes a holding is never cut, what opens one is by
    one factor where the account is short of cash.
    """
    for turn in range(2):
        share = 1.0
        if turn == 0 and not LEVERED and not LOCKED:
            share = short_share(r, book, prices, ASSETS, t)
        if turn == 1 and wanted > 0.0 and not LEVERED:
            share = min(1.0, afford(r, 0, max(book[CASH, 0] - covering, 0.0), 1e300) / wanted)
        side = 2.0 * turn - 1.0
        for j in range(ASSETS):
            size = book[SIZE + PER * j, 0]
            if size * side > 0.0:
                kept = (
                    NO_LIMIT if share == 1.0 else abs(size) - (1.0 - share) * opening_units(book, j)
                )
                price = fill_of(prices, j, t)
                book[SIZE + PER * j, 0] = 0.0
                _ = deal(r, book, prices, ASSETS, j, t, size, kept, price, 1.0, book[WHY, 0], notes)
