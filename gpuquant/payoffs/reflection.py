"""Closed forms of barriers and extremes of a lognormal price, by reflections of Brownian motion.

`law`, `xp` and `special` are those of `lognormal.py`. `side` is 1.0 where the level lies above the
price and -1.0 where it lies below.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gpuquant.payoffs.lognormal import asset, black, cash, within

# Images of two barriers. They are enough where the barriers are at least 0.4 standard deviations
# apart; closer barriers leave a survival probability of almost zero.
IMAGES = 12
NEAR = 0.5  # below which a series and Gauss's rule are exact to rounding
TERMS = 14  # of the series
_nodes, _weights = np.polynomial.legendre.leggauss(6)
GAUSS = list(zip((0.5 + 0.5 * _nodes).tolist(), (0.5 * _weights).tolist(), strict=True))


def exponent(law: Any, xp: Any) -> Any:
    """2 (carry - variance/2) / variance of the log price: the power of a reflection."""
    safe = xp.where(law.variance > 0.0, law.variance, 1.0)
    return 2.0 * xp.log(law.forward / law.spot) / safe - 1.0


def reflected(value: Callable[[Any], Any], level: Any, law: Any, xp: Any) -> Any:
    """A claim `value(law)` that pays on the live side of `level` alone, if the price never touches
    the level.

    V(S) - (H/S)^e V(H^2/S) with `exponent` e. The caller handles a spot beyond the level and a
    variance of zero.
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


def knock_out(
    value: Callable[[Any, Any, Any], Any], side: Any, level: Any, law: Any, xp: Any
) -> Any:
    """A claim on S_T if the price never touches `level`, which lies above the price (side 1.0) or
    below it (-1.0). The claim is worth 0 if the spot is already beyond the level.

    `value(law, low, high)` is the claim paid where low < S_T < high. Without variance the price
    moves along its forwards.
    """
    low, high = xp.where(side > 0.0, 0.0, level), xp.where(side > 0.0, level, xp.inf)
    beyond = side * (law.spot - level) >= 0.0
    touched = beyond | ((law.variance <= 0.0) & (side * (law.forward - level) >= 0.0))
    moving = reflected(lambda at: value(at, low, high), level, law, xp)
    return xp.where(touched, 0.0, xp.where(law.variance > 0.0, moving, value(law, low, high)))


def untouched(side: Any, level: Any, law: Any, xp: Any, special: Any) -> tuple[Any, Any]:
    """A unit of cash, and the asset, paid at the end if the price never touches `level`."""

    def paid(kind: Callable[..., Any]) -> Any:
        return knock_out(
            lambda at, low, high: within(kind, low, high, at, xp, special), side, level, law, xp
        )

    return paid(cash), paid(asset)


def double_knock_out(value: Callable[[Any], Any], low: Any, high: Any, law: Any, xp: Any) -> Any:
    """A claim `value(law)`, paid between the levels alone, if the price touches neither; nothing
    if it stands beyond one already.
    """
    beyond = (law.spot <= low) | (law.spot >= high)
    touched = beyond | ((law.variance <= 0.0) & ((law.forward <= low) | (law.forward >= high)))
    # a negative sum of images is a rounding error of an almost zero value
    moving = xp.maximum(reflected_twice(value, low, high, law, xp), 0.0)
    return xp.where(touched, 0.0, xp.where(law.variance > 0.0, moving, value(law)))


def touch_first(side: Any, low: Any, high: Any, law: Any, xp: Any, special: Any) -> Any:
    """1 paid when the price touches `high` before `low` (side 1.0), or `low` before `high` (-1.0);
    paid today if the spot is already beyond that level.

    The price is that of the first passage of a Brownian motion to one level, less its images in the
    other level. Each term is discounted.
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
    """1 paid when the price first touches `level`, above it (side 1.0) or below; paid today if the
    spot is already beyond the level.

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

    Conze and Viswanathan (1991). Their two last terms, over the carry, cancel as it vanishes.
    There, with x = log(S / level), v the variance and p = 2 carry / v,

        (exp(p v/2) N(d) - exp(-p x) N(d - p sqrt(v))) / p
            = N(d) (v/2 E(p v/2) + x E(-p x)) + exp(-p x) sqrt(v) m,    E(y) = (exp(y) - 1) / y,

    m the mean normal density between d - p sqrt(v) and d, loses no digits. It does where p is
    large, and the first form does not.
    """
    carry, distance = xp.log(law.forward / law.spot), xp.log(law.spot / level)
    deviation, half = xp.sqrt(law.variance), 0.5 * law.variance
    power = 2.0 * carry / law.variance
    d = (carry + distance) / deviation + 0.5 * deviation
    above = special.ndtr(side * d)
    near = xp.abs(power * deviation) < NEAR
    small, large = xp.where(near, power, 0.0), xp.where(near, 1.0, power)
    grown = half * growth(small * half, xp) + distance * growth(-small * distance, xp)
    density = mean_density(d, small * deviation, xp)
    together = above * grown + side * xp.exp(-small * distance) * deviation * density
    image = xp.exp(-large * distance) * special.ndtr(side * (d - large * deviation))
    extra = xp.where(near, together, (xp.exp(large * half) * above - image) / large)
    option = black(side, law.forward, level, law.variance, law.discount, xp, special)
    return option + side * law.spot * law.discount * extra


def growth(y: Any, xp: Any) -> Any:
    """(exp(y) - 1) / y, 1 at zero; by its series near zero, so that derivatives are right, too."""
    near = xp.abs(y) < NEAR
    small, large = xp.where(near, y, 0.0), xp.where(near, 1.0, y)
    series: Any = 1.0
    for k in range(TERMS, 1, -1):
        series = 1.0 + small * series / k
    return xp.where(near, series, xp.expm1(large) / large)


def mean_density(d: Any, width: Any, xp: Any) -> Any:
    """The mean of the normal density between d - width and d, by Gauss's rule, for a width below
    `NEAR`.
    """
    total: Any = 0.0
    for node, weight in GAUSS:
        place = d - node * width
        total = total + weight * xp.exp(-0.5 * place * place)
    return total / math.sqrt(2.0 * math.pi)


def running(side: Any, seen: Any, law: Any, xp: Any) -> Any:
    """The highest (side 1.0) or lowest (-1.0) price so far: what was seen, where it is known,
    and today's.
    """
    known = xp.where(xp.isnan(seen), law.spot, seen)
    return xp.where(side > 0.0, xp.maximum(known, law.spot), xp.minimum(known, law.spot))
