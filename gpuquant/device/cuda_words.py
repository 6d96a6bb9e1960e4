"""The CUDA target's vocabulary, and the simulator's: what a generated kernel module imports.

One lane per thread: arrays over lanes have length one and constant indices, so the compiler keeps them in registers.
With NUMBA_ENABLE_CUDASIM=1 the same words run as plain Python.
"""
# mypy: ignore-errors

from __future__ import annotations

import numpy as np
from numba import config, cuda

from gpuquant.device import scalars
from gpuquant.device.scalars import f32, f64, i32, i64, u32, u64

LANES = 1
SIMULATED = bool(config.ENABLE_CUDASIM)
WIDTH = 32 if SIMULATED else 256

if SIMULATED:
    bits32, from_bits32, bits64, from_bits64 = scalars.bits32, scalars.from_bits32, scalars.bits64, scalars.from_bits64
    sqrt = np.sqrt

    def jit(function):
        """A device function: plain Python here."""
        return function
else:
    from numba.cuda import libdevice

    def jit(function):
        """A device function, inlined by NVVM."""
        return cuda.jit(device=True, fastmath=False)(function)

    @jit
    def bits32(x):
        return u32(libdevice.float_as_int(f32(x)))

    @jit
    def from_bits32(b):
        return libdevice.int_as_float(i32(b))

    @jit
    def bits64(x):
        return u64(libdevice.double_as_longlong(f64(x)))

    @jit
    def from_bits64(b):
        return libdevice.longlong_as_double(i64(b))

    from math import sqrt  # noqa: F401  typed by its argument on this target


@jit
def halted(stop):
    """A launch runs to its end."""
    return 0


apart = jit  # a call would put the thread's arrays into memory


def kernel(function):
    """A kernel; compiled at its first launch."""
    return cuda.jit(function)


@cuda.jit(device=True)
def combine(stats, output, width):
    """Merge the threads' (count, mean, sums of squares and of cubes about it) in the same fixed tree as the CPU's lanes."""
    shared = cuda.shared.array((4, 256), f64)
    lane = cuda.threadIdx.x
    for part in range(4):
        shared[part, lane] = stats[output, part, 0]
    cuda.syncthreads()
    half = width
    while half > 1:
        half //= 2
        if lane < half:
            n, other = shared[0, lane], shared[0, lane + half]
            total = n + other
            share = other / max(total, 1.0)
            delta = shared[1, lane + half] - shared[1, lane]
            square, others = shared[2, lane], shared[2, lane + half]
            shared[0, lane] = total
            shared[1, lane] += delta * share
            shared[2, lane] += others + delta * delta * n * share
            cubes = delta * delta * (n - other) * n * share / max(total, 1.0) + 3.0 * (n * others - other * square) / max(total, 1.0)
            shared[3, lane] += shared[3, lane + half] + delta * cubes
        cuda.syncthreads()
    for part in range(4):
        stats[output, part, 0] = shared[part, lane]
    cuda.syncthreads()
