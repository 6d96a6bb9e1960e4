"""What the measures need of a column's equity: sums of powers of its changes, extremes, drawdowns
and tails.

Kernel source, as `walk.py`. Sums are kept place by place of a block and joined at the end in a
fixed tree, so that they are vector code and the same whatever the machine.
"""
# mypy: ignore-errors
# ruff: noqa: F821


def measure(block, book, market, moves, t0, here):
    """Add the block's changes of equity to the moments, place by place; where one is new, the
    best and worst bar and the drawdown.
    """
    extremes, levels = add_changes(block, book)
    if BENCH:
        for q in unrolled(PLACES):
            cross = 0.0
            for g in unrolled(
                BLOCK // PLACES
            ):  # the market goes on with nothing after its last bar
                cross += block[MOVED, g * PLACES + q] * market[t0 + g * PLACES + q]
            block[CROSS, q] += cross
    if TAILS:
        for q in part(BLOCK, 0, here):
            moves[0, t0 + q] = block[MOVED, q]
    if extremes > 0:
        add_extremes(block, book, ORIGIN if t0 == 0 else 0, here)
    add_falls(block, book, t0, here, levels)


def add_changes(block, book):
    """Add the powers of the block's changes, which stay in MOVED; how many places have a new
    extreme, and how many a new level of the equity.
    """
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
        most = best
        least = worst
        highest = 0.0
        lowest_ = floor
        for g in unrolled(BLOCK // PLACES):
            worth = block[EQUITY, g * PLACES + q + FRONT]
            before = block[EQUITY, g * PLACES + q + FRONT - 1]
            change = (
                worth / before - 1.0 if worth != before else 0.0
            )  # a ruined account may stand at zero
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
            highest = max(highest, worth)
            lowest_ = min(lowest_, worth)
            block[MOVED, g * PLACES + q] = change
        extremes += 1 if (most > best) | (least < worst) else 0
        levels += 1 if (highest >= peak) | (lowest_ < floor) else 0
        block[S1, q] += s1
        block[S2, q] += s2
        block[S3, q] += s3
        block[S4, q] += s4
        block[DOWN, q] += down
        block[UP, q] += up
        block[UPS, q] += ups
        block[DOWNS, q] += downs
    return extremes, levels


def add_extremes(block, book, begins, here):
    """The best and the worst bar, from place `begins` on: bar 0 may have no return."""
    best = book[BEST, 0]
    worst = book[WORST, 0]
    for q in part(BLOCK, begins, here):
        change = block[MOVED, q]
        best = max(best, change)
        worst = min(worst, change)
    book[BEST, 0] = best
    book[WORST, 0] = worst


def add_falls(block, book, t0, here, levels):
    """The peaks and floors of the equity where it has new ones, and how far each bar is below
    its peak.
    """
    peak = book[PEAK, 0]
    inverse = 1.0 / peak
    if levels > 0:
        deepest = book[DEEPEST, 0]
        floor = book[FLOOR, 0]
        peak_at = book[PEAK_AT, 0]
        longest = book[LONGEST, 0]
        for q in part(BLOCK, 0, here):
            worth = block[EQUITY, u64(q + FRONT)]
            if worth >= peak:
                longest = max(longest, t0 + q - 1.0 - peak_at)
                peak_at = f64(t0 + q)
                peak = worth
                inverse = 1.0 / peak
                floor = worth * deepest
            if worth < floor:
                floor = worth
                deepest = worth * inverse
            block[MOVED, q] = inverse
        book[DEEPEST, 0] = deepest
        book[FLOOR, 0] = floor
        book[PEAK, 0] = peak
        book[PEAK_AT, 0] = peak_at
        book[LONGEST, 0] = longest
        for q in part(BLOCK, here, BLOCK):
            block[MOVED, q] = inverse
    for q in unrolled(PLACES):
        under = 0.0
        under2 = 0.0
        for g in unrolled(BLOCK // PLACES):
            below = 1.0 - block[EQUITY, g * PLACES + q + FRONT] * (
                block[MOVED, g * PLACES + q] if levels > 0 else inverse
            )
            under += below
            under2 += below * below
        block[UNDER, q] += under
        block[UNDER2, q] += under2
    if here < BLOCK:  # the places after the last bar
        below = 1.0 - block[EQUITY, BLOCK + FRONT - 1] * inverse
        block[UNDER, 0] -= (BLOCK - here) * below
        block[UNDER2, 0] -= (BLOCK - here) * below * below


def rest(block, book, worth, t0, here):
    """What a block adds in which the equity stood still."""
    below = 1.0 - worth / book[PEAK, 0]
    block[UNDER, 0] += here * below
    block[UNDER2, 0] += here * below * below
    if t0 + here > ORIGIN:
        book[BEST, 0] = max(book[BEST, 0], 0.0)
        book[WORST, 0] = min(book[WORST, 0], 0.0)
    if worth >= book[PEAK, 0]:
        book[PEAK_AT, 0] = t0 + here - 1.0


def select(values, row, last, k):
    """Put the k-th smallest of `values[row, 0 .. last]` in its place, no larger ones before it
    and no smaller ones after it (Hoare, 1961).
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


def tails(block, book, moves, bars):
    """The empirical quantiles of the changes at 5 and 95 %, and the mean of the worst 5 %, whose
    last counts by its share.

    Only what lies a standard deviation from the mean is looked through, unless there is too little
    of it.
    """
    count_of = bars - ORIGIN  # of returns
    mean = block[S1, 0] / count_of
    width = sqrt(max(block[S2, 0] / count_of - mean * mean, 0.0))
    mass = 0.05 * count_of
    whole = i64(mass + 1e-9)
    part = mass - whole if mass - whole > 1e-9 else 0.0
    for side in unrolled(2):
        way = 1.0 - 2.0 * side
        edge = way * mean - width
        count = 0
        for t in range(ORIGIN, bars):
            change = way * moves[0, t]
            moves[1, count] = change
            count += 1 if change < edge else 0
        if count <= whole:
            for t in range(ORIGIN, bars):
                moves[1, t - ORIGIN] = way * moves[0, t]
            count = count_of
        quantile = way * select(moves, 1, count - 1, whole)
        if side == 0:
            total = part * moves[1, whole]
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
    book[DEPTH, 0] = book[DEEPEST, 0] - 1.0
