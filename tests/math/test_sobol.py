"""Scrambled Sobol points: they are Sobol's, they stay nets, and more of them leave the first."""

import numpy as np
import pytest
from scipy.stats.qmc import Sobol

from gpuquant.math import sobol


def points(bits, words):
    """The coordinates of 2^bits points as a kernel has them, uint32, shape (2^bits, dimensions)."""
    index = np.arange(1 << bits)
    out = words[:, index & 255].T.copy()
    for b in range(8, bits):
        out ^= np.where((index >> b & 1)[:, None] == 1, words[None, :, 256 + b - 8], 0)
    return out


def test_the_plain_points_are_those_of_scipy():
    """Its points are in another order: a power of two of them is the same set."""
    plain, theirs = sobol.directions(40, 10), Sobol(40, scramble=False, bits=32).random(1 << 10)
    index, mine = np.arange(1 << 10), np.zeros((1 << 10, 40), np.uint32)
    for b in range(10):
        mine ^= np.where((index >> b & 1)[:, None] == 1, plain[:, b], 0).astype(np.uint32)
    theirs = (theirs * 2.0**32).astype(np.uint32)
    assert {*map(tuple, mine.tolist())} == {*map(tuple, theirs.tolist())}


@pytest.mark.parametrize("bits", [8, 11])
def test_each_interval_has_one_point(bits):
    """Of 2^m points each coordinate has one in each interval of length 2^-m, in every net."""
    for words in sobol.scrambled(3, 20, bits, seed=5):
        cells = points(bits, words) >> (32 - bits)
        assert (np.sort(cells, axis=0) == np.arange(1 << bits)[:, None]).all()


def test_each_square_has_one_point():
    """The first two coordinates are a net with t = 0: so they stay, scrambled."""
    for words in sobol.scrambled(4, 2, 10, seed=1):
        found = points(10, words)
        for across in range(11):
            cells = (found[:, 0] >> 32 - across if across else 0) * (1 << 10 - across) + (
                found[:, 1] >> 22 + across if across < 10 else 0
            )
            assert len(np.unique(cells)) == 1 << 10, across


@pytest.mark.parametrize("m", [1, 2, 13, 64])
def test_components_are_those_of_a_brownian_motion(m):
    """Orthogonal increments, and values whose components are orthogonal too, the largest first."""
    increments = sobol.components()[m - 1, :m, :m]
    np.testing.assert_allclose(increments @ increments.T, np.eye(m), atol=1e-13)
    values = increments.cumsum(axis=0)
    gram = values.T @ values
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-11)
    assert (np.diff(np.diag(gram)) < 0.0).all()


def test_more_leave_the_first_as_they_are():
    few, more = sobol.scrambled(2, 3, 9, seed=7), sobol.scrambled(2, 6, 12, seed=7)
    assert (few == more[:, :3, : few.shape[2]]).all()
    assert (few != sobol.scrambled(2, 3, 9, seed=8)).any()
