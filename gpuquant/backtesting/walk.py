"""The back-test walk: one body for a grid of rules and for a book of weights, on any device.

A column is one account: one asset under one row of parameters, or all assets with shared cash. It walks the bars once, trades,
marks to market and keeps running sums of everything the measures need: nothing of size bars x columns exists unless
`RECORD` asks for it. As in `pricing/walk.py` the names that are not defined here come with the generated module.
"""
# mypy: ignore-errors
# ruff: noqa: F821


def wish_of_rule(r, state, sums, close, wishes, asset, t):
    """The rule's decision at the close of bar `t`."""
    return decide(r, 0, state, (sums, close, asset, t), F(t))


def wish_of_array(r, state, sums, close, wishes, asset, t):
    """The caller's wish at bar `t`: NaN is no wish."""
    wish = wishes[t, asset]
    return state, HOLD if wish != wish else wish


def order(wish, had, worth, price):
    """Units to trade. A signal acts on a change of direction; a weight is re-established whenever it is given."""
    idle = (wish == HOLD) or (SIGNALS and wish * had > 0.0) or (wish == 0.0 and had == 0.0)
    return 0.0 if idle else wish * worth / price - had


def walk(unit, lane0, columns, rows, bars, fields, at, sums, close, fill, wishes, cash0, out, equity, orders, order_at):
    """Run the columns of one unit.

    Column c is asset group `c // rows` under parameter row `c % rows`. `out[c]` receives the running sums in the order of
    `backtesting/account.SUMS`. With RECORD, `equity[c, t]` the equity at each close, and rows `order_at[c]` on of `orders` the fills:
    bar, asset, signed size, price, fee.
    """
    hold = array((ASSETS, 1), f64)
    basis = array((ASSETS, 1), f64)
    want = array((ASSETS, 1), f64)
    for lane in lanes():
        column = unit * WIDTH + lane0 + lane
        if column < columns:
            first_asset = (column // rows) * ASSETS
            r = read_row(fields, at, column % rows)
            state, begin_at = begin(r, 0)
            first = min(i64(begin_at), bars)
            peak_at = first - 1
            cash = cash0
            value = cash0
            peak = cash0
            depth = 0.0
            longest = 0
            s1 = 0.0
            s2 = 0.0
            s3 = 0.0
            s4 = 0.0
            down = 0.0
            best = 0.0
            worst = 0.0
            held = 0
            count = 0
            trades = 0
            wins = 0
            gained = 0.0
            lost = 0.0
            fees = 0.0
            turnover = 0.0
            active = 0
            pending = False
            for j in range(ASSETS):
                hold[j, 0] = 0.0
                basis[j, 0] = 0.0
                want[j, 0] = HOLD
            if RECORD:
                for t in range(first):
                    equity[column, t] = cash0
            for t in range(first, bars):
                if SAME_CLOSE:
                    pending = False
                    for j in range(ASSETS):
                        state, wish = wish_of(r, state, sums, close, wishes, first_asset + j, t)
                        want[j, 0] = wish
                        pending = pending or wish != HOLD
                if pending:
                    worth = cash
                    for j in range(ASSETS):
                        worth += hold[j, 0] * fill[first_asset + j, t]
                    # what the buys want beyond covering shorts; where cash is short, all are cut by one factor
                    share = 1.0
                    for turn in range(2):  # sells first: their cash pays for the buys
                        if turn == 1:
                            wanted = 0.0
                            room = cash
                            for j in range(ASSETS):
                                size = order(want[j, 0], hold[j, 0], worth, fill[first_asset + j, t])
                                if size > 0.0:
                                    paid = fill_price(r, 0, fill[first_asset + j, t], 1.0)
                                    cover = min(size, max(-hold[j, 0], 0.0))
                                    room -= cover * paid + charge(r, 0, cover * paid)
                                    wanted += (size - cover) * paid
                            share = min(1.0, afford(r, 0, max(room, 0.0)) / wanted) if wanted > 0.0 else 1.0
                        for j in range(ASSETS):
                            had = hold[j, 0]
                            price = fill[first_asset + j, t]
                            size = order(want[j, 0], had, worth, price)
                            if size != 0.0 and (size < 0.0) == (turn == 0):
                                side = -1.0 if turn == 0 else 1.0
                                paid = fill_price(r, 0, price, side)
                                if turn == 1:
                                    cover = min(size, max(-had, 0.0))  # a short is always bought back
                                    size = cover + share * (size - cover)
                                if abs(size) >= 1e-8:
                                    fee = charge(r, 0, abs(size) * paid)
                                    cash -= size * paid + fee
                                    fees += fee
                                    turnover += abs(size) * price / worth
                                    now = had + size
                                    now = 0.0 if want[j, 0] == 0.0 else now
                                    hold[j, 0] = now
                                    if had == 0.0:
                                        active += 1
                                        basis[j, 0] = size * paid + fee
                                    elif now * had > 0.0:
                                        basis[j, 0] += size * paid + fee
                                    else:  # closed, or turned round: one trade ends
                                        gain = had * paid - fee * abs(had / size) - basis[j, 0]
                                        trades += 1
                                        wins += 1 if gain > 0.0 else 0
                                        gained += max(gain, 0.0)
                                        lost -= min(gain, 0.0)
                                        active -= 1 if now == 0.0 else 0
                                        basis[j, 0] = now * paid + fee * abs(now / size)
                                    if RECORD and order_at[column] + count < order_at[column + 1]:
                                        place = order_at[column] + count
                                        orders[place, 0] = t
                                        orders[place, 1] = first_asset + j
                                        orders[place, 2] = size
                                        orders[place, 3] = paid
                                        orders[place, 4] = fee
                                    count += 1
                if not SAME_CLOSE:
                    pending_now = False
                    for j in range(ASSETS):
                        state, wish = wish_of(r, state, sums, close, wishes, first_asset + j, t)
                        want[j, 0] = wish
                        pending_now = pending_now or wish != HOLD
                traded = pending
                if not SAME_CLOSE:
                    pending = pending_now
                if traded or active > 0:
                    marked = cash
                    for j in range(ASSETS):
                        marked += hold[j, 0] * close[u64(first_asset + j), u64(t)]
                    change = marked / value - 1.0
                    value = marked
                    held += 1 if active > 0 else 0
                    square = change * change
                    s1 += change
                    s2 += square
                    s3 += square * change
                    s4 += square * square
                    down += square if change < 0.0 else 0.0
                    best = max(best, change)
                    worst = min(worst, change)
                    if value >= peak:
                        longest = max(longest, t - 1 - peak_at)
                        peak = value
                        peak_at = t
                    elif value < peak * (1.0 + depth):
                        depth = value / peak - 1.0
                    if value <= 0.0:  # ruined: nothing can be traded any more, and no return of a debt has a meaning
                        if RECORD:
                            for later in range(t, bars):
                                equity[column, later] = value
                        break
                elif value >= peak:
                    peak_at = t
                if RECORD:
                    equity[column, t] = value
            under = bars - 1 - peak_at if value < peak else 0
            out[column, 0] = value / cash0
            out[column, 1] = s1
            out[column, 2] = s2
            out[column, 3] = s3
            out[column, 4] = s4
            out[column, 5] = down
            out[column, 6] = best
            out[column, 7] = worst
            out[column, 8] = depth
            out[column, 9] = max(longest, under)
            out[column, 10] = held
            out[column, 11] = count
            out[column, 12] = trades
            out[column, 13] = wins
            out[column, 14] = gained
            out[column, 15] = lost
            out[column, 16] = fees
            out[column, 17] = turnover


def past_sum(past, n):
    """Sum of the last n closes in whole ticks; NaN before there are n."""
    sums, _close, asset, t = past
    first = t + 1 - i64(n)
    # unsigned indices: a signed one would be tested for counting from the end
    return sums[u64(asset), u64(t + 1)] - sums[u64(asset), u64(max(first, 0))] if first >= 0 else NAN


def past_close(past, n):
    """The close n bars ago; NaN before the first."""
    _sums, close, asset, t = past
    first = t - i64(n)
    return close[u64(asset), u64(max(first, 0))] if first >= 0 else NAN
