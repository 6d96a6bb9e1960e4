"""The back-test walk: one body for a grid of rules, for signals, weights and amounts, and for a
list of orders, on any device.

A column is one account: one asset under one row of parameters, or all assets with shared cash. It
walks the bars once, trades (`broker.py`, `stops.py`, `tickets.py`), marks to market and keeps
running sums of everything the measures need (`moments.py`): nothing of size bars x columns exists
unless `recorded` asks for it. As in `pricing/walk.py` the names that are not defined here come with
the generated module; what a run does not use is a constant of it, and is left out of its kernel.

Bars go by in blocks (of one bar on a GPU). What a rule sees of the past without remembering
anything, the equity between two trades and its moments are loops over a block without a branch,
which a CPU turns into vector instructions. Only a state that rests on the one before goes bar by
bar; the account goes from one bar at which something is due to the next, unless every bar may touch
it.

`block` holds what is seen and the moments, each by place in the block, and the equity, of place 0
in column FRONT and before the block in the one before it; `want[j]` the wishes for asset `j`, by
the place of the bar at which they are due, and where a rule prices them, below them their limits
and their stops. `prices` is told of in `past.py`; `notes` is whether the column is recorded, its
number, and where to.
"""
# mypy: ignore-errors
# ruff: noqa: F821


def wish_of_rule(r, state, seen, past, wishes):
    """The rule's decision at the close of its bar: its state, its wish, and where it is PRICED
    the wish's limit and stop.
    """
    _prices, _j, t = past
    return decide(r, 0, state, past, F(t), seen)


def wish_of_signal(r, state, seen, past, wishes):
    """The caller's signal at the bar."""
    prices, j, t = past
    signal = wishes[u64(asset_of(prices, j)), u64(t)]
    return state, HOLD if signal == NO_SIGNAL else f64(signal)


def wish_of_array(r, state, seen, past, wishes):
    """The caller's wish at the bar: NaN is no wish."""
    prices, j, t = past
    wish = wishes[u64(asset_of(prices, j)), u64(t)]
    return state, HOLD if wish != wish else wish


def ask(r, state, seen, past, wishes, want, j, q):
    """Put the wish for asset `j` at the close of its bar in place `q`, and its prices below all
    wishes; the state after it.
    """
    if PRICED:
        state, wish, limit, stop = wish_of(r, state, seen, past, wishes)
        wish = (
            wish if limit >= 0.0 and stop >= 0.0 else HOLD
        )  # what is not known, or below zero, is no price to wait for
        want[u64(ASSETS + j), u64(q)] = limit if limit > 0.0 else NAN
        want[u64(2 * ASSETS + j), u64(q)] = stop if stop > 0.0 else NAN
    else:
        state, wish = wish_of(r, state, seen, past, wishes)
    want[u64(j), u64(q)] = wish
    return state


def plan(r, state, block, want, prices, wishes, t0, here):
    """Ask for the wishes at the closes of a block, each in the place of the bar at which it is due;
    the state after them.

    They rest on prices alone, never on the account: so they are known before the account has come
    so far. Also returned: the places that have a wish due, a bit for each.
    """
    if BLOCK == 1:
        for j in range(ASSETS):
            state = ask(r, state, load_seen(block, 0, 0), (prices, j, t0), wishes, want, j, NEXT)
    else:
        # asked twice: for its state, bar by bar unless none is kept, and knowing that for its
        # wishes, which is vector code
        store_was(block, WAS, 0, state)
        kept = 1 - LATCHES
        if LATCHES:
            for q in range(here):
                sure, after = settled(r, 0, (prices, 0, t0 + q), F(t0 + q), load_seen(block, 0, q))
                store_was(block, WAS, q + 1, after)
                kept += 0 if sure else 1
        if kept > 0:
            for q in range(here):
                result = wish_of(r, state, load_seen(block, 0, q), (prices, 0, t0 + q), wishes)
                state = result[0]
                store_was(block, WAS, q + 1, state)
        else:
            state = load_was(block, WAS, here)
        for j in range(ASSETS):
            for q in range(here):
                _later = ask(
                    r,
                    load_was(block, WAS, q),
                    load_seen(block, 0, q),
                    (prices, j, t0 + q),
                    wishes,
                    want,
                    j,
                    q + NEXT,
                )
    due = u64(0)
    if SKIPS:
        for j in range(ASSETS):
            due |= below(want, (u64(j), u64(0)), HOLD)
        if here < BLOCK:  # beyond the last bar is what the block before had there
            due &= (u64(1) << u64(here)) - u64(1)
    return state, due


