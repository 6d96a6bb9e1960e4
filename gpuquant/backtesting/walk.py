"""The back-test walk: one body for a grid of rules, for signals, weights and amounts, and for a list of orders, on any device.

A column is one account: one asset under one row of parameters, or all assets with shared cash. It walks the bars once, trades
(`broker.py`, `tickets.py`), marks to market and keeps running sums of everything the measures need: nothing of size bars x columns exists
unless `recorded` asks for it. As in `pricing/walk.py` the names that are not defined here come with the generated module; what a run does
not use is a constant of it, and is left out of its kernel.

Bars go by in blocks (of one bar on a GPU). What a rule sees of the past without remembering anything, and the moments of the
equity, are loops over a block without a branch, which a CPU turns into vector instructions; only what remembers, the rule's
state and the account, goes bar by bar.

`block` holds what is seen, the equity at each bar (place 0: before the block) and the moments, each by place in the block.
"""
# mypy: ignore-errors
# ruff: noqa: F821


def wish_of_rule(r, state, seen, past, wishes, asset, t):
    """The rule's decision at the close of bar `t`."""
    return decide(r, 0, state, past, F(t), seen)


def wish_of_array(r, state, seen, past, wishes, asset, t):
    """The caller's wish at bar `t`: NaN is no wish."""
    wish = wishes[u64(asset), u64(t)]
    return state, HOLD if wish != wish else wish


def listen(r, state, block, book, sums, close, extra, lead, wishes, asset0, q, t):
    """Write down the wishes at the close of bar `t`; the state after it, and whether there is any."""
    any_wish = False
    for j in range(ASSETS):
        state, wish = wish_of(r, state, load_seen(block, 0, q), (sums, close, extra, lead, asset0 + j, t), wishes, asset0 + j, t)
        book[WANT + PER * j, 0] = wish
        any_wish = any_wish or wish < HOLD
    return state, any_wish


