"""Traces array formulas: a formula that is called with symbols for its arrays tells its operations,
which are the kernel source of one row.

What a formula does to arrays it does to each row, so that its trace is a straight line without
loops or branches. A formula that asks for more than that cannot be traced: it looks at the shape of
an array, decides by all rows, or calls a function that is not here. It raises what Python raises,
and the caller then uses arrays.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

LARGEST = 64  # whole power that is a product
MOST = 280  # operations: a longer trace takes a second to compile, and longer than arrays to run


class Untraceable(TypeError):
    """A formula that no trace can hold."""


class Trace:
    """The operations of a formula so far, each with a name; the same operation is done once."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def do(self, operation: str, *, truth: bool = False) -> Traced:
        """The result of an operation."""
        if operation not in self.names:
            if len(self.names) >= MOST:
                raise Untraceable(f"a formula of more than {MOST} operations")
            self.names[operation] = f"v{len(self.names)}"
        return Traced(self, self.names[operation], truth)

    def function(self, name: str, results: list[Any]) -> ast.FunctionDef:
        """The kernel source of a function of a row `r` that returns these results. Each operation
        rounds by itself: a result has the same bits, whatever other results are asked for.
        """
        lines = [f"    {value} = {operation}" for operation, value in self.names.items()]
        told = ", ".join(map(shown, results))
        tree = ast.parse(
            "\n".join([f"@rounded\ndef {name}(r):", *lines, f"    return ({told},)"])
        ).body[0]
        assert isinstance(tree, ast.FunctionDef)
        return tree


def shown(value: Any) -> str:
    """A symbol or a number as kernel source."""
    if isinstance(value, Traced):
        return value.name
    if not known(value):
        raise Untraceable(f"{type(value).__name__} in a formula of numbers")
    number = float(value)
    if math.isfinite(number):
        return repr(number)
    bits = "0x7FF8000000000000" if number != number else "0x7FF0000000000000"
    return f"{'-' if number < 0.0 else ''}from_bits64(u64({bits}))"


def known(value: Any) -> bool:
    """Whether a value is a number or a truth, no symbol."""
    return isinstance(value, Real | np.bool_)


def compared(sign: str) -> Callable[[Any, Any], Any]:
    """The comparison of a symbol with another, or with a number, by this sign."""
    return lambda one, other: one._with(sign, other, truth=True)