def quiet(book, block, prices, t0, q, to):
    """Mark to market from place `q` to before `to`, where nothing trades; the place of the first
    bar that loses the account, or `to`.
    """
    if ASSETS == 1:
        lost = mark_one(book, block, prices, t0, q)
    else:
        lost = mark_all(book, block, prices, t0, q, to)
    if lost > 0 and book[ALIVE, 0] > 0.0:
        p = q
        while p < to and block[EQUITY, u64(p + FRONT)] > 0.0:
            p += 1
        to = p
    return to


def mark_one(book, block, prices, t0, q):
    """The equity from place `q` to the end of the block with one asset; how often it is gone. What
    is marked too far is marked again.

    Every place of the block is looked at: a loop of a fixed length is all vector code, without the
    remains of one that begins at `q`.
    """
    cash = book[CASH, 0]
    units = book[HELD, 0]
    lost = 0
    for p in range(BLOCK):
        if HALTS:
            worth = cash + value_of(units, close_of(prices, 0, t0 + p))
        else:
            worth = cash + units * close_of(prices, 0, t0 + p)
        block[EQUITY, u64(p + FRONT)] = worth if p >= q else block[EQUITY, u64(p + FRONT)]
        lost += 1 if (p >= q) & (worth <= 0.0) else 0
    return lost


def mark_all(book, block, prices, t0, q, to):
    """The equity from place `q` to before `to` with any number of assets; how often it is gone."""
    cash = book[CASH, 0]
    for p in range(q, to):
        block[EQUITY, u64(p + FRONT)] = cash
    for j in range(ASSETS):
        units = book[HELD + PER * j, 0]
        if units != 0.0:
            for p in range(q, to):
                block[EQUITY, u64(p + FRONT)] += units * close_of(prices, j, t0 + p)
    lost = 0
    for p in range(q, to):
        lost += 1 if block[EQUITY, u64(p + FRONT)] <= 0.0 else 0
    return lost


def step(r, book, block, want, prices, years, q, t, due, tickets, fates, begun, notes):
    """One bar of the account, in place `q` of its block: what happens to it, its stops and
    orders, its value at the close, and whether it trades.
    """
    acted = False
    if ACTIONS or DELISTS or STOPS or TICKETS:
        book[WORTH, 0] = block[EQUITY, u64(q + FRONT - 1)]
        dealt = book[ORDERS, 0]
    if (
        CARRIES and book[ALIVE, 0] > 0.0
    ):  # of what was held since the bar before, before anything happens to it
        carry(r, book, prices, t, years)
    if ACTIONS:
        act(book, prices, t)
    if DELISTS:
        delist(r, book, prices, t, notes)
    if LEVERED and book[WHY, 0] > 0.0:  # what the margin calls for comes before any wish
        due = 1
        for j in range(ASSETS):
            want[u64(j), u64(q)] = 0.0
    if STOPS and not NEXT:
        for j in range(ASSETS):
            hit = protect(r, book, prices, j, t, notes)
            if hit > 0.0:  # a bar that stops out has no other signal
                want[u64(j), u64(q)] = HOLD
    if due > 0 and not (book[ALIVE, 0] > 0.0):
        refuse(book, want, prices, q, t, notes)
    if due > 0 and book[ALIVE, 0] > 0.0:
        trade(r, book, want, prices, q, t, notes)
        acted = True
    if STOPS and NEXT:
        book[WORTH, 0] = block[
            EQUITY, u64(q + FRONT - 1)
        ]  # what a stop's turnover is a share of, whether or not a wish was due
        for j in range(ASSETS):
            hit = protect(r, book, prices, j, t, notes)
    if TICKETS and book[ALIVE, 0] > 0.0:
        begun = work(r, book, prices, t, tickets, fates, begun, notes)
    if ACTIONS or DELISTS or STOPS or TICKETS:
        acted = acted or book[ORDERS, 0] != dealt
    if acted:
        expose(book, t)
    worth = mark(book, prices, t)
    block[EQUITY, u64(q + FRONT)] = worth
    if worth <= 0.0 and book[ALIVE, 0] > 0.0:
        end(r, book, prices, t, worth, notes)
        if TICKETS:
            for k in range(tickets.shape[0]):
                if fates[k, FATE_STATE] <= LIVE:
                    fates[k, FATE_STATE] = REJECTED
                    fates[k, FATE_REASON] = RUINED
                    fates[k, FATE_BAR] = t
        expose(book, t + 1)
    if LEVERED:
        book[WHY, 0] = 0.0
        called = call(r, book, prices, t, worth)
        if called > 0.0 and book[ALIVE, 0] > 0.0:
            book[WHY, 0] = BY_MARGIN
            book[CALLS, 0] += 1.0
    return begun, acted


