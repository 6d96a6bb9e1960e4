"""The CPU target's own words: kernel source, as the walks. Those that are instructions, `sqrt` or `bits64`, are in `reckon.py`."""
# mypy: ignore-errors

LANES = 256
WIDTH = LANES


def combine(stats, output, width):
    """Merge the lanes' (count, mean, sums of squares and of cubes about it) in a fixed tree (Chan, Golub and LeVeque, 1979; Pebay, 2008, equation 1.4)."""
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
            cubes = delta * delta * (n - other) * n * share / max(total, 1.0) + 3.0 * (n * others - other * square) / max(total, 1.0)
            stats[output, 3, lane] += stats[output, 3, lane + width] + delta * cubes
