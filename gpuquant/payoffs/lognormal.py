"""Closed forms of a lognormal price: what is paid between two levels, what a barrier spares, what
is expected at a later date.

Every formula of the payoffs is made of these. `law` is the `Lognormal` of a model, `xp` numpy or
cupy, `special` its special functions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

# of two barriers: enough until they are 0.4 standard deviations apart, and then next to nothing
# survives
IMAGES = 12
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


def exponent(law: Any, xp: Any) -> Any:
    """2 (carry - variance/2) / variance of the log price: the power of a reflection."""
    safe = xp.where(law.variance > 0.0, law.variance, 1.0)
    return 2.0 * xp.log(law.forward / law.spot) / safe - 1.0


def reflected(value: Callable[[Any], Any], level: Any, law: Any, xp: Any) -> Any:
    """A claim `value(law)`, paid on the living side of `level` alone, if the price never touches
    the level.

    V(S) - (H/S)^e V(H^2/S) with `exponent` e; the caller sees to a spot beyond the level and to
    zero variance.
    """
    weight = xp.exp(xp.log(level / law.spot) * exponent(law, xp))
    return value(law) - weight * value(law.at(level * level / law.spot))


def reflected_twice(value: Callable[[Any], Any], low: Any, high: Any, law: Any, xp: Any) -> Any:
    """A claim `value(law)`, paid between the levels alone, if the price never touches either: the
    images of both.

    The sum over n of (H/L)^(n e) V(S (H/L)^(2n)) - (L^(n+1) / (S H^n))^e V(L^(2n+2) / (S H^(2n)));
    Kunitomo and Ikeda (1992).
    """
    e = exponent(law, xp)
    ratio = xp.log(high / low)
    place = xp.log(law.spot / low)
    total = 0.0
    for n in range(-IMAGES, IMAGES + 1):
        total = total + xp.exp(e * n * ratio) * value(law.at(law.spot * xp.exp(2.0 * n * ratio)))
        back = -2.0 * place - 2.0 * n * ratio
        total = total - xp.exp(0.5 * e * back) * value(law.at(law.spot * xp.exp(back)))
    return total


def spared(value: Callable[[Any, Any, Any], Any], side: Any, level: Any, law: Any, xp: Any) -> Any:
    """A claim of S_T if the price never touches `level`, which lies above it (side 1.0) or below;
    nothing if it stands beyond already.

    `value(law, low, high)` is the claim paid where low < S_T < high. Without variance the price
    moves along its forwards.
    """
    low, high = xp.where(side > 0.0, 0.0, level), xp.where(side > 0.0, level, xp.inf)
    beyond = side * (law.spot - level) >= 0.0
    touched = beyond | ((law.variance <= 0.0) & (side * (law.forward - level) >= 0.0))
    moving = reflected(lambda at: value(at, low, high), level, law, xp)
    return xp.where(touched, 0.0, xp.where(law.variance > 0.0, moving, value(law, low, high)))


def spared_twice(value: Callable[[Any], Any], low: Any, high: Any, law: Any, xp: Any) -> Any:
    """A claim `value(law)`, paid between the levels alone, if the price touches neither; nothing
    if it stands beyond one already.
    """
    beyond = (law.spot <= low) | (law.spot >= high)
    touched = beyond | ((law.variance <= 0.0) & ((law.forward <= low) | (law.forward >= high)))
    moving = xp.maximum(
        reflected_twice(value, low, high, law, xp), 0.0
    )  # what is left of hardly anything is rounding
    return xp.where(touched, 0.0, xp.where(law.variance > 0.0, moving, value(law)))


def touch_first(side: Any, low: Any, high: Any, law: Any, xp: Any, special: Any) -> Any:
    """1 paid when the price touches `high` before `low` (side 1.0), or `low` before `high` (-1.0);
    now, if it stands beyond already.

    The first passage of a Brownian motion to one end, less its images in the other, discounted
    inside each.
    """
    deviation = xp.sqrt(law.variance)
    half = 0.5 * exponent(law, xp)
    rate = xp.sqrt(half * half - 2.0 * xp.log(law.discount) / law.variance) * deviation
    width = xp.log(high / low)
    distance = xp.where(side > 0.0, xp.log(high / law.spot), xp.log(law.spot / low))
    total = 0.0
    for n in range(-IMAGES, IMAGES + 1):
        far = (distance + 2.0 * n * width) / deviation
        away = xp.abs(far)
        total = total + xp.sign(far) * (
            xp.exp(-rate * away) * special.ndtr(rate - away)
            + xp.exp(rate * away) * special.ndtr(-rate - away)
        )
    moving = xp.exp(half * side * distance) * total
    beyond = xp.where(side > 0.0, law.spot >= high, law.spot <= low)
    lost = xp.where(side > 0.0, law.spot <= low, law.spot >= high)
    return xp.where(beyond, 1.0, xp.where(lost, 0.0, xp.maximum(moving, 0.0)))


def touch(side: Any, level: Any, law: Any, xp: Any, special: Any) -> Any:
    """1 paid when the price first touches `level`, above it (side 1.0) or below; now, if it stands
    beyond already.

    (H/S)^(m+l) N(-side z) + (H/S)^(m-l) N(-side (z - 2 l s)), s the standard deviation, z =
    log(H/S)/s + l s, m = e/2, l^2 = m^2 + 2 r T / s^2; Reiner and Rubinstein (1991).
    """
    deviation = xp.sqrt(law.variance)
    safe = xp.where(deviation > 0.0, deviation, 1.0)
    distance = xp.log(level / law.spot)
    power = 0.5 * exponent(law, xp)
    root = xp.sqrt(power * power - 2.0 * xp.log(law.discount) / (safe * safe))
    z = distance / safe + root * safe
    moving = xp.exp(distance * (power + root)) * special.ndtr(-side * z) + xp.exp(
        distance * (power - root)
    ) * special.ndtr(-side * (z - 2.0 * root * safe))
    when = (
        distance * law.length / xp.log(law.forward / law.spot)
    )  # without variance: when the forwards reach it
    still = xp.where(
        side * (law.forward - level) >= 0.0,
        law.discount_factor(law.start + when) / law.discount_factor(law.start),
        0.0,
    )
    return xp.where(side * (law.spot - level) >= 0.0, 1.0, xp.where(deviation > 0.0, moving, still))


def extreme(side: Any, level: Any, law: Any, xp: Any, special: Any) -> Any:
    """max(M - level, 0) of the highest price M (side 1.0), or max(level - m, 0) of the lowest
    (-1.0), for a level the price has not passed.

    Conze and Viswanathan (1991). Its two last terms cancel as the carry vanishes: there it is drawn
    between two small carries.
    """
    carry = xp.log(law.forward / law.spot)
    least = 1e-4 * law.variance

    def at(carry: Any) -> Any:
        forward = law.spot * xp.exp(carry)
        deviation = xp.sqrt(law.variance)
        d1 = (carry - xp.log(level / law.spot)) / deviation + 0.5 * deviation
        power = 2.0 * carry / law.variance
        image = xp.exp(-power * xp.log(law.spot / level)) * special.ndtr(
            side * (d1 - 2.0 * carry / deviation)
        )
        extra = law.spot * law.discount * (xp.exp(carry) * special.ndtr(side * d1) - image) / power
        return black(side, forward, level, law.variance, law.discount, xp, special) + side * extra

    share = 0.5 * (1.0 + carry / least)
    small = xp.abs(carry) < least
    return xp.where(
        small, (1.0 - share) * at(-least) + share * at(least), at(xp.where(small, least, carry))
    )


def running(side: Any, seen: Any, law: Any, xp: Any) -> Any:
    """The highest (side 1.0) or lowest (-1.0) price so far: what was seen, where it is known,
    and today's.
    """
    known = xp.where(xp.isnan(seen), law.spot, seen)
    return xp.where(side > 0.0, xp.maximum(known, law.spot), xp.minimum(known, law.spot))


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
    bends.

    Tanh-sinh from split to split in the normal variable: about 1e-12 of the price. `value` sees
    arrays of shape (n,) node by node.
    """
    deviation = xp.sqrt(law.variance)
    centre = xp.log(law.forward) - 0.5 * law.variance

    def place(price: Any) -> Any:
        return xp.clip((xp.log(price) - centre) / deviation, -FAR, FAR)

    inside = sorted_by_row(
        [*(place(s) for s in splits), xp.zeros_like(deviation)], xp
    )  # 81 points are too few for a whole normal
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
    left, right = xp.log(low), xp.log(high)
    rising = f(high) > f(low)
    for _ in range(60):
        middle = 0.5 * (left + right)
        beyond = (f(xp.exp(middle)) > 0.0) == rising
        left, right = xp.where(beyond, left, middle), xp.where(beyond, middle, right)
    return xp.exp(0.5 * (left + right))


def average(
    value: Callable[[Any], Any], low: Any, high: Any, xp: Any, *, splits: tuple[Any, ...] = ()
) -> Any:
    """The mean of `value(x)` over low < x < high, which bends at `splits`; its value where the
    two ends meet.
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

    Given the price, log M / S is that of a bridge: with probability 1 - exp(-2 a b / variance) it
    has not passed a level a above the one end and b above the other; its other quantiles follow,
    and the mean over them is a second integral.
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