class Traced:
    """The symbol of an array: of numbers, or of truths.

    Arithmetic with it is an operation of the trace. It has one axis, and nobody knows its length.
    """

    __array_ufunc__ = None  # a number of NumPy leaves the arithmetic to the symbol
    ndim = 1

    def __init__(self, trace: Trace, name: str, truth: bool = False) -> None:
        self.trace, self.name, self.truth = trace, name, truth

    def _number(self) -> Traced:
        return self.trace.do(f"1.0 if {self.name} else 0.0") if self.truth else self

    def _with(self, sign: str, other: Any, *, turned: bool = False, truth: bool = False) -> Any:
        if truth and differentiated(other):
            return NotImplemented
        if self.truth and not truth and getattr(other, "truth", isinstance(other, bool | np.bool_)):
            raise Untraceable("arithmetic of two truths")
        one, two = (shown(numbered(x)) for x in (self, other))
        if turned or (sign in "+*" and two < one):  # these are the same whatever the order
            one, two = two, one
        return self.trace.do(f"{one} {sign} {two}", truth=truth)

    def __add__(self, other: Any) -> Any:
        return NotImplemented if differentiated(other) else self._with("+", other)

    def __radd__(self, other: Any) -> Any:
        return self._with("+", other)

    def __sub__(self, other: Any) -> Any:
        return NotImplemented if differentiated(other) else self._with("-", other)

    def __rsub__(self, other: Any) -> Any:
        return self._with("-", other, turned=True)

    def __mul__(self, other: Any) -> Any:
        if differentiated(other):
            return NotImplemented
        return self if known(other) and other == 1.0 else self._with("*", other)

    def __rmul__(self, other: Any) -> Any:
        return self * other

    def __truediv__(self, other: Any) -> Any:
        return NotImplemented if differentiated(other) else self._with("/", other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with("/", other, turned=True)

    def __pow__(self, power: Any) -> Any:
        if differentiated(power):
            return NotImplemented
        number = float(power) if known(power) else math.nan
        if number.is_integer() and abs(number) <= LARGEST:
            whole = whole_power(self, abs(int(number)))
            return whole if number > 0.0 else 1.0 / whole
        return raised(self, power)

    def __rpow__(self, base: Any) -> Any:
        return raised(base, self)

    def __neg__(self) -> Traced:
        return self.trace.do(f"-{self._number().name}")

    def __abs__(self) -> Traced:
        return self.trace.do(f"abs({self._number().name})")

    __lt__, __le__ = compared("<"), compared("<=")
    __gt__, __ge__ = compared(">"), compared(">=")
    __eq__, __ne__ = compared("=="), compared("!=")

    def __and__(self, other: Any) -> Any:
        if not isinstance(other, Traced):
            return self if bool(other) else np.False_
        return self.trace.do(f"{self.name} and {other.name}", truth=True)

    def __or__(self, other: Any) -> Any:
        if not isinstance(other, Traced):
            return np.True_ if bool(other) else self
        return self.trace.do(f"{self.name} or {other.name}", truth=True)

    __rand__, __ror__ = __and__, __or__

    def __invert__(self) -> Traced:
        return self.trace.do(f"not {self.name}", truth=True)

    def __bool__(self) -> bool:
        raise Untraceable("a formula that decides by its rows")


def differentiated(value: Any) -> bool:
    """Whether a value is a dual number, which does its own arithmetic with symbols."""
    return hasattr(value, "slopes")


def numbered(value: Any) -> Any:
    """A truth as the number 1 or 0; a number as it is."""
    if isinstance(value, Traced):
        return value._number()
    return float(value) if known(value) else value


def whole_power(base: Any, power: int) -> Any:
    """A whole power, by squares."""
    if power < 2:
        return base if power else 1.0
    half = whole_power(base, power // 2)
    return half * half * base if power % 2 else half * half


def raised(base: Any, power: Any) -> Any:
    """A power, for a base that is not negative: NaN for one that is. It loses the digits that
    power log(base) has before its point.
    """
    xp = Functions()
    of_zero = xp.where(power < 0.0, math.inf, math.nan)
    of_zero = xp.where(power > 0.0, 0.0, of_zero)
    found = xp.where(base == 0.0, of_zero, xp.exp(power * xp.log(base)))
    return xp.where(power == 0.0, 1.0, found)


def _word(name: str, of_number: Callable[[float], float]) -> Callable[..., Any]:
    def function(self: Any, x: Any) -> Any:
        if not isinstance(x, Traced):
            return np.float64(of_number(x))
        return x.trace.do(f"{name}({shown(numbered(x))})")

    return function


class Functions:
    """What formulas take from `xp`, for symbols and for numbers; these are NumPy's, whose truths
    know `~`.
    """

    nan, inf, pi = map(np.float64, (math.nan, math.inf, math.pi))
    exp, log = _word("exp64", math.exp), _word("log64", math.log)
    sqrt, abs = _word("sqrt", math.sqrt), _word("abs", abs)

    def expm1(self, x: Any) -> Any:
        """exp x - 1, without loss near zero (Kahan)."""
        grown = self.exp(x)
        near = self.where(grown == 1.0, x, (grown - 1.0) * x / self.log(grown))
        return self.where(abs(x) < 1.0, near, grown - 1.0)

    def log1p(self, x: Any) -> Any:
        """log (1 + x), without loss near zero (Kahan)."""
        grown = 1.0 + x
        near = self.where(grown == 1.0, x, self.log(grown) * x / (grown - 1.0))
        return self.where(abs(x) < 1.0, near, self.log(grown))

    def where(self, condition: Any, one: Any, other: Any) -> Any:
        """`one` where the condition holds, else `other`."""
        if not isinstance(condition, Traced):
            return one if bool(condition) else other
        texts = [shown(numbered(x)) for x in (one, other)]
        if texts[0] == texts[1]:
            return one
        return condition.trace.do(f"{texts[0]} if {condition.name} else {texts[1]}")

    def maximum(self, one: Any, other: Any) -> Any:
        """The larger; NaN where one is NaN."""
        return self._extreme("max", np.maximum, one, other)

    def minimum(self, one: Any, other: Any) -> Any:
        """The smaller; NaN where one is NaN."""
        return self._extreme("min", np.minimum, one, other)

    def _extreme(self, name: str, of_numbers: Callable[..., Any], one: Any, other: Any) -> Any:
        symbols = [x for x in (one, other) if isinstance(x, Traced)]
        if not symbols:
            return of_numbers(one, other)
        if not isinstance(one, Traced):
            one, other = other, one
        if known(other) and other != other:
            return self.nan
        found = symbols[0].trace.do(f"{name}({shown(numbered(one))}, {shown(numbered(other))})")
        return self.where(other != other, other, found) if isinstance(other, Traced) else found

    def clip(self, x: Any, low: Any, high: Any) -> Any:
        """Between two bounds."""
        return self.minimum(self.maximum(x, low), high)

    def sign(self, x: Any) -> Any:
        """1, -1 or 0."""
        return self.where(x > 0.0, 1.0, self.where(x < 0.0, -1.0, x))

    def copysign(self, size: Any, x: Any) -> Any:
        """The size of one with the sign of the other; zero is positive."""
        return self.where(x < 0.0, -abs(size), abs(size))

    def isnan(self, x: Any) -> Any:
        """Where it is not a number."""
        return x != x

    def isfinite(self, x: Any) -> Any:
        """Where it is a finite number."""
        return abs(x) < self.inf

    def nan_to_num(self, x: Any, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
        """Numbers for what is none."""
        largest = 1.7976931348623157e308
        x = self.where(x == math.inf, largest if posinf is None else posinf, x)
        x = self.where(x == -math.inf, -largest if neginf is None else neginf, x)
        return self.where(x != x, nan, x)

    def everywhere(self, condition: Any) -> bool:
        """Whether a condition holds in all rows: of a symbol that is not known."""
        return not isinstance(condition, Traced) and bool(condition)

    def zeros_like(self, x: Any) -> Any:
        """Zero."""
        return np.float64(0.0)

    def ones_like(self, x: Any) -> Any:
        """One."""
        return np.float64(1.0)

    def full_like(self, x: Any, value: Any) -> Any:
        """The value."""
        return value

    def atleast_1d(self, x: Any) -> Any:
        """The same: it has an axis."""
        return x


class Special:
    """What formulas take from `special`, for symbols and for numbers."""

    def ndtr(self, x: Any) -> Any:
        """The normal distribution."""
        if not isinstance(x, Traced):
            return np.float64(0.5 * math.erfc(-x / math.sqrt(2.0)))
        return x.trace.do(f"norm_cdf64({shown(numbered(x))})")
