"""The kinds of values that a kernel's source has, and how LLVM writes them.

A kind is the name of a number (NumPy's types: `i64`, `f32`, ...; `c128` is two float64), a `Dual`,
an `Array`, a tuple of kinds, or None for nothing. A value is a kind and the scalars it is made of,
each LLVM's name of a register or a literal.
"""

from __future__ import annotations

import ctypes
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Dual:
    """A float with its derivatives along `slopes` directions (Wengert, 1964)."""

    of: str
    slopes: int

    @property
    def word(self) -> str:
        """Its name in kernel source: f64_with_4_slopes."""
        return f"{self.of}_with_{self.slopes}_slopes"


@dataclass(frozen=True)
class Array:
    """Elements of one kind, contiguous where `packed`, else with strides in bytes. An extent that
    is not known when the kernel is compiled is None. The slopes of duals are further rows of the
    first index, each after the row of the values.
    """

    of: str | Dual
    shape: tuple[int | None, ...]
    packed: bool = True


Kind = Any
COMPLEX = "c128"
FLOATS = ("f32", "f64")
SCALARS = {
    "bool": "i1",
    "i8": "i8",
    "i32": "i32",
    "u32": "i32",
    "i64": "i64",
    "u64": "i64",
    "f32": "float",
    "f64": "double",
}
SIZES = {"i8": 1, "i32": 4, "u32": 4, "i64": 8, "u64": 8, "f32": 4, "f64": 8}
ARITHMETIC = {
    "bool": "i64",
    "i8": "i64",
    "i32": "i64",
    "u32": "u64",
}  # arithmetic on integers has 64 bits


class Value(NamedTuple):
    """A value of a kernel's source."""

    kind: Kind
    parts: tuple[str, ...] = ()

    def items(self) -> list[Value]:
        """The values of a tuple."""
        parts = iter(self.parts)
        return [Value(kind, tuple(next(parts) for _ in scalars(kind))) for kind in self.kind]

    @property
    def plain(self) -> Value:
        """The value of a dual number without its slopes; any other value itself."""
        return Value(self.kind.of, self.parts[:1]) if isinstance(self.kind, Dual) else self

    def typed(self) -> Iterator[tuple[str, str]]:
        """The scalars that it is made of, each with LLVM's type before it."""
        return zip(scalars(self.kind), self.parts, strict=True)

    def known(self) -> Any:
        """The value of a constant, or None where the value is known only when the kernel runs."""
        part = self.parts[0] if len(self.parts) == 1 else "%"
        if part.startswith("%"):
            return None
        if self.kind in FLOATS:
            return struct.unpack("<d", struct.pack("<Q", int(part, 16)))[0]
        return part == "true" if self.kind == "bool" else int(part)


NOTHING = Value(None)


def joined(values: Sequence[Value]) -> Value:
    """A tuple of values."""
    return Value(tuple(v.kind for v in values), tuple(chain.from_iterable(v.parts for v in values)))


def number(value: complex) -> Value:
    """A constant."""
    if isinstance(value, complex):
        return Value(COMPLEX, (literal(value.real, "f64"), literal(value.imag, "f64")))
    kind = "bool" if isinstance(value, bool) else "i64" if isinstance(value, int) else "f64"
    return Value(kind, (literal(value, kind),))


def literal(value: float, kind: str) -> str:
    """A number as LLVM writes it: a float by the bits of the float64 of the same value."""
    if kind == "bool":
        return "true" if value else "false"
    if kind not in FLOATS:
        return str(int(value) % (1 << 8 * SIZES[kind]) if kind[0] == "u" else int(value))
    if kind == "f32":
        value = ctypes.c_float(value).value
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def scalars(kind: Kind) -> list[str]:
    """LLVM's types of the scalars that make up a value of this kind."""
    if kind is None:
        return []
    if isinstance(kind, tuple):
        return [part for inner in kind for part in scalars(inner)]
    if isinstance(kind, Array):
        return ["ptr"] + ["i64"] * (
            kind.shape.count(None) + (0 if kind.packed else len(kind.shape))
        )
    if isinstance(kind, Dual):
        return [SCALARS[kind.of]] * (1 + kind.slopes)
    return ["double", "double"] if kind == COMPLEX else [SCALARS[kind]]


def returned(kind: Kind) -> str:
    """LLVM's type of a result of this kind."""
    types = scalars(kind)
    return "void" if not types else types[0] if len(types) == 1 else f"{{{', '.join(types)}}}"


def element_kind(word: str) -> str | Dual:
    """The kind of an array's elements, from its name in kernel source."""
    dual = re.fullmatch(r"(f32|f64)_with_(\d+)_slopes", word)
    return Dual(dual[1], int(dual[2])) if dual else word


def size_of(kind: str | Dual) -> int:
    """Bytes of an array's element."""
    return SIZES[kind.of] * (1 + kind.slopes) if isinstance(kind, Dual) else SIZES[kind]


def wider(a: Kind, b: Kind) -> Kind:
    """The kind that holds the values of both; TypeError where there is none."""
    if a == b:
        return a
    if isinstance(a, Dual) or isinstance(b, Dual):
        one, other = (x if isinstance(x, Dual) else Dual(x, -1) for x in (a, b))
        same = -1 in (one.slopes, other.slopes) or one.slopes == other.slopes
        if same and isinstance(one.of, str) and isinstance(other.of, str):
            of = wider(one.of, other.of)
            if of in FLOATS:
                return Dual(of, max(one.slopes, other.slopes))
        raise TypeError(f"{shown(a)} and {shown(b)} do not mix")
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        return tuple(map(wider, a, b))
    if (
        isinstance(a, Array)
        and isinstance(b, Array)
        and a.of == b.of
        and len(a.shape) == len(b.shape)
        and a.packed
        and b.packed
    ):
        return Array(
            a.of, tuple(n if n == m else None for n, m in zip(a.shape, b.shape, strict=True))
        )
    if isinstance(a, str) and isinstance(b, str):
        both = {a, b}
        if COMPLEX in both:
            return COMPLEX
        if both & {*FLOATS}:
            return "f64"
        if both <= {"bool", "i8", "i32", "u32", "i64"}:
            return "i64"
        if both <= {"bool", "u32", "u64"}:
            return "u64"
    raise TypeError(f"{shown(a)} and {shown(b)} do not mix")


def shown(kind: Kind) -> str:
    """A kind in words."""
    if isinstance(kind, tuple):
        return f"a tuple ({', '.join(map(shown, kind))})"
    if isinstance(kind, Array):
        return f"an array of {shown(kind.of)}"
    if isinstance(kind, Dual):
        return f"a dual number of {kind.of}"
    return "nothing" if kind is None else str(kind)
