"""The back-test walk: one body for a grid of rules and for a book of weights, on any device.

A column is one account: one asset under one row of parameters, or all assets with shared cash. It walks the bars once, trades,
marks to market and keeps running sums of everything the measures need: nothing of size bars x columns exists unless
`recorded` asks for it. As in `pricing/walk.py` the names that are not defined here come with the generated module.

Bars go by in blocks (of one bar on a GPU). What a rule sees of the past without remembering anything, and the moments of the
equity, are loops over a block without a branch, which a CPU turns into vector instructions; only what remembers, the rule's
state and the account, goes bar by bar.

`block` holds what is seen, the equity at each bar (place 0: before the block) and the moments, each by place in the block.
`book` holds the account: the tallies by their names, then of each asset the units held, what they cost, the wish and the order.
"""
# mypy: ignore-errors
# ruff: noqa: F821


def wish_of_rule(r, state, seen, past, wishes, asset, t):
    """The rule's decision at the close of bar `t`."""
    return decide(r, 0, state, past, F(t), seen)


def wish_of_array(r, state, seen, past, wishes, asset, t):
    """The caller's wish at bar `t`: NaN is no wish."""
    wish = wishes[t, asset]
    return state, HOLD if wish != wish else wish


def start(block, book, cash0, first):
    """An account that holds nothing, before bar `first`."""
    for k in unrolled(HELD + 4 * ASSETS):
        book[k, 0] = 0.0
    for k in unrolled(SUMMED):
        for q in unrolled(BLOCK):
            block[MOMENTS + k, q] = 0.0
    book[CASH, 0] = cash0
    book[ALIVE, 0] = 1.0
    book[PEAK, 0] = cash0
    book[PEAK_AT, 0] = first - 1.0
    book[FLOOR, 0] = cash0
    block[EQUITY, 0] = cash0


def listen(r, state, block, book, sums, close, lead, wishes, asset0, q, t):
    """Write down the wishes at the close of bar `t`; the state after it, and whether there is any."""
    any_wish = False
    for j in range(ASSETS):
        state, wish = wish_of(r, state, load_seen(block, 0, q), (sums, close, lead, asset0 + j, t), wishes, asset0 + j, t)
        book[WANT + 4 * j, 0] = wish
        any_wish = any_wish or wish < HOLD
    return state, any_wish


def order(wish, had, worth, price):
    """Units to trade. A signal acts on a change of direction; a weight is re-established whenever it is given."""
    idle = (wish == HOLD) or (SIGNALS and wish * had > 0.0) or (wish == 0.0 and had == 0.0)
    return 0.0 if idle else wish * worth / price - had


def trade(r, book, fill, lead, asset0, t, column, orders, order_at):
    """Turn the wishes into fills at bar `t`: sells first, since their cash pays for the buys."""
    worth = book[CASH, 0]
    for j in range(ASSETS):
        worth += book[HELD + 4 * j, 0] * fill[u64(asset0 + j), u64(lead + t)]
    wanted = 0.0
    covering = 0.0
    for j in range(ASSETS):
        price = fill[u64(asset0 + j), u64(lead + t)]
        size = order(book[WANT + 4 * j, 0], book[HELD + 4 * j, 0], worth, price)
        book[SIZE + 4 * j, 0] = size
        if size > 0.0:  # a short is always bought back; where cash is short, the other buys are cut by one factor
            paid = fill_price(r, 0, price, 1.0)
            cover = min(size, max(-book[HELD + 4 * j, 0], 0.0))
            covering += cover * paid + charge(r, 0, cover * paid)
            wanted += (size - cover) * paid
    share = 1.0
    for turn in range(2):
        side = 2.0 * turn - 1.0
        if turn == 1 and wanted > 0.0:
            share = min(1.0, afford(r, 0, max(book[CASH, 0] - covering, 0.0)) / wanted)
        for j in range(ASSETS):
            size = book[SIZE + 4 * j, 0]
            if size * side > 0.0:
                price = fill[u64(asset0 + j), u64(lead + t)]
                paid = fill_price(r, 0, price, side)
                if turn == 1:
                    cover = min(size, max(-book[HELD + 4 * j, 0], 0.0))
                    size = cover + share * (size - cover)
                if abs(size) >= 1e-8:
                    fee = charge(r, 0, abs(size) * paid)
                    book[TURNOVER, 0] += abs(size) * price / worth
                    place = order_at[column] + i64(book[ORDERS, 0])
                    if place < order_at[column + 1]:
                        orders[place, 0] = t
                        orders[place, 1] = asset0 + j
                        orders[place, 2] = size
                        orders[place, 3] = paid
                        orders[place, 4] = fee
                    settle(book, j, size, paid, fee)


