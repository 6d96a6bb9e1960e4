"""Closed forms for a lognormal price: the value of amounts paid between two levels, and
expectations at a later date.

The formulas of the payoffs are built from these functions. `law` is the `Lognormal` of a model,
`xp` numpy or cupy, `special` its special functions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gpuquant.math.dual_numbers import plain

MIDDLE = 0.0137  # standard deviations
FAR = 9.0  # standard deviations beyond which a normal has no weight in float64


def black(
    sign: Any, forward: Any, strike: Any, variance: Any, discount: Any, xp: Any, special: Any
) -> Any:
    """Black's formula (1976): discount sign (F N(sign d1) - K N(sign d2)); exact intrinsic at
    zero variance.
    """
    d1, d2 = _moneyness(forward, strike, variance, xp)
    return discount * sign * (forward * special.ndtr(sign * d1) - strike * special.ndtr(sign * d2))


def _moneyness(forward: Any, level: Any, variance: Any, xp: Any) -> tuple[Any, Any]:
    """d1 and d2; infinite with the right sign where the variance is zero."""
    deviation = xp.sqrt(variance)
    distance = xp.log(forward / level)
    d1 = xp.where(
        deviation > 0.0, distance / deviation + 0.5 * deviation, xp.copysign(xp.inf, distance)
    )
    return d1, d1 - deviation


def vanilla(sign: Any, strike: Any, law: Any, xp: Any, special: Any) -> Any:
    """A call (sign 1) or a put (-1)."""
    return black(sign, law.forward, strike, law.variance, law.discount, xp, special)


def cash(sign: Any, level: Any, law: Any, xp: Any, special: Any) -> Any:
    """1 paid where sign (S_T - level) > 0."""
    return law.discount * special.ndtr(sign * _moneyness(law.forward, level, law.variance, xp)[1])


def asset(sign: Any, level: Any, law: Any, xp: Any, special: Any) -> Any:
    """S_T paid where sign (S_T - level) > 0."""
    return (
        law.discount
        * law.forward
        * special.ndtr(sign * _moneyness(law.forward, level, law.variance, xp)[0])
    )


def within(kind: Callable[..., Any], low: Any, high: Any, law: Any, xp: Any, special: Any) -> Any:
    """`cash` or `asset` paid where low < S_T < high; nothing where the two have crossed."""
    high = xp.maximum(high, low)
    below = low < law.forward  # the difference is taken on the side of the smaller tails
    upper = kind(1.0, low, law, xp, special) - kind(1.0, high, law, xp, special)
    lower = kind(-1.0, high, law, xp, special) - kind(-1.0, low, law, xp, special)
    return xp.where(below, lower, upper)


def vanilla_within(
    sign: Any, strike: Any, low: Any, high: Any, law: Any, xp: Any, special: Any
) -> Any:
    """max(sign (S_T - strike), 0) paid where low < S_T < high."""
    low = xp.where(sign > 0.0, xp.maximum(low, strike), low)
    high = xp.where(sign > 0.0, high, xp.minimum(high, strike))
    return sign * (
        within(asset, low, high, law, xp, special)
        - strike * within(cash, low, high, law, xp, special)
    )


def _points() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on (0, 1) of the tanh-sinh rule (Takahasi and Mori, 1974): exact to
    rounding, layers at the ends included.
    """
    t = np.arange(-3.2, 3.2001, 0.08)
    inner = 0.5 * math.pi * np.sinh(t)
    return 1.0 / (1.0 + np.exp(-2.0 * inner)), 0.08 * 0.5 * math.pi * np.cosh(t) / np.cosh(
        inner
    ) ** 2 * 0.5


POINTS, WEIGHTS = _points()


def expected(
    value: Callable[[Any], Any],
    law: Any,
    xp: Any,
    *,
    splits: tuple[Any, ...] = (),
    low: Any = 0.0,
    high: Any = np.inf,
) -> Any:
    """E[value(S_T)] over low < S_T < high, discounted; `splits` are the prices at which `value`
    has a kink.

    The tanh-sinh rule runs from split to split in the normal variable; its error is about 1e-12 of
    the price. `value` is called for one node at a time, with an array of shape (n,).
    """
    deviation = xp.sqrt(law.variance)
    centre = xp.log(law.forward) - 0.5 * law.variance

    def place(price: Any) -> Any:
        return xp.clip((xp.log(price) - centre) / deviation, -FAR, FAR)

    # 81 points are too few for a whole normal: it is split near its middle, where no other split
    # lies by symmetry
    inside = sorted_by_row(
        [*(place(s) for s in splits), xp.full_like(plain(deviation), MIDDLE)], xp
    )
    ends = [place(low), *[xp.clip(s, place(low), place(high)) for s in inside], place(high)]
    total = 0.0
    for left, right in itertools.pairwise(ends):
        for point, weight in zip(POINTS.tolist(), WEIGHTS.tolist(), strict=True):
            z = left + (right - left) * point
            total = total + weight * (right - left) * xp.exp(-0.5 * z * z) * value(
                xp.exp(centre + deviation * z)
            )
    return law.discount * total / math.sqrt(2.0 * math.pi)


