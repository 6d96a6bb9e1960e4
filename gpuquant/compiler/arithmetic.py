"""Arithmetic in LLVM IR: casts, operators, comparisons and addresses of array elements, for values
whose types are known.

README.md has the rules. Arithmetic on integers has 64 bits; arithmetic on an integer and a float
is in float64. An int64 and a uint64 do not mix. Kernel source must not overflow an int64, and must
not divide an integer by zero: no check is made here. A multiplication and an addition may become
one instruction where the machine has it. Nothing is reordered.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from gpuquant.compiler import duals
from gpuquant.compiler.intrinsics import FLAGS
from gpuquant.compiler.targets import Target
from gpuquant.compiler.types import (
    ARITHMETIC,
    COMPLEX,
    FLOATS,
    SCALARS,
    Array,
    Dual,
    Kind,
    Value,
    joined,
    literal,
    scalars,
    shown,
    wider,
)
from gpuquant.errors import MemberError

OPERATORS = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
INDICES = ("i32", "u32", "i64", "u64")
BITWISE = {
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
    ast.LShift: "shl",
    ast.RShift: "shr",
}
COMPARED = {
    ast.Lt: ("olt", "lt"),
    ast.LtE: ("ole", "le"),
    ast.Gt: ("ogt", "gt"),
    ast.GtE: ("oge", "ge"),
    ast.Eq: ("oeq", "eq"),
    ast.NotEq: ("une", "ne"),
}


def _conversion(old: str, new: str) -> str:
    """LLVM's instruction that converts a number of type `old` to type `new`."""
    if old in FLOATS and new in FLOATS:
        return "fpext" if new == "f64" else "fptrunc"
    if old in FLOATS:
        return "fptoui" if new[0] == "u" else "fptosi"
    if new in FLOATS:
        return "sitofp" if old[0] == "i" else "uitofp"
    if int(SCALARS[old][1:]) > int(SCALARS[new][1:]):
        return "trunc"
    return "sext" if old in ("i8", "i32") else "zext"


