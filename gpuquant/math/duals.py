"""Exact derivatives of formulas: dual numbers over arrays, of first and second order.

A `Dual` is the value of a formula with its derivatives along some directions, and along some pairs
of directions (Wengert, 1964). Where a formula chooses between two branches, its derivative is that
of the branch chosen. The functions of duals are in `dual_functions`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any

from gpuquant.math.dual_numbers import Differentiated

Key = tuple[Hashable, ...]  # one direction, or two in order


class Dual(Differentiated):
    """A value with derivatives; directions that are not there have derivative zero.

    Parameters
    ----------
    value : array
    slopes : dict of arrays
        By direction, and by pair of directions: first and second derivatives. They broadcast with
        the value.
    pairs : tuple of pairs of str
        The second derivatives that are wanted.
    """

    def __init__(self, value: Any, slopes: dict[Key, Any], pairs: tuple[Key, ...]) -> None:
        self.value, self.slopes, self.pairs = value, slopes, pairs

    def _of(self, value: Any, first: Any, second: Callable[[], Any]) -> Dual:
        """f(self), with f' and f'' there."""
        slopes = {key: first * slope for key, slope in self.slopes.items()}
        bend: Any = None
        for one, other in self.pairs:
            if (one,) in self.slopes and (other,) in self.slopes:
                bend = second() if bend is None else bend
                product = bend * self.slopes[one,] * self.slopes[other,]
                slopes[one, other] = slopes.get((one, other), 0.0) + product
        return Dual(value, slopes, self.pairs)

    def map(self, linear: Callable[[Any], Any]) -> Dual:
        """A linear function, such as a sum or a part."""
        slopes = {key: linear(slope) for key, slope in self._wide()}
        return Dual(linear(self.value), slopes, self.pairs)

    def _wide(self) -> Iterator[tuple[Key, Any]]:
        """The derivatives in the shape of the value."""
        for key, slope in self.slopes.items():
            yield key, slope + 0.0 * self.value if slope.shape != self.value.shape else slope

    def __add__(self, other: Any) -> Dual:
        if not isinstance(other, Dual):
            return Dual(self.value + other, self.slopes, self.pairs)
        slopes = dict(self.slopes)
        for key, slope in other.slopes.items():
            slopes[key] = slopes[key] + slope if key in slopes else slope
        return Dual(self.value + other.value, slopes, self.pairs)

    __radd__ = __add__

    def __neg__(self) -> Dual:
        return Dual(-self.value, {key: -slope for key, slope in self.slopes.items()}, self.pairs)

    def __sub__(self, other: Any) -> Dual:
        return self + (-other)

    def __rsub__(self, other: Any) -> Dual:
        return (-self) + other

    def __mul__(self, other: Any) -> Dual:
        if not isinstance(other, Dual):
            slopes = {key: slope * other for key, slope in self.slopes.items()}
            return Dual(self.value * other, slopes, self.pairs)
        slopes = {key: slope * other.value for key, slope in self.slopes.items()}
        for key, slope in other.slopes.items():
            more = self.value * slope
            slopes[key] = slopes[key] + more if key in slopes else more
        for one, two in self.pairs:
            for a, b in ((one, two), (two, one)):
                if (a,) in self.slopes and (b,) in other.slopes:
                    product = self.slopes[a,] * other.slopes[b,]
                    slopes[one, two] = slopes.get((one, two), 0.0) + product
        return Dual(self.value * other.value, slopes, self.pairs)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Dual:
        dual = isinstance(other, Dual)
        product = self * (other.inverse() if dual else 1.0 / other)
        return Dual(self.value / (other.value if dual else other), product.slopes, self.pairs)

    def __rtruediv__(self, other: Any) -> Dual:
        return Dual(other / self.value, (self.inverse() * other).slopes, self.pairs)

    def __pow__(self, power: Any) -> Dual:
        value = self.value**power
        return self._of(
            value,
            power * self.value ** (power - 1.0),
            lambda: power * (power - 1.0) * self.value ** (power - 2.0),
        )

    def inverse(self) -> Dual:
        """1 / self."""
        one = 1.0 / self.value
        return self._of(one, -one * one, lambda: 2.0 * one * one * one)

    def __getitem__(self, which: Any) -> Dual:
        return self.map(lambda array: array[which])

    def sum(self, axis: Any = None) -> Dual:
        """The sum over an axis."""
        return self.map(lambda array: array.sum(axis=axis))

    def max(self, axis: Any = None) -> Any:
        """The largest value, without derivatives."""
        return self.value.max(axis=axis)

    def reshape(self, *shape: int) -> Dual:
        """The same in another shape."""
        return self.map(lambda array: array.reshape(*shape))

    def __abs__(self) -> Dual:
        sign = (self.value >= 0.0) * 2.0 - 1.0
        return self * sign

    def __len__(self) -> int:
        return len(self.value)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the value."""
        return tuple(self.value.shape)

    @property
    def ndim(self) -> int:
        """Of the value."""
        return int(self.value.ndim)

    @property
    def size(self) -> int:
        """Of the value."""
        return int(self.value.size)