def measure(block, book, market, moves, t0, here):
    """Add the block's changes of equity to the moments, place by place; where one is new, the best and worst bar and the drawdown."""
    peak = book[PEAK, 0]
    floor = book[FLOOR, 0]
    best = book[BEST, 0]
    worst = book[WORST, 0]
    extremes = 0
    levels = 0
    for q in unrolled(PLACES):
        s1 = 0.0
        s2 = 0.0
        s3 = 0.0
        s4 = 0.0
        down = 0.0
        up = 0.0
        ups = 0.0
        downs = 0.0
        for g in unrolled(BLOCK // PLACES):
            worth = block[EQUITY, g * PLACES + q + 1]
            before = block[EQUITY, g * PLACES + q]
            change = worth / before - 1.0 if worth != before else 0.0  # a ruined account may stand at zero
            square = change * change
            s1 += change
            s2 += square
            s3 += square * change
            s4 += square * square
            down += square if change < 0.0 else 0.0
            up += change if change > 0.0 else 0.0
            ups += 1.0 if change > 0.0 else 0.0
            downs += 1.0 if change < 0.0 else 0.0
            extremes += 1 if (change > best) | (change < worst) else 0
            levels += 1 if (worth >= peak) | (worth < floor) else 0
            block[MOVED, g * PLACES + q] = change
        block[S1, q] += s1
        block[S2, q] += s2
        block[S3, q] += s3
        block[S4, q] += s4
        block[DOWN, q] += down
        block[UP, q] += up
        block[UPS, q] += ups
        block[DOWNS, q] += downs
    if BENCH:
        for q in unrolled(PLACES):
            cross = 0.0
            for g in unrolled(BLOCK // PLACES):  # the market goes on with nothing after its last bar
                cross += block[MOVED, g * PLACES + q] * market[t0 + g * PLACES + q]
            block[CROSS, q] += cross
    if DETAIL:
        for q in part(BLOCK, 0, here):
            moves[0, t0 + q] = block[MOVED, q]
    if extremes > 0:
        for q in part(BLOCK, 0, here):
            change = block[MOVED, q]
            best = max(best, change)
            worst = min(worst, change)
        book[BEST, 0] = best
        book[WORST, 0] = worst
    inverse = 1.0 / peak
    if levels > 0:
        for q in part(BLOCK, 0, here):
            worth = block[EQUITY, u64(q + 1)]
            if worth >= peak:
                book[LONGEST, 0] = max(book[LONGEST, 0], t0 + q - 1.0 - book[PEAK_AT, 0])
                book[PEAK_AT, 0] = t0 + q
                floor = worth * (floor / peak)  # where a fall becomes the deepest
                peak = worth
                inverse = 1.0 / peak
            floor = min(floor, worth)
            block[MOVED, q] = inverse
        book[PEAK, 0] = peak
        book[FLOOR, 0] = floor
        for q in part(BLOCK, here, BLOCK):
            block[MOVED, q] = inverse
    else:
        for q in unrolled(BLOCK):
            block[MOVED, q] = inverse
    for q in unrolled(PLACES):
        under = 0.0
        under2 = 0.0
        for g in unrolled(BLOCK // PLACES):
            below = 1.0 - block[EQUITY, g * PLACES + q + 1] * block[MOVED, g * PLACES + q]
            under += below
            under2 += below * below
        block[UNDER, q] += under
        block[UNDER2, q] += under2
    if here < BLOCK:  # the places after the last bar
        below = 1.0 - block[EQUITY, BLOCK] * block[MOVED, BLOCK - 1]
        block[UNDER, 0] -= (BLOCK - here) * below
        block[UNDER2, 0] -= (BLOCK - here) * below * below


def select(values, row, last, k):
    """Put the k-th smallest of `values[row, 0 .. last]` in its place, no larger ones before it and no smaller ones after it (Hoare, 1961)."""
    first = 0
    while first < last:
        pivot = values[row, (first + last) // 2]
        low = first
        high = last
        while low <= high:
            while values[row, low] < pivot:
                low += 1
            while pivot < values[row, high]:
                high -= 1
            if low <= high:
                swap = values[row, low]
                values[row, low] = values[row, high]
                values[row, high] = swap
                low += 1
                high -= 1
        if high < k:
            first = low
        if k < low:
            last = high
    return values[row, k]


def tails(block, book, moves, bars):
    """The empirical quantiles of the changes at 5 and 95 %, and the mean of the worst 5 %, whose last counts by its share.

    Only what lies a standard deviation from the mean is looked through, unless there is too little of it.
    """
    mean = block[S1, 0] / bars
    width = sqrt(max(block[S2, 0] / bars - mean * mean, 0.0))
    mass = 0.05 * bars
    whole = i64(mass + 1e-12)
    part = mass - whole if mass - whole > 1e-12 else 0.0
    worst = whole if part > 0.0 else whole - 1
    for side in unrolled(2):
        way = 1.0 - 2.0 * side
        edge = way * mean - width
        count = 0
        for t in range(bars):
            change = way * moves[0, t]
            moves[1, count] = change
            count += 1 if change < edge else 0
        if count <= worst:
            for t in range(bars):
                moves[1, t] = way * moves[0, t]
            count = bars
        quantile = way * select(moves, 1, count - 1, worst)
        if side == 0:
            total = part * moves[1, worst]
            for q in range(whole):
                total += moves[1, q]
            book[LOW5, 0] = quantile
            book[MEAN5, 0] = total / mass
        else:
            book[HIGH5, 0] = quantile


def conclude(block, book, worth, bars):
    """The sums over all places, in a fixed tree, and what only the last bar decides."""
    width = PLACES
    while width > 1:
        width //= 2
        for q in range(width):
            for k in unrolled(SUMMED):
                block[MOMENTS + k, q] += block[MOMENTS + k, q + width]
    if worth < book[PEAK, 0]:
        book[LONGEST, 0] = max(book[LONGEST, 0], bars - 1.0 - book[PEAK_AT, 0])
    book[DEPTH, 0] = book[FLOOR, 0] / book[PEAK, 0] - 1.0


def walk(
    unit, lane0, ASSETS, columns, rows, bars, lead, fields, at, sums, close, fill, extra, wishes, tickets, fates, market, source, path0, dt, tick, k0, k1, cash0, out,
    recorded, equity, orders, order_at
):  # fmt: skip
    """Run the columns of one unit.

    Column c is asset group `c // rows` under parameter row `c % rows`. `out[c]` receives the running sums in the order of
    `backtesting/kernel.SUMS`. Where `recorded`, `equity[c, t]` the equity at each close; rows `order_at[c]`
    to `order_at[c + 1] - 1` of `orders` what was dealt. The prices, `sums` and `extra` begin with `lead` places of NaN.
    """
    block = array((MOMENTS + SUMMED, BLOCK + 1), f64)
    book = array((HELD + PER * ASSETS, 1), f64)
    if DETAIL:
        moves = array((2, bars + 1), f64)
    else:
        moves = block
    if PATHS:
        close = array((1, lead + bars), f64)
        sums = array((1, lead + bars + 1), f64)
        draws = array((4 * (NORMALS + UNIFORMS + 1), 1), f64)
        fill = close
        woven = -1
        for t in range(lead):
            close[0, t] = NAN
            sums[0, t] = NAN
    for lane in lanes():
        column = unit * WIDTH + lane0 + lane
        if column < columns:
            asset0 = (column // rows) * ASSETS
            r = read_row(fields, at, column % rows)
            if PATHS:
                if woven != asset0:  # the parameters of a path come one after the other
                    weave(r, close, sums, source, draws, bars, lead, path0 + asset0, dt, tick, k0, k1)
                    woven = asset0
                asset0 = 0
            state, begin_at = begin(r, 0)
            first = max(min(i64(begin_at), bars), 0)
            start(block, book, cash0, first)
            if recorded:
                for t in range(first):
                    equity[column, t] = cash0
            if DETAIL:
                for t in range(bars):
                    moves[0, t] = 0.0
            pending = False
            worth = cash0
            active = 0.0
            exposed = 0.0
            since = first
            begun = 0
            for t0 in range(first, bars, BLOCK):
                here = min(BLOCK, bars - t0)
                for q in part(BLOCK, 0, here):  # indices are unsigned: a signed one would be tested for counting from the end
                    store_seen(block, 0, q, look(r, 0, (sums, close, extra, lead, asset0, t0 + q), F(t0 + q)))
                moved = active > 0.0
                if CARRIES:
                    moved = True
                for q in part(BLOCK, 0, here):
                    t = t0 + q
                    acted = False
                    if STOPS or TICKETS or ACTIONS:
                        book[WORTH, 0] = worth
                    if ACTIONS or DELISTS or STOPS or TICKETS:
                        dealt = book[ORDERS, 0]
                    if ACTIONS:
                        act(book, extra, lead, asset0, t)
                    if DELISTS:
                        delist(r, book, close, extra, lead, asset0, t, recorded, column, orders, order_at)
                    if CARRIES and book[ALIVE, 0] > 0.0:
                        carry(r, book, close, lead, asset0, t)
                    if SAME_CLOSE or SAME_OPEN:
                        if not TICKETS:
                            state, pending = listen(r, state, block, book, sums, close, extra, lead, wishes, asset0, q, t)
                        if LEVERED and book[WHY, 0] > 0.0:  # what the margin calls for comes before any wish
                            pending = True
                            for j in range(ASSETS):
                                book[WANT + PER * j, 0] = 0.0
                    if STOPS and not NEXT:
                        for j in range(ASSETS):
                            hit = protect(r, book, close, fill, extra, lead, asset0, j, t, recorded, column, orders, order_at)
                            if hit > 0.0:  # a bar that stops out has no other signal
                                book[WANT + PER * j, 0] = HOLD
                    if pending and book[ALIVE, 0] > 0.0:
                        trade(r, book, close, fill, extra, lead, asset0, t, recorded, column, orders, order_at)
                        acted = True
                        if TICKETS:
                            pending = False
                    if STOPS and NEXT:
                        for j in range(ASSETS):
                            hit = protect(r, book, close, fill, extra, lead, asset0, j, t, recorded, column, orders, order_at)
                    if TICKETS and book[ALIVE, 0] > 0.0:
                        begun = work(r, book, close, fill, extra, lead, asset0, t, tickets, fates, begun, recorded, column, orders, order_at)
                    if ACTIONS or DELISTS or STOPS or TICKETS:
                        acted = acted or book[ORDERS, 0] != dealt
                    if acted:
                        exposed += active * (t - since)
                        since = t
                        active = 1.0 if book[ACTIVE, 0] > 0.0 else 0.0
                        moved = True
                    worth = mark(book, close, lead, asset0, t)
                    block[EQUITY, u64(q + 1)] = worth
                    if worth <= 0.0 and book[ALIVE, 0] > 0.0:
                        exposed += active * (t + 1 - since)
                        active = 0.0
                        end(book, worth)
                    if NEXT and not TICKETS:
                        state, pending = listen(r, state, block, book, sums, close, extra, lead, wishes, asset0, q, t)
                    if LEVERED:
                        book[WHY, 0] = 0.0
                        called = call(r, book, close, lead, asset0, t, worth)
                        if called > 0.0:
                            book[WHY, 0] = BY_MARGIN
                            book[CALLS, 0] += 1.0
                            pending = True
                            for j in range(ASSETS):
                                book[WANT + PER * j, 0] = 0.0
                if moved:
                    for q in part(BLOCK, here, BLOCK):  # after the last bar nothing moves
                        block[EQUITY, u64(q + 1)] = worth
                    measure(block, book, market, moves, t0, here)
                else:
                    below = 1.0 - worth / book[PEAK, 0]
                    block[UNDER, 0] += here * below
                    block[UNDER2, 0] += here * below * below
                    if worth >= book[PEAK, 0]:
                        book[PEAK_AT, 0] = t0 + here - 1.0
                if recorded:
                    for q in part(BLOCK, 0, here):
                        equity[column, t0 + q] = block[EQUITY, u64(q + 1)]
                block[EQUITY, 0] = worth
            book[EXPOSED, 0] = exposed + active * (bars - since)
            conclude(block, book, worth, bars)
            if DETAIL:
                tails(block, book, moves, bars)
            out[column, 0] = worth / cash0
            for k in unrolled(SUMMED):
                out[column, 1 + k] = block[MOMENTS + k, 0]
            for k in unrolled(TALLIES):
                out[column, 1 + SUMMED + k] = book[k, 0]


def bars_back(n, lead):
    """n, or so many bars that they reach into the NaN before the first: never into the future."""
    return i64(n) if (n >= 0.0) and (n < lead) else lead


def past_sum(past, n):
    """Sum of the last n closes in whole ticks; NaN before there are n."""
    sums, _close, _extra, lead, asset, t = past
    return sums[u64(asset), u64(lead + t + 1)] - sums[u64(asset), u64(lead + t + 1 - bars_back(n, lead))]


def past_close(past, n):
    """The close n bars ago; NaN before the first."""
    _sums, close, _extra, lead, asset, t = past
    return close[u64(asset), u64(lead + t - bars_back(n, lead))]


def past_open(past, n):
    """The open n bars ago; NaN before the first."""
    _sums, _close, extra, lead, asset, t = past
    return extra[OPEN, u64(asset), u64(lead + t - bars_back(n, lead))]


def past_high(past, n):
    """The high n bars ago; NaN before the first."""
    _sums, _close, extra, lead, asset, t = past
    return extra[HIGH, u64(asset), u64(lead + t - bars_back(n, lead))]


def past_low(past, n):
    """The low n bars ago; NaN before the first."""
    _sums, _close, extra, lead, asset, t = past
    return extra[LOW, u64(asset), u64(lead + t - bars_back(n, lead))]


def past_volume(past, n):
    """The volume n bars ago; NaN before the first."""
    _sums, _close, extra, lead, asset, t = past
    return extra[VOLUME, u64(asset), u64(lead + t - bars_back(n, lead))]
