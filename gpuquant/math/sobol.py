"""Sobol's points, scrambled: direction numbers as tables of bits; and what their first coordinates
are spent on.

A point's coordinate d is the exclusive or of the numbers v[d, b] over the bits b that are set in
the point's index. Its first 2^m points fill the unit cube evenly for every m. A random lower
triangular matrix of bits multiplies the numbers of each coordinate (Matousek, 1998), and a kernel
adds a random shift, so that each point is uniform and the mean over the points is unbiased, with
the variance of Owen's scrambling (Owen, 2003).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

BITS = 32
LOW_BITS = 8  # of a point's index: its place in a block of 256
PARTS = 64  # values of a Brownian motion that have principal components
MOST_DIMENSIONS = 21201  # that have direction numbers (Joe and Kuo, 2008)


@lru_cache(maxsize=1)
def directions(dimensions: int, bits: int) -> np.ndarray:
    """The direction numbers of 2^bits points, uint32, shape (dimensions, bits)."""
    from scipy.stats.qmc import Sobol

    out, points = (
        np.zeros((dimensions, bits), np.uint32),
        Sobol(dimensions, scramble=False, bits=BITS),
    )
    for b in range(bits):  # point 2^b of the sequence, which is in the order of a Gray code
        points.fast_forward((1 << b) - points.num_generated)
        found = (points.random(1)[0] * 2.0**BITS).astype(np.uint32)
        out[:, b] = found ^ out[:, b - 1] if b else found
    return out


@lru_cache(maxsize=1)
def scrambled(nets: int, dimensions: int, bits: int, seed: int) -> np.ndarray:
    """Independent nets, scrambled, uint32, shape (nets, dimensions, 256 + bits - 8): of each
    coordinate its first 256 points, and the direction numbers of the bits from 8 on.
    """
    plain = directions(dimensions, bits)
    random = np.random.Generator(np.random.Philox(key=seed))
    # coordinate by coordinate, so that more of them leave the first as they are
    rows = random.integers(0, 1 << BITS, (dimensions, nets, BITS), np.uint32).swapaxes(0, 1)
    out = np.zeros((nets, dimensions, bits), np.uint32)
    for k in range(BITS):  # bit k, from the highest down: its own, and any of the higher ones
        own = np.uint32(1 << (BITS - 1 - k))
        higher = np.uint32(((1 << k) - 1) << (BITS - k))
        row = rows[:, :, k, None] & higher | own
        out |= (np.bitwise_count(row & plain) & 1).astype(np.uint32) << np.uint32(BITS - 1 - k)
    first = np.zeros((nets, dimensions, 1), np.uint32)
    for b in range(LOW_BITS):
        first = np.concatenate([first, first ^ out[:, :, b : b + 1]], axis=2)
    return np.concatenate([first, out[:, :, LOW_BITS:]], axis=2)


@lru_cache(maxsize=1)
def components() -> np.ndarray:
    """The increments of a Brownian motion at the times 1 to m by its principal components, for
    every m up to PARTS, shape (PARTS, PARTS, PARTS).

    `[m - 1, j, k]` is what component k, of unit variance, adds to increment j, both counted from 0:

        2 / sqrt(2 m + 1) cos((2 j + 1) (2 k + 1) pi / (2 (2 m + 1))),

    the difference of two values of an eigenvector, a sine, times the root of its eigenvalue
    (Glasserman, 2003, section 3.1). The matrices are orthogonal.
    """
    out = np.zeros((PARTS, PARTS, PARTS))
    for m in range(1, PARTS + 1):
        odd = 2.0 * np.arange(m) + 1.0
        angle = np.outer(odd, odd) * np.pi / (2.0 * (2.0 * m + 1.0))
        out[m - 1, :m, :m] = 2.0 / np.sqrt(2.0 * m + 1.0) * np.cos(angle)
    return out
