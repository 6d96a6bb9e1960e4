"""The word `combine`: the lanes of a unit of work merged in a fixed tree, so that a sum has the
same bits wherever it is made.

Two lanes become one as Chan, Golub and LeVeque (1979) say, and for cubes Pebay (2008), equation
1.4. It is kernel source: Python runs it as it stands.
"""
# mypy: ignore-errors
# ruff: noqa: F821


def combine(stats, output, width):
    """Merge the lanes of `stats[output]`, each (count, mean, sums of squares and of cubes about
    it), into lane 0; `width`, a power of two, is how many there are.
    """
    while width > 1:
        width //= 2
        for lane in range(width):
            n, other = stats[output, 0, lane], stats[output, 0, lane + width]
            total = n + other
            share = other / max(total, 1.0)
            delta = stats[output, 1, lane + width] - stats[output, 1, lane]
            square, others = stats[output, 2, lane], stats[output, 2, lane + width]
            stats[output, 0, lane] = total
            stats[output, 1, lane] += delta * share
            stats[output, 2, lane] += others + delta * delta * n * share
            cubes = delta * delta * (n - other) * n * share / max(total, 1.0) + 3.0 * (
                n * others - other * square
            ) / max(total, 1.0)
            stats[output, 3, lane] += stats[output, 3, lane + width] + delta * cubes


def combine_threads(stats, output, width):
    """The same in the same tree, where a lane is a thread, which has its own `stats[output]`;
    thread 0 has the result.
    """
    table = shared((4, WIDTH), f64)
    lane = thread_number()
    for part in range(4):
        table[part, lane] = stats[output, part, 0]
    barrier()
    half = width
    while half > 1:
        half //= 2
        if lane < half:
            n, other = table[0, lane], table[0, lane + half]
            total = n + other
            share = other / max(total, 1.0)
            delta = table[1, lane + half] - table[1, lane]
            square, others = table[2, lane], table[2, lane + half]
            table[0, lane] = total
            table[1, lane] += delta * share
            table[2, lane] += others + delta * delta * n * share
            cubes = delta * delta * (n - other) * n * share / max(total, 1.0) + 3.0 * (
                n * others - other * square
            ) / max(total, 1.0)
            table[3, lane] += table[3, lane + half] + delta * cubes
        barrier()
    for part in range(4):
        stats[output, part, 0] = table[part, lane]
    barrier()
