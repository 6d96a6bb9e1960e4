"""The CPU target: numba, lanes innermost, tiles on a thread pool.

A kernel module made by `compile.py` imports its vocabulary from here. A block keeps its state as (fields, lanes) arrays
in the L1 cache and LLVM turns each loop over lanes into vector instructions.
"""
# mypy: ignore-errors

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.caching import FunctionCache
from numba.core.runtime import rtsys
from numba.extending import intrinsic

from gpuquant.device.place import share
from gpuquant.device.scalars import f32, f64, i32, i64, u32, u64  # noqa: F401  the vocabulary

LANES = 256
WIDTH = LANES
# Not fastmath=True: its `reassoc` folds the rounding trick of exp away and gives wrong prices without a word.
FLAGS = {"contract", "nsz"}


TESTED = numba.__version__.startswith("0.68.")  # numba's own parts are used: another version takes its ordinary, slower way


def _compiler(name):
    if not TESTED:
        return {}
    from gpuquant.device import lean

    return {"pipeline_class": getattr(lean, name)}


def jit(function):
    """A function inlined into its kernel; without the wrappers Python would need, which would double the time to compile."""
    return njit(fastmath=FLAGS, error_model="numpy", forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, **_compiler("Word"))(function)


def apart(function):
    """A function that is called: what is seldom done stays out of the loop that seldom does it."""
    return njit(fastmath=FLAGS, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, **_compiler("Lean"))(function)


class Kept(FunctionCache):
    """numba's cache on disk, without first registering all that numba could compile.

    That takes most of a kernel's first call (it imports scipy.linalg, too), and machine code that is there needs none of it;
    where there is none, compiling does it.
    """

    def load_overload(self, sig, target_context):
        """The kept machine code for these types, or None."""
        rtsys.initialize(target_context)  # what allocates its scratch
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


def kernel(function):
    """A tile: compiled without the GIL, kept on disk beside its generated module."""
    tile = njit(fastmath=FLAGS, error_model="numpy", nogil=True, cache=True, no_cfunc_wrapper=True, **_compiler("Lean"))(function)
    if TESTED:
        tile._cache = Kept(function)
    return tile


def _bitcast(source, target, llvm):
    @intrinsic
    def cast(context, x):
        def generate(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], llvm)

        return target(source), generate

    return cast


_f32_u32 = _bitcast(types.float32, types.uint32, ir.IntType(32))
_u32_f32 = _bitcast(types.uint32, types.float32, ir.FloatType())
_f64_u64 = _bitcast(types.float64, types.uint64, ir.IntType(64))
_u64_f64 = _bitcast(types.uint64, types.float64, ir.DoubleType())


@jit
def bits32(x):
    return _f32_u32(f32(x))


@jit
def from_bits32(b):
    return _u32_f32(u32(b))


@jit
def bits64(x):
    return _f64_u64(f64(x))


@jit
def from_bits64(b):
    return _u64_f64(u64(b))


sqrt = np.sqrt


@intrinsic
def touch(context, array, index):
    """Ask for an element that will be wanted soon, so that it is in the cache by then; beyond the array's end it does nothing."""

    def generate(context, builder, signature, arguments):
        shape = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = cgutils.get_item_pointer(context, builder, signature.args[0], shape, cgutils.unpack_tuple(builder, arguments[1]), wraparound=False)
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        prefetch = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), (byte, flag, flag, flag)), "llvm.prefetch.p0")
        builder.call(prefetch, (builder.bitcast(place, byte), flag(0), flag(3), flag(1)))
        return context.get_dummy_value()

    return types.void(array, index), generate


@jit
def combine(stats, output, width):
    """Merge the lanes' (count, mean, sum of squares about it) in a fixed tree (Chan, Golub and LeVeque, 1979)."""
    while width > 1:
        width //= 2
        for lane in range(width):
            n, other = stats[output, 0, lane], stats[output, 0, lane + width]
            total = n + other
            share = other / max(total, 1.0)
            delta = stats[output, 1, lane + width] - stats[output, 1, lane]
            stats[output, 0, lane] = total
            stats[output, 1, lane] += delta * share
            stats[output, 2, lane] += stats[output, 2, lane + width] + delta * delta * n * share


def run_tiles(tile: Callable[[int, int], None], count: int, threads: int, chunk: int, progress: Callable[[int], None] | None) -> None:
    """Call `tile(first, length)` over `range(count)` in chunks, each a fraction of a second, on so many threads."""

    def work(first: int) -> int:
        length = min(chunk, count - first)
        tile(first, length)
        return length

    share(work, range(0, count, chunk), threads, progress)
