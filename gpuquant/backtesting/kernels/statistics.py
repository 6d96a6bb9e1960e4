"""What the measures need of an account's equity: sums of powers of its returns, its extremes, its
drawdowns and the tails.

Kernel source. Sums are kept by place in a block and joined at the end in a fixed tree, so that they
are vector code, and the same on every machine.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.backtesting.kernels.flags import flags
from gpuquant.backtesting.kernels.records import Account, Block, Run, Tally


def update_moments(run: Run, account: Account, tally: Tally, block: Block, t0, here):
    """Add the returns of the block that begins at bar `t0` and has `here` bars; where one is new,
    the best and worst return and the drawdown.
    """
    new_extremes, new_levels = add_returns(account, tally, block)
    add_lagged(account, block)
    if flags.benchmark:
        for q in unrolled(PLACES):
            cross = 0.0
            for g in unrolled(BLOCK // PLACES):  # the benchmark ends with zeros
                p = g * PLACES + q
                cross += block.returns[p] * run.inputs.benchmark[t0 + p]
            block.moments[q].cross += cross
    if flags.keep_returns:
        for q in part(BLOCK, 0, here):
            block.history[0, t0 + q] = block.returns[q]
    if new_extremes > 0:
        add_extremes(tally, block, ORIGIN if t0 == 0 else 0, here)
    if new_levels > 0:
        add_new_levels(account, tally, block, t0, here)
    add_drawdowns(account, block, here, new_levels)


def add_returns(account: Account, tally: Tally, block: Block):
    """Add the powers of a block's returns, which stay in `block.returns`; how many places have a
    new extreme, and how many a new peak or trough of the equity.
    """
    best = tally.best_return
    worst = tally.worst_return
    peak = account.peak
    trough = account.trough
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
        most = best
        least = worst
        highest = 0.0
        lowest_ = trough
        for g in unrolled(BLOCK // PLACES):
            p = g * PLACES + q
            equity = block.equity[p + PADDING]
            before = block.equity[p + PADDING - 1]
            change = equity / before - 1.0 if equity != before else 0.0  # a ruined one may be zero
            square = change * change
            s1 += change
            s2 += square
            s3 += square * change
            s4 += square * square
            down += square if change < 0.0 else 0.0
            up += change if change > 0.0 else 0.0
            ups += 1.0 if change > 0.0 else 0.0
            downs += 1.0 if change < 0.0 else 0.0
            most = max(most, change)
            least = min(least, change)
            highest = max(highest, equity)
            lowest_ = min(lowest_, equity)
            block.returns[p] = change
        extremes += 1 if (most > best) | (least < worst) else 0
        levels += 1 if (highest >= peak) | (lowest_ < trough) else 0
        sums = block.moments[q]
        sums.s1 += s1
        sums.s2 += s2
        sums.s3 += s3
        sums.s4 += s4
        sums.down += down
        sums.up += up
        sums.ups += ups
        sums.downs += downs
    return extremes, levels


def add_lagged(account: Account, block: Block):
    """Add each return of a block times that of the bar before."""
    for q in unrolled(PLACES):
        lagged = 0.0
        for g in unrolled(BLOCK // PLACES):
            p = g * PLACES + q
            before = account.last_return if p == 0 else block.returns[p - 1]
            lagged += block.returns[p] * before
        block.moments[q].lagged += lagged
    account.last_return = block.returns[BLOCK - 1]  # of a whole block: no other follows a part


def add_extremes(tally: Tally, block: Block, begins, here):
    """The best and the worst return, from place `begins` on: bar 0 may have none."""
    best = tally.best_return
    worst = tally.worst_return
    for q in part(BLOCK, begins, here):
        change = block.returns[q]
        best = max(best, change)
        worst = min(worst, change)
    tally.best_return = best
    tally.worst_return = worst


def add_new_levels(account: Account, tally: Tally, block: Block, t0, here):
    """Follow the peaks and troughs of the equity through a block; the inverse of each bar's peak
    takes the place of its return.
    """
    peak = account.peak
    inverse = 1.0 / peak
    deepest = account.drawdown
    trough = account.trough
    peak_bar = account.peak_bar
    longest = tally.longest_drawdown
    for q in part(BLOCK, 0, here):
        equity = block.equity[q + PADDING]
        if equity >= peak:
            longest = max(longest, t0 + q - 1.0 - peak_bar)
            peak_bar = f64(t0 + q)
            peak = equity
            inverse = 1.0 / peak
            trough = equity * deepest
        if equity < trough:
            trough = equity
            deepest = equity * inverse
        block.returns[q] = inverse
    account.drawdown = deepest
    account.trough = trough
    account.peak = peak
    account.peak_bar = peak_bar
    tally.longest_drawdown = longest
    for q in part(BLOCK, here, BLOCK):
        block.returns[q] = inverse


def add_drawdowns(account: Account, block: Block, here, new_levels):
    """Add how far each bar is below its peak, and the square of that."""
    inverse = 1.0 / account.peak
    for q in unrolled(PLACES):
        under = 0.0
        under2 = 0.0
        for g in unrolled(BLOCK // PLACES):
            p = g * PLACES + q
            below = 1.0 - block.equity[p + PADDING] * (
                block.returns[p] if new_levels > 0 else inverse
            )
            under += below
            under2 += below * below
        block.moments[q].under += under
        block.moments[q].under2 += under2
    if here < BLOCK:  # the places after the last bar are no bars
        below = 1.0 - block.equity[BLOCK + PADDING - 1] * inverse
        block.moments[0].under -= (BLOCK - here) * below
        block.moments[0].under2 -= (BLOCK - here) * below * below


def add_still(account: Account, tally: Tally, block: Block, equity, t0, here):
    """Add a block in which the equity stood still."""
    below = 1.0 - equity / account.peak
    account.last_return = 0.0
    block.moments[0].under += here * below
    block.moments[0].under2 += here * below * below
    if t0 + here > ORIGIN:
        tally.best_return = max(tally.best_return, 0.0)
        tally.worst_return = min(tally.worst_return, 0.0)
    if equity >= account.peak:
        account.peak_bar = t0 + here - 1.0


def partition_at(values, row, last, k):
    """Put the k-th smallest of `values[row, 0 .. last]` in its place, no larger ones before it and
    no smaller ones after it; that value (Hoare, 1961).
    """
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


def measure_tails(tally: Tally, block: Block, bars):
    """The empirical quantiles of the returns at 5 and 95 %, and the mean of the worst 5 %, whose
    last counts by its share.

    Only what lies a standard deviation from the mean is looked through, unless that is too little.
    """
    count_of = bars - ORIGIN  # returns
    mean = block.moments[0].s1 / count_of
    width = sqrt(max(block.moments[0].s2 / count_of - mean * mean, 0.0))
    mass = 0.05 * count_of
    whole = i64(mass + 1e-9)
    share = mass - whole if mass - whole > 1e-9 else 0.0
    for side in unrolled(2):
        way = 1.0 - 2.0 * side
        edge = way * mean - width
        count = 0
        for t in range(ORIGIN, bars):
            change = way * block.history[0, t]
            block.history[1, count] = change
            count += 1 if change < edge else 0
        if count <= whole:
            for t in range(ORIGIN, bars):
                block.history[1, t - ORIGIN] = way * block.history[0, t]
            count = count_of
        quantile = way * partition_at(block.history, 1, count - 1, whole)
        if side == 0:
            total = share * block.history[1, whole]
            for q in range(whole):
                total += block.history[1, q]
            tally.low5 = quantile
            tally.mean5 = total / mass
        else:
            tally.high5 = quantile


def join_moments(account: Account, tally: Tally, block: Block, equity, bars):
    """Join the sums of all places in a fixed tree, and end the last drawdown."""
    width = PLACES
    while width > 1:
        width //= 2
        for q in range(width):
            add_fields(block.moments[q], block.moments[q + width])
    if equity < account.peak:
        tally.longest_drawdown = max(tally.longest_drawdown, bars - 1.0 - account.peak_bar)
    tally.max_drawdown = account.drawdown - 1.0