def pending(book, dues, ups, downs):
    """Of the places that have a wish due, those whose wish may change what is held: not long
    where it is long already, nor short or flat.
    """
    had = book[HELD, 0]
    flats = dues ^ (dues & (ups | downs))
    idle = ups if had > 0.0 else (downs if had < 0.0 else flats)
    return dues ^ (dues & idle)


def live(r, book, block, want, prices, years, t0, here, dues, tickets, fates, begun, notes):
    """Take the account through a block: from one bar at which something is due to the next, or
    bar by bar; whether its equity may have moved.
    """
    moved = CARRIES > 0 or book[ACTIVE, 0] > 0.0
    if SKIPS:
        if STOPS:
            ahead(prices, t0 + BLOCK)
        if IDLES:
            ups = u64(0)
            downs = u64(0)
            later = dues & (dues - u64(1))
            crowded = later & (later - u64(1)) != u64(0)
            # by more than two wishes, among which it pays to look for those that count, and wait
            # for what is held
            if crowded:
                ups = dues ^ (dues & below(want, (u64(0), u64(0)), LEAST_WISH))
                downs = dues & below(want, (u64(0), u64(0)), 0.0)
        q = 0
        while q < here:
            next_q = min(i64(lowest(dues)), here)
            if IDLES and crowded:
                next_q = min(i64(lowest(pending(book, dues, ups, downs))), here)
            to = next_q
            if to > q:
                to = quiet(book, block, prices, t0, q, to)
                if STOPS:
                    to = watch(r, book, prices, t0, q, to)
            due = 1 if to == next_q else 0
            if to < here:
                begun, acted = step(
                    r,
                    book,
                    block,
                    want,
                    prices,
                    years,
                    to,
                    t0 + to,
                    due,
                    tickets,
                    fates,
                    begun,
                    notes,
                )
                moved = moved or acted
            dues &= u64(0) - (u64(2) << u64(min(to, BLOCK - 1)))  # those that are still to come
            q = to + 1
    else:
        for q in part(BLOCK, 0, here):
            due = 0
            if not TICKETS:
                for j in range(ASSETS):
                    due = 1 if want[u64(j), u64(q)] < HOLD else due
            begun, acted = step(
                r, book, block, want, prices, years, q, t0 + q, due, tickets, fates, begun, notes
            )
            moved = moved or acted
    return begun, moved


