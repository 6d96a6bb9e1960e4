"""The intrinsics of a kernel, in one table: the meaning of each, and its form on every target.

The meaning is plain Python with NumPy's numbers: `device="python"` runs it, and the tests compare
the other forms to it. A form writes LLVM IR. Only `combine` is kernel source on every target, since
it is a loop. A GPU uses the CPU's form where the table gives it no form of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.compiler import duals
from gpuquant.compiler.types import COMPLEX, FLOATS, NOTHING, SCALARS, Dual, Value, number, shown
from gpuquant.math import dual_numbers, scalars

if TYPE_CHECKING:
    from gpuquant.compiler.arithmetic import Arithmetic

# never reassoc: it removes the rounding by a magic number in exp, and prices are silently wrong
FLAGS = "contract nsz"
ALONE = "nsz"  # each operation rounds by itself
DECLARED = """declare float @llvm.fabs.f32(float)
declare double @llvm.fabs.f64(double)
declare float @llvm.sqrt.f32(float)
declare double @llvm.sqrt.f64(double)
declare float @llvm.fma.f32(float, float, float)
declare double @llvm.fma.f64(double, double, double)
declare i64 @llvm.abs.i64(i64, i1)
declare i64 @llvm.cttz.i64(i64, i1)
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
declare ptr @llvm.ptrmask.p0.i64(ptr, i64)
declare noalias ptr @malloc(i64)
declare void @free(ptr)"""

Form = Callable[..., Value]


@dataclass(frozen=True)
class Intrinsic:
    """One intrinsic.

    Parameters
    ----------
    takes : int
        The number of arguments.
    python : callable
        The meaning, in Python.
    cpu, gpu : callable, optional
        The form: called with the `Arithmetic` of the function and the values of the arguments.
    quick : bool
        Whether it may be evaluated speculatively: it reads no memory and is safe for every number.
    """

    takes: int
    python: Callable[..., Any]
    cpu: Form
    gpu: Form | None = None
    quick: bool = True

    def form(self, gpu: bool) -> Form:
        """Its form on a target."""
        return self.gpu if gpu and self.gpu is not None else self.cpu


# casts and bits


def _cast(kind: str) -> Intrinsic:
    return Intrinsic(
        1,
        dual_numbers.Cast(getattr(np, {"i": "int", "u": "uint", "f": "float"}[kind[0]] + kind[1:])),
        lambda e, x: e.cast(x, duals.like(x, kind)),
    )


def _bits(of: str, kind: str, python: Callable[..., Any]) -> Intrinsic:
    def form(e: Arithmetic, x: Value) -> Value:
        return Value(
            kind, (e.op(f"bitcast {SCALARS[of]} {e.cast(x, of).parts[0]} to {SCALARS[kind]}"),)
        )

    return Intrinsic(1, python, form)


# numbers


def _abs(e: Arithmetic, x: Value) -> Value:
    if x.kind in ("u32", "u64"):
        return x
    if isinstance(x.kind, Dual):
        below = e.compared(ast.Lt(), x, Value(x.kind.of, (duals.ZERO,)))
        return e.chosen(below, e.negated(x), x)
    if x.kind in FLOATS:
        return Value(
            x.kind,
            (
                e.op(
                    f"call {FLAGS} {SCALARS[x.kind]} "
                    f"@llvm.fabs.{x.kind}({SCALARS[x.kind]} {x.parts[0]})"
                ),
            ),
        )
    return Value(
        "i64", (e.op(f"call i64 @llvm.abs.i64(i64 {e.cast(x, 'i64').parts[0]}, i1 false)"),)
    )


def _sqrt(e: Arithmetic, x: Value) -> Value:
    if isinstance(x.kind, Dual):
        return duals.root(e, x, lambda value: _sqrt(e, value))
    x = x if x.kind in FLOATS else e.cast(x, "f64")
    return Value(
        x.kind,
        (
            e.op(
                f"call {FLAGS} {SCALARS[x.kind]} @llvm.sqrt.{x.kind}({SCALARS[x.kind]} "
                f"{x.parts[0]})"
            ),
        ),
    )


def _extreme(op: ast.cmpop) -> Form:
    """Python's `max` and `min`: the first argument, unless the second is larger (or smaller). So a
    NaN in the first argument is kept; a GPU's own instruction would drop it.
    """

    def form(e: Arithmetic, a: Value, b: Value) -> Value:
        kind = e.alike(a.kind, b.kind)
        a, b = e.cast(a, kind), e.cast(b, kind)
        return e.chosen(e.compared(op, b, a), b, a)

    return form


def _complex(e: Arithmetic, real: Value, imag: Value) -> Value:
    return Value(COMPLEX, (*e.cast(real, "f64").parts, *e.cast(imag, "f64").parts))


def _lowest(e: Arithmetic, x: Value) -> Value:
    return Value(
        "u64", (e.op(f"call i64 @llvm.cttz.i64(i64 {e.cast(x, 'u64').parts[0]}, i1 false)"),)
    )


def lowest(x: Any) -> Any:
    """The index of the lowest set bit of a u64; 64 where no bit is set."""
    return np.uint64((int(x) & -int(x)).bit_length() - 1 if x else 64)


# memory


def _compare_mask(e: Arithmetic, array: Value, index: Value, bound: Value) -> Value:
    kind, (place, *_) = e.place(array, index.items())
    if kind != "f64" or not array.kind.packed:
        raise e.wrong(
            f"compare_mask looks at f64 that lie side by side, not at {shown(array.kind)}"
        )
    (limit,) = e.cast(bound, "f64").parts
    numbers = e.op(f"load <64 x double>, ptr {place}, align 8")
    first = e.op(f"insertelement <64 x double> undef, double {limit}, i64 0")
    limits = e.op(
        f"shufflevector <64 x double> {first}, <64 x double> undef, <64 x i32> zeroinitializer"
    )
    return Value(
        "u64",
        (e.op(f"bitcast <64 x i1> {e.op(f'fcmp olt <64 x double> {numbers}, {limits}')} to i64"),),
    )


def compare_mask(array: Any, at: Any, bound: float) -> Any:
    """Compare 64 consecutive float64, from the element `at` on, with a bound: bit k of the u64 is
    set where number k is below the bound.
    """
    row, first = array[tuple(int(n) for n in at[:-1])], int(at[-1])
    return np.uint64(sum(1 << k for k in range(64) if row[first + k] < bound))


def _halted(e: Arithmetic, array: Value) -> Value:
    kind, (place, *_) = e.place(array, [number(0)])
    if kind != "i64":
        raise e.wrong(f"halted reads an i64, not {kind}")
    return Value("i64", (e.op(f"load volatile i64, ptr {place}"),))


def halted(array: Any) -> Any:
    """The first element of an array, read from memory at each call. A value other than 0 asks the
    kernel to end early. On a GPU the result is always 0: a launch runs to its end.
    """
    return array[0]


def _prefetch(e: Arithmetic, array: Value, index: Value) -> Value:
    _, (place, *_) = e.place(array, index.items(), inside="")
    e.do(f"call void @llvm.prefetch.p0(ptr {place}, i32 0, i32 3, i32 1)")
    return NOTHING


def prefetch(array: Any, at: Any) -> None:
    """Prefetch an element into the cache before it is read. Beyond the array's end this does
    nothing.
    """


# threads: on a CPU, and in Python, there is one


def _number_of(which: str) -> Form:
    def form(e: Arithmetic) -> Value:
        return Value(
            "i64", (e.op(f"sext i32 {e.op(f'call i32 {getattr(e.target, which)}()')} to i64"),)
        )

    return form


def _barrier(e: Arithmetic) -> Value:
    e.do(f"call void {e.target.barrier}")
    return NOTHING


INTRINSICS = {
    **{kind: _cast(kind) for kind in ("i8", "i32", "u32", "i64", "u64", "f32", "f64")},
    "bits32": _bits("f32", "u32", scalars.bits32),
    "from_bits32": _bits("u32", "f32", scalars.from_bits32),
    "bits64": _bits("f64", "u64", scalars.bits64),
    "from_bits64": _bits("u64", "f64", scalars.from_bits64),
    "abs": Intrinsic(1, abs, _abs),
    "sqrt": Intrinsic(1, dual_numbers.sqrt, _sqrt),
    "max": Intrinsic(2, max, _extreme(ast.Gt())),
    "min": Intrinsic(2, min, _extreme(ast.Lt())),
    "complex": Intrinsic(2, complex, _complex),
    "with_slopes": Intrinsic(2, dual_numbers.with_slopes, duals.with_slopes),
    "parts": Intrinsic(1, dual_numbers.parts, duals.parts),
    "lowest": Intrinsic(1, lowest, _lowest),
    "compare_mask": Intrinsic(3, compare_mask, _compare_mask, quick=False),
    "halted": Intrinsic(1, halted, _halted, lambda e, array: number(0), quick=False),
    "prefetch": Intrinsic(2, prefetch, _prefetch, lambda e, array, index: NOTHING, quick=False),
    "breakpoint": Intrinsic(
        0, breakpoint, lambda e: NOTHING, quick=False
    ),  # only Python stops in a debugger
    "block_number": Intrinsic(0, lambda: 0, lambda e: number(0), _number_of("block")),
    "thread_number": Intrinsic(0, lambda: 0, lambda e: number(0), _number_of("thread")),
    "barrier": Intrinsic(0, lambda: None, lambda e: NOTHING, _barrier, quick=False),
}
