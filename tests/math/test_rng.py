"""rng: Random123's known answers, disjoint streams, refusals, and the distribution of its
normals.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuquant.device import resolve_device
from gpuquant.device.elementwise import normals, philox_words
from gpuquant.errors import InputError
from gpuquant.math import rng

# Salmon et al. (2011), Random123 distribution, kat_vectors: philox4x32 with 10 rounds
KNOWN = (
    ((0, 0, 0, 0, 0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ((0xFFFFFFFF,) * 6, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0),
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
)


@pytest.mark.parametrize(("given", "words"), KNOWN)
def test_known_answers(given, words, device):
    got = philox_words(resolve_device(device), [[g] for g in given])
    assert " ".join(f"{w:08x}" for w in got) == words


def fields(c):
    """Read the layout back: (path, block, stream, purpose)."""
    c0, c1, c2, c3 = map(int, c)
    return c0 | ((c3 >> 20) & 0xFF) << 32, c1, c2 | (c3 & 0xFFFFF) << 32, c3 >> 28


@given(
    st.integers(0, rng.MAX_PATHS - 1),
    st.integers(0, rng.MAX_BLOCKS - 1),
    st.integers(0, rng.MAX_STREAMS - 1),
    st.sampled_from(sorted(rng.PURPOSES.values())),
)
def test_the_layout_can_be_read_back(path, block, stream, purpose):
    """A counter determines its fields, so no two (path, block, stream, purpose) share one: the
    streams are disjoint.
    """
    assert fields(rng.counter(path, block, stream, purpose)) == (path, block, stream, purpose)


@pytest.mark.parametrize(
    "over", [(rng.MAX_PATHS + 1, 1, 0), (1, rng.MAX_BLOCKS + 1, 0), (1, 1, rng.MAX_STREAMS)]
)
def test_a_wrapped_counter_is_refused(over):
    with pytest.raises(InputError, match="wrapped counter"):
        rng.check(*over)
    rng.check(rng.MAX_PATHS, rng.MAX_BLOCKS, rng.MAX_STREAMS - 1)


def check_normals(total, chunk, seed):
    """Four moments within five standard errors, and tail counts within five of theirs."""
    sums = np.zeros(4)
    edges = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 5.5])
    beyond = np.zeros(len(edges))
    for first in range(0, total // 4, chunk):
        z = normals(resolve_device("cpu"), chunk, seed, first).astype(np.float64).ravel()
        powers = z.copy()
        for k in range(4):
            sums[k] += powers.sum()
            powers *= z
        size = np.abs(z)
        beyond += [(size > e).sum() for e in edges]
    n = total
    for k, (mean, variance) in enumerate(((0, 1), (1, 2), (0, 15), (3, 96))):
        error = math.sqrt(variance / n)
        assert abs(sums[k] / n - mean) < 5 * error, (
            f"moment {k + 1}: {sums[k] / n} against {mean} +- {error}"
        )
    for e, count in zip(edges, beyond, strict=True):
        p = math.erfc(e / math.sqrt(2))
        assert abs(count - n * p) < 5 * math.sqrt(n * p * (1 - p)) + 1, (
            f"|z| > {e}: {count} against {n * p}"
        )


def test_moments_and_tails():
    check_normals(4_000_000, 1_000_000, 7)


@pytest.mark.slow
def test_moments_and_tails_of_a_thousand_million():
    check_normals(1_000_000_000, 5_000_000, 7)


def test_a_biased_normal_is_caught(monkeypatch):
    """The mutant: a mean off by seven standard errors must fail the same check."""
    import tests.math.test_rng as here

    true = normals
    monkeypatch.setattr(here, "normals", lambda *a: true(*a) + np.float32(7 / math.sqrt(4e6)))
    with pytest.raises(AssertionError, match="moment 1"):
        check_normals(4_000_000, 1_000_000, 7)


def test_double_and_single_share_their_draws():
    single, double = (
        normals(resolve_device("cpu"), 1000, 3, precision=p) for p in ("single", "double")
    )
    assert np.abs(single - double).max() < 2e-6