def sorted_by_row(values: list[Any], xp: Any) -> list[Any]:
    """The same arrays with each row in increasing order; a NaN counts as none."""
    if len(values) < 2:
        return [xp.nan_to_num(v) for v in values]
    return list(xp.sort(xp.nan_to_num(xp.stack(xp.broadcast_arrays(*values))), axis=0))


def reach(law: Any, xp: Any) -> tuple[Any, Any]:
    """The lowest and the highest price that matter at the end of a law."""
    wide = (FAR + 1.0) * xp.sqrt(law.variance)
    return law.forward * xp.exp(-wide), law.forward * xp.exp(wide)


def crossing(f: Callable[[Any], Any], low: Any, high: Any, xp: Any) -> Any:
    """Where a monotone function of the price changes sign between `low` and `high`, by bisection
    in its logarithm; shape of the bounds.
    """
    left, right = xp.log(plain(low)), xp.log(plain(high))
    rising = f(plain(high)) > f(plain(low))
    for _ in range(60):
        middle = 0.5 * (left + right)
        beyond = (f(xp.exp(middle)) > 0.0) == rising
        left, right = xp.where(beyond, left, middle), xp.where(beyond, middle, right)
    root = xp.exp(0.5 * (left + right))
    return polished(f, root, 1e-5 * root, xp)


def polished(f: Callable[[Any], Any], root: Any, step: Any, xp: Any) -> Any:
    """A root of f with its derivatives. Two Newton steps change an exact root by rounding alone,
    and give dual numbers the derivatives of an implicit function. The slope of f is a difference
    over `step`.
    """
    slope = plain(f(root + step) - f(root - step)) / (2.0 * step)
    slope = xp.where(slope == 0.0, xp.inf, slope)
    for _ in range(2):
        root = root - f(root) / slope
    return root


def average(
    value: Callable[[Any], Any], low: Any, high: Any, xp: Any, *, splits: tuple[Any, ...] = ()
) -> Any:
    """The mean of `value(x)` over low < x < high; `value` has kinks at `splits`. Where low and high
    are equal, the mean is `value(low)`.
    """
    ends = [low, *[xp.clip(s, low, high) for s in sorted_by_row(list(splits), xp)], high]
    wide = high > low
    total = 0.0
    for left, right in itertools.pairwise(ends):
        for point, weight in zip(POINTS.tolist(), WEIGHTS.tolist(), strict=True):
            total = total + weight * (right - left) * value(left + (right - left) * point)
    return xp.where(wide, total / xp.where(wide, high - low, 1.0), value(low))


def expected_with_extreme(
    value: Callable[[Any, Any], Any], side: Any, seen: Any, law: Any, xp: Any
) -> Any:
    """E[value(S_T, M)] of the price and its highest (side 1.0) or lowest (-1.0) so far, `seen` at
    the start, discounted.

    Given the last price, log(M / S) is the maximum of a Brownian bridge. With probability 1 -
    exp(-2 a b / variance) the bridge stays below a level that is a above one end and b above the
    other. The quantiles of M follow from this probability, and a second integral is the mean over
    them.
    """
    floor = side * xp.log(seen / law.spot)

    def of(spot: Any) -> Any:
        move = side * xp.log(spot / law.spot)
        passed = xp.where(
            (floor > 0.0) & (floor > move),
            xp.exp(-2.0 * floor * (floor - move) / law.variance),
            1.0,
        )  # chance that `seen` is passed
        total = (1.0 - passed) * value(spot, seen)
        for point, weight in zip(POINTS.tolist(), WEIGHTS.tolist(), strict=True):
            highest = 0.5 * (
                move + xp.sqrt(move * move - 2.0 * law.variance * xp.log(point * passed))
            )
            total = total + weight * passed * value(spot, law.spot * xp.exp(side * highest))
        return total

    return expected(of, law, xp, splits=(seen, law.spot))
