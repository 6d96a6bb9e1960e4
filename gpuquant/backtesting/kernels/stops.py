"""Stop-losses, trailing stops and take-profits: the levels that a holding is watched for, and what
happens at one.

Kernel source, as `walk.py`. A level is kept from the entry on: LOSS of the stop-loss, STOP of the
nearer of the two stops, GOAL of the take-profit, TOP the best price since, which the trailing stop
follows. Multiplied by `side`, 1 for a long holding and -1 for a short, all of them read as those of
a long one.
"""
# mypy: ignore-errors
# ruff: noqa: F821


def guard(r, book, base, j, now):
    """Set the levels of a new holding of `now` units, entered at `base`."""
    side = 1.0 if now > 0.0 else -1.0
    loss = base * (1.0 - side * r[STOP_LOSS])
    book[TOP + PER * j, 0] = base
    book[LOSS + PER * j, 0] = loss
    book[STOP + PER * j, 0] = side * max(side * loss, side * (base * (1.0 - side * r[TRAILING])))
    book[GOAL + PER * j, 0] = base * (1.0 + side * r[TAKE_PROFIT])


def ahead(prices, t):
    """Ask for the prices of the block from bar `t` on: read by one column alone, they would be
    waited for, line by line.
    """
    _sums, close, _fill, extra, lead, asset0 = prices
    for j in range(ASSETS):
        for q in range(0, BLOCK, 8):
            touch(close, (asset0 + j, lead + t + q))
            if RANGES and not CLOSE_ONLY:
                touch(extra, (OPENING, asset0 + j, lead + t + q))
                touch(extra, (HIGH, asset0 + j, lead + t + q))
                touch(extra, (LOW, asset0 + j, lead + t + q))


def reach(prices, j, t):
    """The lowest and the highest price of bar `t` that is watched."""
    low = close_of(prices, j, t)
    high = low
    if RANGES and not CLOSE_ONLY:
        low = extra_of(prices, LOW, j, t)
        high = extra_of(prices, HIGH, j, t)
    return low, high


def followed(prices, j, t, side, best):
    """The price of bar `t` that the trailing stop follows, times `side`: the best that is
    watched, which is `best`, or its close.
    """
    return side * close_of(prices, j, t) if FOLLOW_CLOSE else best


def watch(r, book, prices, t0, q, to):
    """The first place from `q` at which a bar meets a level of any asset, or `to`; trailing
    stops follow the bars before it.
    """
    for j in range(ASSETS):
        to = met(r, book, prices, j, t0, q, to)
    if TRAILS and ASSETS > 1:  # how far was not known before the last asset was asked
        for j in range(ASSETS):
            follow(r, book, prices, j, t0, q, to)
    return to


def met(r, book, prices, j, t0, q, to):
    """The first place from `q` at which a bar meets a level of asset `j`, or `to`."""
    had = book[HELD + PER * j, 0]
    if had != 0.0:
        side = 1.0 if had > 0.0 else -1.0
        top = side * book[TOP + PER * j, 0]
        loss = side * book[LOSS + PER * j, 0]
        stop = side * book[STOP + PER * j, 0]
        goal = side * book[GOAL + PER * j, 0]
        keeps = 1.0 - side * r[TRAILING]
        p = q
        while p < to:
            low, high = reach(prices, j, t0 + p)
            worst = low if had > 0.0 else -high
            best = high if had > 0.0 else -low
            new = followed(prices, j, t0 + p, side, best)
            ends = (worst <= stop) | (best >= goal)
            if TIMED:
                ends = ends | (t0 + p - book[ENTRY + PER * j, 0] >= r[MOST_BARS])
            if HALTS:
                trades = fill_of(prices, j, t0 + p) > 0.0
                ends = ends & trades
                new = new if trades else top
            if ends:
                break
            if TRAILS:
                stop = max(loss, new * keeps) if new > top else stop
                top = max(top, new)
            p += 1
        to = p
        if TRAILS and ASSETS == 1:
            book[TOP + PER * j, 0] = side * top
            book[STOP + PER * j, 0] = side * stop
    return to


def follow(r, book, prices, j, t0, q, to):
    """Move the trailing stop of asset `j` on by the bars from place `q` to before `to`."""
    had = book[HELD + PER * j, 0]
    if had != 0.0:
        side = 1.0 if had > 0.0 else -1.0
        top = side * book[TOP + PER * j, 0]
        for p in range(q, to):
            low, high = reach(prices, j, t0 + p)
            new = followed(prices, j, t0 + p, side, high if had > 0.0 else -low)
            if HALTS:
                new = new if fill_of(prices, j, t0 + p) > 0.0 else top
            top = max(top, new)
        trail(r, book, j, side, top)


def trail(r, book, j, side, top):
    """Draw the trailing stop of asset `j` after the best price, which is `side * top`, if that
    is new.
    """
    if top > side * book[TOP + PER * j, 0]:
        book[TOP + PER * j, 0] = side * top
        book[STOP + PER * j, 0] = side * max(
            side * book[LOSS + PER * j, 0], top * (1.0 - side * r[TRAILING])
        )


def protect(r, book, prices, j, t, notes):
    """Close the holding of asset `j` where bar `t` has met its stop-loss, trailing stop or
    take-profit; whether it did.

    A bar that opens beyond a stop fills at its open. Where a bar meets both sides, the loss comes
    first: the bar does not say.
    """
    had = book[HELD + PER * j, 0]
    hit = 0.0
    trades = True
    if HALTS:
        trades = fill_of(prices, j, t) > 0.0
    if trades and had != 0.0 and (ENTRY_BAR or book[ENTRY + PER * j, 0] < t):
        side = 1.0 if had > 0.0 else -1.0
        low, high = reach(prices, j, t)
        worst = low if had > 0.0 else high
        best = high if had > 0.0 else low
        stop = book[STOP + PER * j, 0]
        goal = book[GOAL + PER * j, 0]
        if side * worst <= side * stop:
            hit = BY_TRAIL if book[LOSS + PER * j, 0] != stop else BY_LOSS
        elif side * best >= side * goal:
            hit = BY_PROFIT
        if TIMED and hit == 0.0 and t - book[ENTRY + PER * j, 0] >= r[MOST_BARS]:
            hit = BY_TIME
        if TRAILS:
            trail(r, book, j, side, followed(prices, j, t, side, side * best))
        if hit > 0.0:
            last = close_of(prices, j, t)
            first = last
            if RANGES and not CLOSE_ONLY:
                first = extra_of(prices, OPENING, j, t)
            level = goal if hit == BY_PROFIT else stop
            way = -side if hit == BY_PROFIT else side
            price = first if way * first <= way * level else level
            price = last if hit == BY_TIME else price
            slips = GOAL_SLIPS if hit == BY_PROFIT else (1.0 if hit == BY_TIME else STOP_SLIPS)
            _ = deal(r, book, prices, ASSETS, j, t, -had, NO_LIMIT, price, slips, hit, notes)
    return hit
