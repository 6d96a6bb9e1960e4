"""Dual numbers in LLVM IR: the arithmetic of values that carry their derivatives.

A dual number is a value with its slopes along some directions (Wengert, 1964). Where source
chooses between two values, the slopes are those of the one that is chosen; a comparison looks at
values alone. Slopes that are known to be zero cost nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from gpuquant.compiler.types import FLOATS, SCALARS, Dual, Kind, Value, literal

if TYPE_CHECKING:
    from gpuquant.compiler.arithmetic import Arithmetic

ZERO = literal(0.0, "f64")


def like(value: Value, kind: str) -> Kind:
    """The kind that a word such as `f32` makes of a value: a dual number stays one."""
    dual = isinstance(value.kind, Dual) and kind in FLOATS
    return Dual(kind, value.kind.slopes) if dual else kind


def widened(e: Arithmetic, value: Value, kind: Dual) -> Value:
    """A number as a dual number of this kind."""
    if not isinstance(value.kind, Dual):
        return Value(kind, (*e.cast(value, kind.of).parts, *[ZERO] * kind.slopes))
    slopes = [
        part if part == ZERO else e.cast(Value(value.kind.of, (part,)), kind.of).parts[0]
        for part in value.parts[1:]
    ]
    return Value(kind, (*e.cast(value.plain, kind.of).parts, *slopes))


class _Slopes:
    """Arithmetic on slopes of one type, where zero is known. Each operation rounds once, whatever
    the optimiser finds beside it: a slope has the same bits alone and among others.
    """

    def __init__(self, e: Arithmetic, of: str) -> None:
        self.e, self.of, self.type = e, of, SCALARS[of]

    def plus(self, x: str, y: str) -> str:
        """x + y."""
        if ZERO in (x, y):
            return x if y == ZERO else y
        return self.e.op(f"fadd nsz {self.type} {x}, {y}")

    def minus(self, x: str, y: str) -> str:
        """x - y."""
        if y == ZERO:
            return x
        if x == ZERO:
            return self.e.op(f"fneg nsz {self.type} {y}")
        return self.e.op(f"fsub nsz {self.type} {x}, {y}")

    def times(self, x: str, y: str) -> str:
        """x y."""
        return ZERO if ZERO in (x, y) else self.e.op(f"fmul nsz {self.type} {x}, {y}")

    def fused(self, x: str, y: str, z: str) -> str:
        """x y + z, rounded once."""
        if ZERO in (x, y):
            return z
        if z == ZERO:
            return self.times(x, y)
        t = self.type
        return self.e.op(f"call nsz {t} @llvm.fma.{self.of}({t} {x}, {t} {y}, {t} {z})")


def binary(e: Arithmetic, op: ast.operator, a: Value, b: Value, kind: Dual) -> Value:
    """`a op b`, of this kind, where one of the two is a dual number."""
    x, y = e.cast(a.plain, kind.of), e.cast(b.plain, kind.of)
    value, on = e.binary(op, x, y), _Slopes(e, kind.of)
    left, right = (widened(e, one, kind).parts[1:] for one in (a, b))
    pairs = list(zip(left, right, strict=True))
    if isinstance(op, ast.Add):
        slopes = [on.plus(p, q) for p, q in pairs]
    elif isinstance(op, ast.Sub):
        slopes = [on.minus(p, q) for p, q in pairs]
    elif isinstance(op, ast.Mult):
        slopes = [on.fused(p, y.parts[0], on.times(q, x.parts[0])) for p, q in pairs]
    else:  # `e.binary` has refused the rest
        one = e.binary(ast.Div(), Value(kind.of, (literal(1.0, kind.of),)), y).parts[0]
        less = e.negated(value).parts[0]
        slopes = [on.times(on.fused(q, less, p), one) for p, q in pairs]
    return Value(kind, (*value.parts, *slopes))


def chained(e: Arithmetic, x: Value, value: Value, slope: Value) -> Value:
    """f(x) from its value and from f' there."""
    of = x.kind.of
    (by,) = e.cast(slope, of).parts
    slopes = [_Slopes(e, of).times(part, by) for part in x.parts[1:]]
    return Value(x.kind, (*e.cast(value, of).parts, *slopes))


def root(e: Arithmetic, x: Value, of: Callable[[Value], Value]) -> Value:
    """sqrt(x) by `of`. At zero a slope is infinite, but where x does not move."""
    value, on, zero = of(x.plain), _Slopes(e, x.kind.of), Value(x.kind.of, (ZERO,))
    half = e.binary(ast.Div(), Value(x.kind.of, (literal(0.5, x.kind.of),)), value)
    slopes: list[str] = []
    for part in x.parts[1:]:
        moved = Value(x.kind.of, (on.times(part, half.parts[0]),))
        still = e.compared(ast.Eq(), Value(x.kind.of, (part,)), zero)
        slopes += e.chosen(still, zero, moved).parts
    return Value(x.kind, (*value.parts, *slopes))


def with_slopes(e: Arithmetic, x: Value, slopes: Value) -> Value:
    """A number as a dual number with these slopes, a tuple."""
    parts = slopes.items()
    of = x.kind if x.kind in FLOATS else "f64"
    if not parts:
        return x
    return Value(
        Dual(of, len(parts)),
        (*e.cast(x, of).parts, *(part for one in parts for part in e.cast(one, of).parts)),
    )


def parts(e: Arithmetic, x: Value) -> Value:
    """The value of a number and its slopes, a tuple."""
    return (
        Value((x.kind.of,) * len(x.parts), x.parts)
        if isinstance(x.kind, Dual)
        else Value((x.kind,), x.parts)
    )


def type_of(kind: str | Dual) -> str:
    """LLVM's type of one number of an array's element."""
    return SCALARS[kind.of if isinstance(kind, Dual) else kind]