def settle(book, j, size, paid, fee):
    """Book one fill of asset `j`; a trade ends when its holding is closed or turns round."""
    had = book[HELD + 4 * j, 0]
    now = 0.0 if book[WANT + 4 * j, 0] == 0.0 else had + size
    book[HELD + 4 * j, 0] = now
    book[CASH, 0] -= size * paid + fee
    book[FEES, 0] += fee
    book[ORDERS, 0] += 1.0
    if had == 0.0:
        book[ACTIVE, 0] += 1.0
        book[BASIS + 4 * j, 0] = size * paid + fee
    elif now * had > 0.0:
        book[BASIS + 4 * j, 0] += size * paid + fee
    else:
        gain = had * paid - fee * abs(had / size) - book[BASIS + 4 * j, 0]
        book[TRADES, 0] += 1.0
        book[WINS, 0] += 1.0 if gain > 0.0 else 0.0
        book[GAINED, 0] += max(gain, 0.0)
        book[LOST, 0] -= min(gain, 0.0)
        book[ACTIVE, 0] -= 1.0 if now == 0.0 else 0.0
        book[BASIS + 4 * j, 0] = now * paid + fee * abs(now / size)


def mark(book, close, lead, asset0, t):
    """Equity at the close of bar `t`."""
    worth = book[CASH, 0]
    for j in range(ASSETS):
        worth += book[HELD + 4 * j, 0] * close[u64(asset0 + j), u64(lead + t)]
    return worth


def end(book, worth):
    """Close an account that has lost everything: nothing can be traded any more, and no return of a debt has a meaning."""
    book[CASH, 0] = worth
    book[ALIVE, 0] = 0.0
    book[ACTIVE, 0] = 0.0
    for j in range(ASSETS):
        book[HELD + 4 * j, 0] = 0.0


def measure(block, book, t0, here):
    """Add the block's changes of equity to the moments, place by place; where one is new, the best and worst bar and the drawdown."""
    peak = book[PEAK, 0]
    floor = book[FLOOR, 0]
    best = book[BEST, 0]
    worst = book[WORST, 0]
    extremes = 0
    levels = 0
    for q in unrolled(BLOCK):
        worth = block[EQUITY, q + 1]
        before = block[EQUITY, q]
        change = worth / before - 1.0 if worth != before else 0.0  # a ruined account may stand at zero
        square = change * change
        block[MOMENTS, q] += change
        block[MOMENTS + 1, q] += square
        block[MOMENTS + 2, q] += square * change
        block[MOMENTS + 3, q] += square * square
        block[MOMENTS + 4, q] += square if change < 0.0 else 0.0
        extremes += 1 if (change > best) | (change < worst) else 0
        levels += 1 if (worth >= peak) | (worth < floor) else 0
    if extremes > 0:
        for q in part(BLOCK, 0, here):
            worth = block[EQUITY, u64(q + 1)]
            before = block[EQUITY, u64(q)]
            change = worth / before - 1.0 if worth != before else 0.0
            best = max(best, change)
            worst = min(worst, change)
        book[BEST, 0] = best
        book[WORST, 0] = worst
    if levels > 0:
        for q in part(BLOCK, 0, here):
            worth = block[EQUITY, u64(q + 1)]
            if worth >= peak:
                book[LONGEST, 0] = max(book[LONGEST, 0], t0 + q - 1.0 - book[PEAK_AT, 0])
                book[PEAK_AT, 0] = t0 + q
                floor = worth * (floor / peak)  # where a fall becomes the deepest
                peak = worth
            floor = min(floor, worth)
        book[PEAK, 0] = peak
        book[FLOOR, 0] = floor


