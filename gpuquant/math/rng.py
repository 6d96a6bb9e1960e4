"""Counter-based random numbers: every draw is a function of (seed, stream, path, block, purpose)
alone, on every device.

The frozen bit layout of a Philox4x32-10 call (Salmon et al., 2011):

    key      k0, k1   the 64 bits of the seed
    counter  c0       path, bits 0-31
             c1       block: the index of the call along the path, 32 bits
             c2       stream, bits 0-31
             c3       bits 0-19 stream 32-51, bits 20-27 path 32-39, bits 28-31 purpose

The fields do not overlap, so two different (stream, path, block, purpose) of one seed are two
different counters and Philox, a bijection of counters for each key, never gives them the same four
words. `check` refuses a run in which a field would wrap.

A step of a model needs `normals` normals and `uniforms` uniforms. Four steps are drawn together
with `normals + uniforms` calls: call number n of group g is block g * (normals + uniforms) + n; the
first `normals` calls give 4 * normals normals, the others 4 * uniforms uniforms, each list dealt to
the steps in order.
"""
# mypy: ignore-errors

from __future__ import annotations

from gpuquant.errors import InputError
from gpuquant.math.scalars import f32, f64, sqrt, u32, u64
from gpuquant.math.vmath import log_normal32, log_normal64, sincos_turn32, sincos_turn64

MAX_PATHS = 1 << 40
MAX_BLOCKS = 1 << 32
MAX_STREAMS = 1 << 52
PURPOSES = {
    "paths": 0,
    "pilot": 1,
    "bootstrap": 2,
    "split": 3,
    "scheme of paths": 4,
    "scheme of pilot": 5,
    "shift of Sobol points": 6,
}


def check(paths: int, blocks: int, stream: int) -> None:
    """Refuse a run whose counter would wrap: it would repeat draws it has already used."""
    for name, value, limit in (
        ("paths", paths, MAX_PATHS),
        ("blocks along a path", blocks, MAX_BLOCKS),
        ("stream", stream + 1, MAX_STREAMS),
    ):
        if not 0 <= value <= limit:
            raise InputError(
                f"{name} = {value}: the counter holds at most {limit}, and a wrapped "
                "counter repeats its draws"
            )


def philox(c0, c1, c2, c3, k0, k1):
    """Philox4x32-10: four words of uint32 for a counter and a key."""
    # The counter is kept in 64-bit words. Their high halves are masked only at the multiplication,
    # and never cleared: without narrowing between rounds AVX-512 runs this 1.9 times as fast.
    mask = u64(0xFFFFFFFF)
    c0, c1, c2, c3 = u64(c0), u64(c1), u64(c2), u64(c3)
    for _ in range(10):
        p0 = (c0 & mask) * u64(0xD2511F53)
        p1 = (c2 & mask) * u64(0xCD9E8D57)
        c0 = (p1 >> u64(32)) ^ c1 ^ u64(k0)
        c2 = (p0 >> u64(32)) ^ c3 ^ u64(k1)
        c1 = p1
        c3 = p0
        k0 = u32(k0 + u32(0x9E3779B9))
        k1 = u32(k1 + u32(0xBB67AE85))
    return u32(c0 & mask), u32(c1 & mask), u32(c2 & mask), u32(c3 & mask)


def counter(path, block, stream, purpose):
    """The four counter words of a call, by the layout above."""
    c3 = (u64(stream) >> u64(32)) | ((u64(path) >> u64(32)) << u64(20)) | (u64(purpose) << u64(28))
    return u32(u64(path) & u64(0xFFFFFFFF)), u32(block), u32(u64(stream) & u64(0xFFFFFFFF)), u32(c3)


def uniform32(a):
    """A float32 in (0, 1] from all 32 bits of a word: the centre of its cell, rounded."""
    return f32(a) * 2.3283064365386963e-10 + 1.1641532182693481e-10


def uniform64(a):
    """A float64 in (0, 1) from all 32 bits of a word: the centre of its cell, exactly."""
    return f64(a) * 2.3283064365386963e-10 + 1.1641532182693481e-10


def normals32(a, b):
    """Two standard normals from two words (Box and Muller, 1958), in float32; |z| reaches 6.76."""
    r = sqrt(-2.0 * log_normal32(uniform32(a)))
    s, c = sincos_turn32(b)
    return r * c, r * s


def normals64(a, b):
    """Two standard normals from two words (Box and Muller, 1958), in float64; |z| reaches 6.76."""
    r = sqrt(-2.0 * log_normal64(uniform64(a)))
    s, c = sincos_turn64(b)
    return r * c, r * s