def leave(block, book, want, market, moves, t0, here, moved, cash0, notes, ASSETS):
    """Measure a block that the account has gone through, and carry over what the next begins
    with; the equity at its end.
    """
    if BLOCK == 1:
        worth = block[EQUITY, FRONT]
    else:
        worth = block[EQUITY, u64(here + FRONT - 1)]
    recorded, column, equity, _orders, _order_at = notes
    if recorded:
        for q in part(BLOCK, 0, here):
            equity[column, t0 + q] = block[EQUITY, u64(q + FRONT)]
    # the first return is from the starting cash to the close of bar 1: what was paid at bar 0 is in
    # it
    if ORIGIN:
        if t0 == 0:
            block[EQUITY, FRONT] = cash0
        if t0 == 1:
            block[EQUITY, FRONT - 1] = cash0
            moved = moved or worth != cash0
    if moved:
        for q in part(BLOCK, here, BLOCK):  # after the last bar nothing moves
            block[EQUITY, u64(q + FRONT)] = worth
        measure(block, book, market, moves, t0, here)
    else:
        rest(block, book, worth, t0, here)
    block[EQUITY, FRONT - 1] = worth
    if NEXT and not TICKETS:
        for j in range(ASSETS * (1 + 2 * PRICED)):
            want[u64(j), 0] = want[u64(j), BLOCK]
    return worth


def tell(block, book, moves, bars, worth, cash0, out, column):
    """What a column comes to, in the order of `backtesting/kernel.SUMS`."""
    expose(book, bars)
    conclude(block, book, worth, bars)
    if TAILS:
        tails(block, book, moves, bars)
    out[column, 0] = worth / cash0
    for k in unrolled(SUMMED):
        out[column, 1 + k] = block[MOMENTS + k, 0]
    for k in unrolled(TALLIES):
        out[column, 1 + SUMMED + k] = book[k, 0]


def walk(
    unit, lane0, ASSETS, columns, rows, bars, lead, fields, at, sums, close, fill, extra, wishes,
    tickets, fates, years, market, source, path0, dt, tick, k0, k1, cash0, out,
    recorded, equity, orders, order_at
):  # fmt: skip
    """Run the columns of one unit.

    Column c is asset group `c // rows` under parameter row `c % rows`. `out[c]` receives the
    running sums in the order of `backtesting/kernel.SUMS`. Where `recorded`, `equity[c, t]` the
    equity at each close; rows `order_at[c]` to `order_at[c + 1] - 1` of `orders` what was dealt.
    The prices, `sums` and `extra` begin with `lead` places of NaN, and the closes end with BLOCK
    more.
    """
    block = array((MOMENTS + SUMMED, BLOCK + FRONT), f64)
    book = array((HELD + PER * ASSETS, 1), f64)
    want = array((ASSETS * (1 + 2 * PRICED), BLOCK + 1), f64)
    if TAILS:
        moves = array((2, bars + 1), f64)
    else:
        moves = block
    if PATHS:
        close = array((1, lead + bars + BLOCK), f64)
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
                    weave(
                        r, close, sums, source, draws, bars, lead, path0 + asset0, dt, tick, k0, k1
                    )
                    woven = asset0
                asset0 = 0
            prices = (sums, close, fill, extra, lead, asset0)
            notes = (recorded, column, equity, orders, order_at)
            state, begin_at = begin(r, 0)
            first = max(min(i64(begin_at), bars), 0)
            worth = cash0
            begins = 0 if CARRIES else first  # interest does not wait for a rule's first decision
            start(block, book, want, cash0, begins)
            if recorded:
                for t in range(begins):
                    equity[column, t] = cash0
            if TAILS:
                for t in range(bars):
                    moves[0, t] = 0.0
            begun = 0
            t0 = begins
            while t0 < bars:
                here = min(BLOCK, (bars if t0 >= first else first) - t0)
                for q in part(BLOCK, 0, here):  # indices are unsigned: they count from the front
                    store_seen(block, 0, q, look(r, 0, (prices, 0, t0 + q), F(t0 + q)))
                due = u64(0)
                if t0 < first:
                    for j in range(ASSETS):
                        for q in range(BLOCK + 1):
                            want[u64(j), u64(q)] = HOLD
                elif not TICKETS:
                    state, due = plan(r, state, block, want, prices, wishes, t0, here)
                begun, moved = live(
                    r, book, block, want, prices, years, t0, here, due, tickets, fates, begun, notes
                )
                worth = leave(
                    block, book, want, market, moves, t0, here, moved, cash0, notes, ASSETS
                )
                t0 += here
            tell(block, book, moves, bars, worth, cash0, out, column)