def conclude(block, book, worth, bars):
    """The sums over all places, in a fixed tree, and what only the last bar decides."""
    width = BLOCK
    while width > 1:
        width //= 2
        for q in range(width):
            for k in unrolled(SUMMED):
                block[MOMENTS + k, q] += block[MOMENTS + k, q + width]
    if worth < book[PEAK, 0]:
        book[LONGEST, 0] = max(book[LONGEST, 0], bars - 1.0 - book[PEAK_AT, 0])
    book[DEPTH, 0] = book[FLOOR, 0] / book[PEAK, 0] - 1.0


def walk(unit, lane0, ASSETS, columns, rows, bars, lead, fields, at, sums, close, fill, wishes, cash0, out, recorded, equity, orders, order_at):
    """Run the columns of one unit.

    Column c is asset group `c // rows` under parameter row `c % rows`. `out[c]` receives the running sums in the order of
    `backtesting/account.SUMS`. Where `recorded`, `equity[c, t]` the equity at each close; rows `order_at[c]`
    to `order_at[c + 1] - 1` of `orders` the fills: bar, asset, signed size, price, fee. The prices and `sums` begin with `lead` places of NaN.
    """
    block = array((MOMENTS + 5, BLOCK + 1), f64)
    book = array((HELD + 4 * ASSETS, 1), f64)
    for lane in lanes():
        column = unit * WIDTH + lane0 + lane
        if column < columns:
            asset0 = (column // rows) * ASSETS
            r = read_row(fields, at, column % rows)
            state, begin_at = begin(r, 0)
            first = max(min(i64(begin_at), bars), 0)
            start(block, book, cash0, first)
            if recorded:
                for t in range(first):
                    equity[column, t] = cash0
            pending = False
            worth = cash0
            active = 0.0
            exposed = 0.0
            since = first
            for t0 in range(first, bars, BLOCK):
                here = min(BLOCK, bars - t0)
                for q in part(BLOCK, 0, here):  # indices are unsigned: a signed one would be tested for counting from the end
                    store_seen(block, 0, q, look(r, 0, (sums, close, lead, asset0, t0 + q), F(t0 + q)))
                moved = active > 0.0
                for q in part(BLOCK, 0, here):
                    if SAME_CLOSE:
                        state, pending = listen(r, state, block, book, sums, close, lead, wishes, asset0, q, t0 + q)
                    if pending and book[ALIVE, 0] > 0.0:
                        exposed += active * (t0 + q - since)
                        since = t0 + q
                        trade(r, book, fill, lead, asset0, t0 + q, column, orders, order_at)
                        active = 1.0 if book[ACTIVE, 0] > 0.0 else 0.0
                        moved = True
                    worth = mark(book, close, lead, asset0, t0 + q)
                    block[EQUITY, u64(q + 1)] = worth
                    if worth <= 0.0 and book[ALIVE, 0] > 0.0:
                        exposed += active * (t0 + q + 1 - since)
                        active = 0.0
                        end(book, worth)
                    if not SAME_CLOSE:
                        state, pending = listen(r, state, block, book, sums, close, lead, wishes, asset0, q, t0 + q)
                if moved:
                    for q in part(BLOCK, here, BLOCK):  # after the last bar nothing moves
                        block[EQUITY, u64(q + 1)] = worth
                    measure(block, book, t0, here)
                elif worth >= book[PEAK, 0]:
                    book[PEAK_AT, 0] = t0 + here - 1.0
                if recorded:
                    for q in part(BLOCK, 0, here):
                        equity[column, t0 + q] = block[EQUITY, u64(q + 1)]
                block[EQUITY, 0] = worth
            book[EXPOSED, 0] = exposed + active * (bars - since)
            conclude(block, book, worth, bars)
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
    sums, _close, lead, asset, t = past
    return sums[u64(asset), u64(lead + t + 1)] - sums[u64(asset), u64(lead + t + 1 - bars_back(n, lead))]


def past_close(past, n):
    """The close n bars ago; NaN before the first."""
    _sums, close, lead, asset, t = past
    return close[u64(asset), u64(lead + t - bars_back(n, lead))]
