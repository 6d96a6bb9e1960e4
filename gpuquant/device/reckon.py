"""Reckoning in LLVM's language: casts, arithmetic, comparisons and the elementary words, on values whose kinds are known.

The rules are numba's. A whole number has 64 bits once something is done with it, and with a float it becomes a float64; two of 64 bits, one
with a sign and one without, do not mix. One with a sign never leaves its range, and nothing is divided by zero: that is the source's affair. A
product and a sum are contracted to one instruction where the machine has it, and nothing is reordered.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from gpuquant.device.kinds import COMPLEX, FLOATS, NOTHING, RECKONED, SCALARS, Array, Kind, Value, joined, literal, scalars, shown, wider
from gpuquant.errors import MemberError

FLAGS = "contract nsz"  # never reassoc: it folds the rounding trick of exp away and gives wrong prices without a word
ARITHMETIC = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
INDICES = ("i32", "u32", "i64", "u64")
BITWISE = {ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor", ast.LShift: "shl", ast.RShift: "shr"}
COMPARED = {ast.Lt: ("olt", "lt"), ast.LtE: ("ole", "le"), ast.Gt: ("ogt", "gt"), ast.GtE: ("oge", "ge"), ast.Eq: ("oeq", "eq"), ast.NotEq: ("une", "ne")}
DECLARED = """declare float @llvm.fabs.f32(float)
declare double @llvm.fabs.f64(double)
declare float @llvm.sqrt.f32(float)
declare double @llvm.sqrt.f64(double)
declare i64 @llvm.abs.i64(i64, i1)
declare i64 @llvm.cttz.i64(i64, i1)
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
declare ptr @llvm.ptrmask.p0.i64(ptr, i64)
declare noalias ptr @malloc(i64)
declare void @free(ptr)"""


class Reckoner:
    """Writes instructions of the function `name`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.line: ast.stmt | None = None  # the statement they are for
        self.lines: list[str] = []
        self.count = 0

    def op(self, text: str) -> str:
        """An instruction with a result; its name."""
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
        """The kind that holds both, or an error that names the line."""
        try:
            return wider(a, b)
        except TypeError as failure:
            raise self.wrong(f"{failure}: cast one") from None

    def cast(self, value: Value, kind: Kind) -> Value:
        """The value as one of another kind."""
        if value.kind == kind:
            return value
        if isinstance(kind, tuple) and isinstance(value.kind, tuple) and len(kind) == len(value.kind):
            return joined([self.cast(part, inner) for part, inner in zip(value.items(), kind, strict=True)])
        if isinstance(kind, Array) and isinstance(value.kind, Array):  # an extent that was known is one that is not
            return Value(kind, (value.parts[0], *(extent for extent, n in zip(self.shape(value), kind.shape, strict=True) if n is None)))
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
            return Value("bool", (self.op(f"fcmp une {old} {part}, {literal(0.0, 'f64')}" if value.kind in FLOATS else f"icmp ne {old} {part}, 0"),))
        if old == new:
            return Value(kind, (part,))
        if value.kind in FLOATS:
            word = ("fpext" if kind == "f64" else "fptrunc") if kind in FLOATS else "fptoui" if kind[0] == "u" else "fptosi"
        elif kind in FLOATS:
            word = "sitofp" if value.kind[0] == "i" else "uitofp"
        else:
            word = "trunc" if int(old[1:]) > int(new[1:]) else "sext" if value.kind in ("i8", "i32") else "zext"
        return Value(kind, (self.op(f"{word} {old} {part} to {new}"),))

    # arithmetic

    def binary(self, op: ast.operator, a: Value, b: Value) -> Value:
        """`a op b`."""
        if isinstance(op, ast.Add) and isinstance(a.kind, tuple) and isinstance(b.kind, tuple):
            return joined([*a.items(), *b.items()])
        kind = self.alike(a.kind, b.kind)
        if not isinstance(kind, str):
            raise self.wrong(f"nothing can be reckoned with {shown(kind)}")
        if kind == COMPLEX:
            return self._complex(op, a, b)
        if kind == "bool" and type(op) in BITWISE and not isinstance(op, ast.LShift | ast.RShift):
            return Value("bool", (self.op(f"{BITWISE[type(op)]} i1 {a.parts[0]}, {b.parts[0]}"),))
        kind = RECKONED.get(kind, kind)
        if isinstance(op, ast.Div) and kind not in FLOATS:
            kind = "f64"
        x, y = self.cast(a, kind).parts[0], self.cast(b, kind).parts[0]
        if kind in FLOATS:
            if type(op) not in ARITHMETIC:
                raise self.wrong("floats are added, subtracted, multiplied and divided, and nothing else")
            return Value(kind, (self.op(f"f{ARITHMETIC[type(op)]} {FLAGS} {SCALARS[kind]} {x}, {y}"),))
        if type(op) in ARITHMETIC:
            return Value(kind, (self.integer(ARITHMETIC[type(op)], x, y, " nsw" if kind == "i64" else ""),))
        if type(op) in BITWISE:
            word = {"shr": "lshr" if kind == "u64" else "ashr"}.get(BITWISE[type(op)], BITWISE[type(op)])
            return Value(kind, (self.op(f"{word} i64 {x}, {y}"),))
        if not isinstance(op, ast.FloorDiv | ast.Mod):
            raise self.wrong("a power is not known to a kernel")
        return Value(kind, (self._floored(isinstance(op, ast.Mod), kind, x, y),))

    def integer(self, word: str, a: str, b: str, flags: str = " nsw") -> str:
        """Two whole numbers of 64 bits added, subtracted or multiplied: worked out here where both are known."""
        if not a.startswith("%") and not b.startswith("%"):
            x, y = int(a), int(b)
            found = x + y if word == "add" else x - y if word == "sub" else x * y
            if abs(found) < 1 << 62 and (flags or found >= 0):
                return str(found)
        if word == "add" and "0" in (a, b):
            return a if b == "0" else b
        return self.op(f"{word}{flags} i64 {a}, {b}")

    def _floored(self, rest: bool, kind: str, x: str, y: str) -> str:
        """Python's division of whole numbers, towards minus infinity, or its rest."""
        if kind == "u64":
            return self.op(f"u{'rem' if rest else 'div'} i64 {x}, {y}")
        left = self.op(f"srem i64 {x}, {y}")
        apart = self.op(f"icmp slt i64 {self.op(f'xor i64 {left}, {y}')}, 0")
        below = self.op(f"select i1 {self.op(f'icmp ne i64 {left}, 0')}, i1 {apart}, i1 false")
        if rest:
            return self.op(f"add i64 {left}, {self.op(f'select i1 {below}, i64 {y}, i64 0')}")
        return self.op(f"sub i64 {self.op(f'sdiv i64 {x}, {y}')}, {self.op(f'zext i1 {below} to i64')}")

    def _complex(self, op: ast.operator, a: Value, b: Value) -> Value:
        def f(word: str, x: str, y: str) -> str:
            return self.op(f"f{word} {FLAGS} double {x}, {y}")

        if isinstance(op, ast.Add | ast.Sub):
            x, y, word = self.cast(a, COMPLEX).parts, self.cast(b, COMPLEX).parts, ARITHMETIC[type(op)]
            return Value(COMPLEX, (f(word, x[0], y[0]), f(word, x[1], y[1])))
        if not isinstance(op, ast.Mult):
            raise self.wrong("complex numbers are added, subtracted and multiplied here")
        if a.kind == b.kind:
            (p, q), (r, s) = a.parts, b.parts
            return Value(COMPLEX, (f("sub", f("mul", p, r), f("mul", q, s)), f("add", f("mul", p, s), f("mul", q, r))))
        wave, real = (a, b) if a.kind == COMPLEX else (b, a)
        (by,) = self.cast(real, "f64").parts
        return Value(COMPLEX, (f("mul", wave.parts[0], by), f("mul", wave.parts[1], by)))

    def negated(self, x: Value) -> Value:
        """`-x`."""
        if x.kind in FLOATS or x.kind == COMPLEX:
            return Value(x.kind, tuple(self.op(f"fneg {FLAGS} {t} {p}") for t, p in zip(scalars(x.kind), x.parts, strict=True)))
        return self.binary(ast.Sub(), Value("i64", ("0",)), x)

    def compared(self, op: ast.cmpop, a: Value, b: Value) -> str:
        """Whether the comparison holds, as a bit."""
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
        """One of two values of one kind, both of which are at hand."""
        if a.parts == b.parts:
            return a
        return Value(a.kind, tuple(self.op(f"select i1 {test}, {t} {x}, {t} {y}") for t, x, y in zip(scalars(a.kind), a.parts, b.parts, strict=True)))

    # arrays

    def place(self, array: Value, index: Sequence[Value], inside: str = "inbounds ") -> tuple[str, str]:
        """The kind and the place in memory of an element, which is `inside` the array unless nothing will be read there."""
        kind = array.kind
        if not isinstance(kind, Array) or len(index) != len(kind.shape):
            raise self.wrong(f"{shown(kind)} has no element at {len(index)} indices")
        if any(value.kind not in INDICES for value in index):
            raise self.wrong(f"an index must be a whole number, not {shown(next(v.kind for v in index if v.kind not in INDICES))}")
        if any((value.known() or 0) < 0 for value in index):
            raise self.wrong("an index counts from the front")
        at = [self.cast(value, RECKONED.get(value.kind, value.kind)).parts[0] for value in index]
        if kind.packed:
            where = at[0]
            for step, extent in zip(at[1:], self.shape(array)[1:], strict=True):
                where = self.integer("add", self.integer("mul", where, extent), step)
            return kind.of, self.op(f"getelementptr {inside}{SCALARS[kind.of]}, ptr {array.parts[0]}, i64 {where}")
        where = "0"
        for step, stride in zip(at, array.parts[-len(at) :], strict=True):
            where = self.integer("add", where, self.integer("mul", step, stride))
        return kind.of, self.op(f"getelementptr {inside}i8, ptr {array.parts[0]}, i64 {where}")

    def shape(self, array: Value) -> list[str]:
        """The extents of an array."""
        unknown = iter(array.parts[1:])
        return [next(unknown) if n is None else str(n) for n in array.kind.shape]

    # the words that every target has

    def word_abs(self, x: Value) -> Value:
        """`abs(x)`."""
        if x.kind in ("u32", "u64"):
            return x
        if x.kind in FLOATS:
            return Value(x.kind, (self.op(f"call {FLAGS} {SCALARS[x.kind]} @llvm.fabs.{x.kind}({SCALARS[x.kind]} {x.parts[0]})"),))
        return Value("i64", (self.op(f"call i64 @llvm.abs.i64(i64 {self.cast(x, 'i64').parts[0]}, i1 false)"),))

    def word_sqrt(self, x: Value) -> Value:
        """The square root, in the type of `x`."""
        x = x if x.kind in FLOATS else self.cast(x, "f64")
        return Value(x.kind, (self.op(f"call {FLAGS} {SCALARS[x.kind]} @llvm.sqrt.{x.kind}({SCALARS[x.kind]} {x.parts[0]})"),))

    def word_max(self, a: Value, b: Value) -> Value:
        """Python's `max`: the first, unless the second is beyond it."""
        return self._extreme(ast.Gt(), a, b)

    def word_min(self, a: Value, b: Value) -> Value:
        """Python's `min`: the first, unless the second is below it."""
        return self._extreme(ast.Lt(), a, b)

    def _extreme(self, op: ast.cmpop, a: Value, b: Value) -> Value:
        kind = self.alike(a.kind, b.kind)
        a, b = self.cast(a, kind), self.cast(b, kind)
        return self.chosen(self.compared(op, b, a), b, a)

    def word_complex(self, real: Value, imag: Value) -> Value:
        """`complex(real, imag)`."""
        return Value(COMPLEX, (*self.cast(real, "f64").parts, *self.cast(imag, "f64").parts))

    def word_bits32(self, x: Value) -> Value:
        """The bits of a float32."""
        return self._bits(x, "f32", "u32")

    def word_from_bits32(self, x: Value) -> Value:
        """The float32 with these bits."""
        return self._bits(x, "u32", "f32")

    def word_bits64(self, x: Value) -> Value:
        """The bits of a float64."""
        return self._bits(x, "f64", "u64")

    def word_from_bits64(self, x: Value) -> Value:
        """The float64 with these bits."""
        return self._bits(x, "u64", "f64")

    def _bits(self, x: Value, of: str, kind: str) -> Value:
        return Value(kind, (self.op(f"bitcast {SCALARS[of]} {self.cast(x, of).parts[0]} to {SCALARS[kind]}"),))

    def word_lowest(self, x: Value) -> Value:
        """The place of the lowest bit of a u64 that is set, 64 where none is."""
        return Value("u64", (self.op(f"call i64 @llvm.cttz.i64(i64 {self.cast(x, 'u64').parts[0]}, i1 false)"),))

    def word_below(self, array: Value, index: Value, bound: Value) -> Value:
        """Which of 64 float64 in a row, from an element on, are below a bound: a bit of a u64 for each."""
        kind, place = self.place(array, index.items())
        if kind != "f64" or not array.kind.packed:
            raise self.wrong(f"below looks at f64 that lie side by side, not at {shown(array.kind)}")
        (limit,) = self.cast(bound, "f64").parts
        numbers = self.op(f"load <64 x double>, ptr {place}, align 8")
        first = self.op(f"insertelement <64 x double> undef, double {limit}, i64 0")
        limits = self.op(f"shufflevector <64 x double> {first}, <64 x double> undef, <64 x i32> zeroinitializer")
        return Value("u64", (self.op(f"bitcast <64 x i1> {self.op(f'fcmp olt <64 x double> {numbers}, {limits}')} to i64"),))

    def word_halted(self, array: Value) -> Value:
        """The first element of an array as it is now, whatever it was before: not 0 where who runs the kernel wants no more of it."""
        kind, place = self.place(array, [Value("i64", ("0",))])
        if kind != "i64":
            raise self.wrong(f"halted reads an i64, not {kind}")
        return Value("i64", (self.op(f"load volatile i64, ptr {place}"),))

    def word_touch(self, array: Value, index: Value) -> Value:
        """Ask for an element that will be wanted soon, so that it is in the cache by then; beyond the array's end it does nothing."""
        _, place = self.place(array, index.items(), inside="")
        self.do(f"call void @llvm.prefetch.p0(ptr {place}, i32 0, i32 3, i32 1)")
        return NOTHING
