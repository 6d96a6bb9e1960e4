"""The functions that formulas take from `xp` and from `special`, for dual numbers and for arrays:
with them a formula for prices is a formula for Greeks, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gpuquant.math.dual_numbers import plain
from gpuquant.math.duals import Dual, Key

FLAT = ("sign", "copysign", "isnan", "isfinite", "zeros_like", "ones_like", "full_like")


def everywhere(condition: Any, xp: Any) -> bool:
    """Whether a condition is known to hold in all rows."""
    told = getattr(xp, "everywhere", None)  # of symbols, whose rows nobody knows
    return bool(condition.all()) if told is None else bool(told(condition))


class Functions:
    """The functions that formulas take from `xp`, for duals and for arrays."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp

    def __getattr__(self, name: str) -> Any:
        """A constant, a function of arrays alone, or one without a slope."""
        function = getattr(self.xp, name)
        if name not in FLAT:
            return function
        return lambda *given, **how: function(*map(plain, given), **how)

    def _joined(self, function: Callable[..., Any], *given: Any) -> Any:
        """A function that is linear in all its arguments together, such as a stack."""
        duals = [one for one in given if isinstance(one, Dual)]
        value = function(*map(plain, given))
        if not duals:
            return value
        slopes = {}
        for key in dict.fromkeys(key for one in duals for key in one.slopes):
            parts = [
                one.slopes[key] + 0.0 * one.value
                if isinstance(one, Dual) and key in one.slopes
                else self.xp.zeros_like(plain(one) + 0.0)
                for one in given
            ]
            slopes[key] = function(*parts)
        return Dual(value, slopes, duals[0].pairs)

    def exp(self, x: Any) -> Any:
        """exp x."""
        if not isinstance(x, Dual):
            return self.xp.exp(x)
        value = self.xp.exp(x.value)
        return x._of(value, value, lambda: value)

    def expm1(self, x: Any) -> Any:
        """exp x - 1."""
        if not isinstance(x, Dual):
            return self.xp.expm1(x)
        value = self.xp.expm1(x.value)
        return x._of(value, value + 1.0, lambda: value + 1.0)

    def log(self, x: Any) -> Any:
        """log x."""
        if not isinstance(x, Dual):
            return self.xp.log(x)
        one = 1.0 / x.value
        return x._of(self.xp.log(x.value), one, lambda: -one * one)

    def log1p(self, x: Any) -> Any:
        """log (1 + x)."""
        if not isinstance(x, Dual):
            return self.xp.log1p(x)
        one = 1.0 / (1.0 + x.value)
        return x._of(self.xp.log1p(x.value), one, lambda: -one * one)

    def sqrt(self, x: Any) -> Any:
        """The root; at zero its derivatives are taken as zero."""
        if not isinstance(x, Dual):
            return self.xp.sqrt(x)
        root = self.xp.sqrt(x.value)
        half = self.xp.where(root > 0.0, 0.5 / root, 0.0)
        return x._of(root, half, lambda: -2.0 * half * half * half)

    def abs(self, x: Any) -> Any:
        """The absolute value."""
        return abs(x)

    def where(self, condition: Any, one: Any, other: Any) -> Any:
        """`one` where the condition holds, else `other`."""
        condition = plain(condition)
        value = self.xp.where(condition, plain(one), plain(other))
        if not isinstance(one, Dual) and not isinstance(other, Dual):
            return value
        if (
            isinstance(one, Dual)
            and everywhere(condition, self.xp)
            and (value is one.value or one.shape == value.shape)
        ):
            return one
        left, right = (x.slopes if isinstance(x, Dual) else {} for x in (one, other))
        pairs = (one if isinstance(one, Dual) else other).pairs
        slopes = {
            key: self.xp.where(condition, left.get(key, 0.0), right.get(key, 0.0))
            for key in dict.fromkeys([*left, *right])
        }
        return Dual(value, slopes, pairs)

    def maximum(self, one: Any, other: Any) -> Any:
        """The larger."""
        if isinstance(one, Dual) or isinstance(other, Dual):
            return self.where(plain(one) >= plain(other), one, other)
        return self.xp.maximum(one, other)

    def minimum(self, one: Any, other: Any) -> Any:
        """The smaller."""
        if isinstance(one, Dual) or isinstance(other, Dual):
            return self.where(plain(one) <= plain(other), one, other)
        return self.xp.minimum(one, other)

    def clip(self, x: Any, low: Any, high: Any) -> Any:
        """Between two bounds."""
        return self.minimum(self.maximum(x, low), high)

    def nan_to_num(self, x: Any, **how: Any) -> Any:
        """Zero where it is not a number."""
        if not isinstance(x, Dual):
            return self.xp.nan_to_num(x, **how)
        return self.where(self.xp.isnan(x.value), self.xp.nan_to_num(x.value, **how), x)

    def stack(self, parts: Any, axis: int = 0) -> Any:
        """Arrays on a new axis."""
        return self._joined(lambda *given: self.xp.stack(given, axis=axis), *parts)

    def concatenate(self, parts: Any, axis: int = 0) -> Any:
        """Arrays one after the other."""
        return self._joined(lambda *given: self.xp.concatenate(given, axis=axis), *parts)

    def broadcast_to(self, x: Any, shape: Any) -> Any:
        """In a larger shape."""
        return self._joined(lambda one: self.xp.broadcast_to(one, shape), x)

    def broadcast_arrays(self, *parts: Any) -> list[Any]:
        """In one shape."""
        shape = np.broadcast_shapes(*(plain(one).shape for one in parts))
        return [self.broadcast_to(one, shape) for one in parts]

    def atleast_1d(self, x: Any) -> Any:
        """With one axis at least."""
        return self._joined(self.xp.atleast_1d, x)

    def asarray(self, x: Any, **how: Any) -> Any:
        """As an array."""
        return self._joined(lambda one: self.xp.asarray(one, **how), x)

    def sort(self, x: Any, axis: int = -1) -> Any:
        """In increasing order."""
        if not isinstance(x, Dual):
            return self.xp.sort(x, axis=axis)
        order = self.xp.argsort(x.value, axis=axis)
        return x.map(lambda array: self.xp.take_along_axis(array, order, axis=axis))

    def einsum(self, text: str, *parts: Any) -> Any:
        """A sum of products, each part of degree one."""
        value = self.xp.einsum(text, *map(plain, parts))
        duals = [one for one in parts if isinstance(one, Dual)]
        if not duals:
            return value
        slopes: dict[Key, Any] = {}

        def add(key: Key, changed: dict[int, Any]) -> None:
            given = [changed.get(k, plain(one)) for k, one in enumerate(parts)]
            term = self.xp.einsum(text, *given)
            slopes[key] = slopes[key] + term if key in slopes else term

        wide = [dict(one._wide()) if isinstance(one, Dual) else {} for one in parts]
        for k, own in enumerate(wide):
            for key, slope in own.items():
                add(key, {k: slope})
            for one, two in duals[0].pairs:
                for j, others in enumerate(wide):
                    if j != k and (one,) in own and (two,) in others:
                        add((one, two), {k: own[one,], j: others[two,]})
        return Dual(value, slopes, duals[0].pairs)


class Special:
    """The functions that formulas take from `special`, for duals and for arrays."""

    def __init__(self, special: Any, xp: Any) -> None:
        self.special, self.xp = special, xp

    def gamma(self, x: Any) -> Any:
        """The gamma function."""
        if not isinstance(x, Dual):
            return self.special.gamma(x)
        value, psi = self.special.gamma(x.value), self.special.digamma(x.value)
        bend = self.special.polygamma
        return x._of(value, value * psi, lambda: value * (psi**2 + bend(1, x.value)))

    def ndtr(self, x: Any) -> Any:
        """The normal distribution."""
        if not isinstance(x, Dual):
            return self.special.ndtr(x)
        finite = self.xp.isfinite(x.value)
        if not everywhere(finite, self.xp):  # far away nothing moves
            slopes = {key: self.xp.where(finite, slope, 0.0) for key, slope in x.slopes.items()}
            x = Dual(x.value, slopes, x.pairs)
        place = self.xp.where(finite, x.value, 0.0)
        density = self.xp.exp(-0.5 * x.value * x.value) / math.sqrt(2.0 * math.pi)
        return x._of(self.special.ndtr(x.value), density, lambda: -place * density)
