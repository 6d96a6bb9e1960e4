"""Dual numbers of one value: what the compiler's duals mean, in Python.

`compiler/duals.py` has their form in compiled code, and `duals` dual numbers over arrays, with
second derivatives, for formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Differentiated:
    """What has slopes beside its value, and is compared by its value alone."""

    __slots__ = ()
    __array_ufunc__ = None  # NumPy's numbers and arrays leave their operators to this class
    value: Any

    def __lt__(self, other: Any) -> Any:
        return self.value < plain(other)

    def __le__(self, other: Any) -> Any:
        return self.value <= plain(other)

    def __gt__(self, other: Any) -> Any:
        return self.value > plain(other)

    def __ge__(self, other: Any) -> Any:
        return self.value >= plain(other)

    def __eq__(self, other: Any) -> Any:
        return self.value == plain(other)

    def __ne__(self, other: Any) -> Any:
        return self.value != plain(other)


def plain(value: Any) -> Any:
    """A number or an array without its slopes."""
    return value.value if isinstance(value, Differentiated) else value


class DualNumber(Differentiated):
    """A number with its derivatives along some directions (Wengert, 1964).

    Parameters
    ----------
    value : NumPy's float
    slopes : tuple of the same
    """

    __slots__ = ("slopes", "value")

    def __init__(self, value: Any, slopes: tuple[Any, ...]) -> None:
        self.value, self.slopes = value, slopes

    def chained(self, value: Any, slope: Any) -> DualNumber:
        """f(self) from its value and from f' there. A slope that is zero stays zero."""
        return DualNumber(value, tuple(slope * one if one else one for one in self.slopes))

    def _with(self, other: Any) -> tuple[Any, tuple[Any, ...]]:
        """The value and the slopes of another number."""
        if isinstance(other, DualNumber):
            return other.value, other.slopes
        return other, (self.value.dtype.type(0.0),) * len(self.slopes)

    def __add__(self, other: Any) -> DualNumber:
        value, slopes = self._with(other)
        pairs = zip(self.slopes, slopes, strict=True)
        return DualNumber(self.value + value, tuple(p + q for p, q in pairs))

    __radd__ = __add__

    def __neg__(self) -> DualNumber:
        return DualNumber(-self.value, tuple(-one for one in self.slopes))

    def __sub__(self, other: Any) -> DualNumber:
        return self + -other

    def __rsub__(self, other: Any) -> DualNumber:
        return -self + other

    def __mul__(self, other: Any) -> DualNumber:
        value, slopes = self._with(other)
        pairs = zip(self.slopes, slopes, strict=True)
        return DualNumber(self.value * value, tuple(p * value + q * self.value for p, q in pairs))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> DualNumber:
        value, slopes = self._with(other)
        quotient, one = self.value / value, 1.0 / value
        pairs = zip(self.slopes, slopes, strict=True)
        return DualNumber(quotient, tuple((p - q * quotient) * one for p, q in pairs))

    def __rtruediv__(self, other: Any) -> DualNumber:
        return self.chained(other / self.value, -other / (self.value * self.value))

    def __abs__(self) -> DualNumber:
        return -self if self.value < 0.0 else self


class Cast:
    """The word that makes a number one of NumPy's type; only a float keeps its slopes. NumPy makes
    arrays of its `dtype`.
    """

    def __init__(self, kind: type[np.generic]) -> None:
        self.kind, self.dtype = kind, np.dtype(kind)

    def __call__(self, x: Any) -> Any:
        """The number."""
        if isinstance(x, DualNumber) and issubclass(self.kind, np.floating):
            return DualNumber(self.kind(x.value), tuple(map(self.kind, x.slopes)))
        return self.kind(plain(x))


def sqrt(x: Any) -> Any:
    """Square root in the type of `x`. At zero a slope is infinite, but where `x` does not move."""
    if not isinstance(x, DualNumber):
        return np.sqrt(x)
    root = np.sqrt(x.value)
    return x.chained(root, 0.5 / root)


def with_slopes(x: Any, slopes: tuple[Any, ...]) -> Any:
    """A number with these slopes; without any, the number itself."""
    return DualNumber(np.asarray(x)[()], slopes) if slopes else x


def parts(x: Any) -> tuple[Any, ...]:
    """The value of a number, and its slopes."""
    return (x.value, *x.slopes) if isinstance(x, DualNumber) else (x,)


def differentiable(
    function: Callable[[Any], Any], slope: Callable[[Any, Any], Any]
) -> Callable[[Any], Any]:
    """A function of a number, for dual numbers as well; `slope(x, y)` is its derivative where
    its value is y.
    """

    def of(x: Any) -> Any:
        if not isinstance(x, DualNumber):
            return function(x)
        value = function(x.value)
        return x.chained(value, slope(x.value, value))

    return of