class Arithmetic:
    """Writes instructions of the function `name` for a target."""

    def __init__(self, name: str, target: Target) -> None:
        self.name = name
        self.target = target
        self.line: ast.stmt | None = None  # the statement that is compiled now
        self.flags = FLAGS  # of operations with floats
        self.lines: list[str] = []
        self.count = 0

    def op(self, text: str) -> str:
        """Write an instruction that has a result, and return the result's name."""
        self.count += 1
        self.lines.append(f"  %v{self.count} = {text}")
        return f"%v{self.count}"

    def do(self, text: str) -> None:
        """An instruction without a result."""
        self.lines.append("  " + text)

    def wrong(self, why: str) -> MemberError:
        """The error of the statement."""
        line = f", '{ast.unparse(self.line).splitlines()[0]}'" if self.line else ""
        return MemberError(f"{self.name}{line}: {why}")

    def alike(self, a: Kind, b: Kind) -> Kind:
        """The kind that holds the values of both kinds, or an error that shows the line."""
        try:
            return wider(a, b)
        except TypeError as failure:
            raise self.wrong(f"{failure}: cast one") from None

    def cast(self, value: Value, kind: Kind) -> Value:
        """The value as one of another kind."""
        if value.kind == kind:
            return value
        if isinstance(kind, Dual) and (isinstance(value.kind, Dual) or value.kind in SCALARS):
            return duals.widened(self, value, kind)
        if isinstance(value.kind, Dual) and kind in SCALARS and kind not in FLOATS:
            return self.cast(value.plain, kind)
        if (
            isinstance(kind, tuple)
            and isinstance(value.kind, tuple)
            and len(kind) == len(value.kind)
        ):
            return joined(
                [self.cast(part, inner) for part, inner in zip(value.items(), kind, strict=True)]
            )
        if isinstance(kind, Array) and isinstance(
            value.kind, Array
        ):  # the kind has run-time extents where the value has constants
            return Value(
                kind,
                (
                    value.parts[0],
                    *(
                        extent
                        for extent, n in zip(self.shape(value), kind.shape, strict=True)
                        if n is None
                    ),
                ),
            )
        if not isinstance(kind, str) or not isinstance(value.kind, str) or value.kind == COMPLEX:
            raise self.wrong(f"{shown(value.kind)} cannot become {shown(kind)}")
        if kind == COMPLEX:
            return Value(COMPLEX, (*self.cast(value, "f64").parts, literal(0.0, "f64")))
        known = value.known()
        if known is not None and (kind == "bool" or kind in FLOATS or abs(known) < 1 << 31):
            return Value(kind, (literal(known, kind),))
        (part,) = value.parts
        old, new = SCALARS[value.kind], SCALARS[kind]
        if kind == "bool":
            zero = literal(0.0, "f64")
            float_ = value.kind in FLOATS
            test = f"fcmp une {old} {part}, {zero}" if float_ else f"icmp ne {old} {part}, 0"
            return Value("bool", (self.op(test),))
        if old == new:
            return Value(kind, (part,))
        return Value(kind, (self.op(f"{_conversion(value.kind, kind)} {old} {part} to {new}"),))

    # arithmetic

    def binary(self, op: ast.operator, a: Value, b: Value) -> Value:
        """`a op b`."""
        if isinstance(op, ast.Add) and isinstance(a.kind, tuple) and isinstance(b.kind, tuple):
            return joined([*a.items(), *b.items()])
        kind = self.alike(a.kind, b.kind)
        if isinstance(kind, Dual):
            return duals.binary(self, op, a, b, kind)
        if not isinstance(kind, str):
            raise self.wrong(f"arithmetic needs numbers, not {shown(kind)}")
        if kind == COMPLEX:
            return self._complex(op, a, b)
        if kind == "bool" and type(op) in BITWISE and not isinstance(op, ast.LShift | ast.RShift):
            return Value("bool", (self.op(f"{BITWISE[type(op)]} i1 {a.parts[0]}, {b.parts[0]}"),))
        kind = ARITHMETIC.get(kind, kind)
        if isinstance(op, ast.Div) and kind not in FLOATS:
            kind = "f64"
        x, y = self.cast(a, kind).parts[0], self.cast(b, kind).parts[0]
        if kind in FLOATS:
            if type(op) not in OPERATORS:
                raise self.wrong(
                    "floats are added, subtracted, multiplied and divided, and nothing else"
                )
            return Value(
                kind, (self.op(f"f{OPERATORS[type(op)]} {self.flags} {SCALARS[kind]} {x}, {y}"),)
            )
        if type(op) in OPERATORS:
            return Value(
                kind, (self.integer(OPERATORS[type(op)], x, y, " nsw" if kind == "i64" else ""),)
            )
        if type(op) in BITWISE:
            word = {"shr": "lshr" if kind == "u64" else "ashr"}.get(
                BITWISE[type(op)], BITWISE[type(op)]
            )
            return Value(kind, (self.op(f"{word} i64 {x}, {y}"),))
        if not isinstance(op, ast.FloorDiv | ast.Mod):
            raise self.wrong("a power is not known to a kernel")
        return Value(kind, (self._floored(isinstance(op, ast.Mod), kind, x, y),))

    def integer(self, word: str, a: str, b: str, flags: str = " nsw") -> str:
        """Add, subtract or multiply two 64-bit integers; two constants are folded here."""
        if not a.startswith("%") and not b.startswith("%"):
            x, y = int(a), int(b)
            result = x + y if word == "add" else x - y if word == "sub" else x * y
            if abs(result) < 1 << 62 and (flags or result >= 0):
                return str(result)
        if word == "add" and "0" in (a, b):
            return a if b == "0" else b
        if word == "mul" and "1" in (a, b):
            return a if b == "1" else b
        return self.op(f"{word}{flags} i64 {a}, {b}")

    def _floored(self, rest: bool, kind: str, x: str, y: str) -> str:
        """Python's `//` of two integers, rounded towards minus infinity, or its remainder `%`."""
        if kind == "u64":
            return self.op(f"u{'rem' if rest else 'div'} i64 {x}, {y}")
        left = self.op(f"srem i64 {x}, {y}")
        apart = self.op(f"icmp slt i64 {self.op(f'xor i64 {left}, {y}')}, 0")
        below = self.op(f"select i1 {self.op(f'icmp ne i64 {left}, 0')}, i1 {apart}, i1 false")
        if rest:
            return self.op(f"add i64 {left}, {self.op(f'select i1 {below}, i64 {y}, i64 0')}")
        return self.op(
            f"sub i64 {self.op(f'sdiv i64 {x}, {y}')}, {self.op(f'zext i1 {below} to i64')}"
        )

    def _complex(self, op: ast.operator, a: Value, b: Value) -> Value:
        def f(word: str, x: str, y: str) -> str:
            return self.op(f"f{word} {FLAGS} double {x}, {y}")

        if isinstance(op, ast.Add | ast.Sub):
            x, y, word = (
                self.cast(a, COMPLEX).parts,
                self.cast(b, COMPLEX).parts,
                OPERATORS[type(op)],
            )
            return Value(COMPLEX, (f(word, x[0], y[0]), f(word, x[1], y[1])))
        if not isinstance(op, ast.Mult):
            raise self.wrong("complex numbers are added, subtracted and multiplied here")
        if a.kind == b.kind:
            (p, q), (r, s) = a.parts, b.parts
            return Value(
                COMPLEX,
                (
                    f("sub", f("mul", p, r), f("mul", q, s)),
                    f("add", f("mul", p, s), f("mul", q, r)),
                ),
            )
        wave, real = (a, b) if a.kind == COMPLEX else (b, a)
        (by,) = self.cast(real, "f64").parts
        return Value(COMPLEX, (f("mul", wave.parts[0], by), f("mul", wave.parts[1], by)))

    def negated(self, x: Value) -> Value:
        """`-x`."""
        if x.kind in FLOATS or x.kind == COMPLEX or isinstance(x.kind, Dual):
            return Value(
                x.kind,
                tuple(
                    self.op(f"fneg {FLAGS} {t} {p}")
                    for t, p in zip(scalars(x.kind), x.parts, strict=True)
                ),
            )
        return self.binary(ast.Sub(), Value("i64", ("0",)), x)

    def compared(self, op: ast.cmpop, a: Value, b: Value) -> str:
        """Whether the comparison holds, as a bit."""
        a, b = a.plain, b.plain
        kind = self.alike(a.kind, b.kind)
        if not isinstance(kind, str) or kind == COMPLEX or type(op) not in COMPARED:
            raise self.wrong(f"{shown(a.kind)} and {shown(b.kind)} cannot be compared so")
        x, y = self.cast(a, kind).parts[0], self.cast(b, kind).parts[0]
        real, whole = COMPARED[type(op)]
        if kind in FLOATS:
            return self.op(f"fcmp {real} {SCALARS[kind]} {x}, {y}")
        sign = "" if whole in ("eq", "ne") else "s" if kind[0] == "i" else "u"
        return self.op(f"icmp {sign}{whole} {SCALARS[kind]} {x}, {y}")

    def chosen(self, test: str, a: Value, b: Value) -> Value:
        """Select one of two values of the same kind; both are computed already."""
        if a.parts == b.parts:
            return a
        return Value(
            a.kind,
            tuple(
                self.op(f"select i1 {test}, {t} {x}, {t} {y}")
                for t, x, y in zip(scalars(a.kind), a.parts, b.parts, strict=True)
            ),
        )

    # arrays

    def place(
        self, array: Value, index: Sequence[Value], inside: str = "inbounds "
    ) -> tuple[Kind, tuple[str, ...]]:
        """The kind of an element, and the addresses of the numbers that it is made of. `inside` is
        LLVM's flag `inbounds`, or empty for a prefetch, whose address may lie outside the array.
        """
        kind = array.kind
        if not isinstance(kind, Array) or len(index) != len(kind.shape):
            raise self.wrong(f"{shown(kind)} has no element at {len(index)} indices")
        if any(value.kind not in INDICES for value in index):
            raise self.wrong(
                "an index must be a whole number, not "
                f"{shown(next(v.kind for v in index if v.kind not in INDICES))}"
            )
        if any((value.known() or 0) < 0 for value in index):
            raise self.wrong("an index counts from the front")
        at = [self.cast(value, ARITHMETIC.get(value.kind, value.kind)).parts[0] for value in index]
        if kind.packed:
            parts = len(scalars(kind.of))
            where, apart = self.integer("mul", at[0], str(parts)), "1"
            for step, extent in zip(at[1:], self.shape(array)[1:], strict=True):
                where = self.integer("add", self.integer("mul", where, extent), step)
                apart = self.integer("mul", apart, extent)
            element = f"getelementptr {inside}{duals.type_of(kind.of)}, ptr"
            places = [self.op(f"{element} {array.parts[0]}, i64 {where}")]
            for k in range(1, parts):
                away = self.integer("mul", apart, str(k))
                places.append(self.op(f"{element} {places[0]}, i64 {away}"))
            return kind.of, tuple(places)
        where = "0"
        for step, stride in zip(at, array.parts[-len(at) :], strict=True):
            where = self.integer("add", where, self.integer("mul", step, stride))
        place = self.op(f"getelementptr {inside}i8, ptr {array.parts[0]}, i64 {where}")
        return kind.of, (place,)

    def shape(self, array: Value) -> list[str]:
        """The extents of an array."""
        unknown = iter(array.parts[1:])
        return [next(unknown) if n is None else str(n) for n in array.kind.shape]
