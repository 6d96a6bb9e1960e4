"""The deviation at which Black's or Bachelier's formula gives a price.

An option out of the money is worth b(x, s), with x <= 0 its distance from the money and s the
deviation of the price at maturity. Black's formula is taken in units of sqrt(forward strike), with
x = -|log(forward / strike)|; Bachelier's is its limit for small s. With h = x / s, t = s / 2 and
Y(y) = Phi(y) / phi(y), the ratio of the normal distribution and its density,

    b = phi(h) exp(-t^2 / 2) (Y(h + t) - Y(h - t)),    db/ds = phi(h) exp(-t^2 / 2).

A table of Bachelier's inverse, with a correction for t, begins within some 1e-4 of the solution.
Steps of fourth order on log b finish: one or two, for most rows.

References
----------
Jaeckel (2017), "Let's be rational", for the normalised formula and steps of this order on log b;
Householder (1970), chapter 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

ROOT = math.sqrt(2.0)
DENSITY = math.sqrt(2.0 * math.pi)  # one over the normal density at zero
HALF = math.sqrt(0.5 * math.pi)  # Y(0)
SMALL = 0.05  # t below which Y(h + t) - Y(h - t) is a series: the difference would cancel
WIDE = 1.6  # a deviation from which the start is that of an option at the money
FAR = 38.5  # deviations out of the money at which a price of 64 bits is zero
INTERVALS = 1 << 14  # of the table
ENOUGH = 3e-4  # a relative step after which the error is below 1e-13: a step is of fourth order
STEPS = 40

Parts = tuple[Any, Any, Any, Any]
Formula = Callable[[Any, Any, Any, Any], Parts]
NEAR = 1e-300


def black(x: Any, s: Any, xp: Any, special: Any) -> Parts:
    """log b, and of b: its slope over itself, its second derivative over the slope, and the
    derivative of that ratio.
    """
    h, t = x / s, 0.5 * s
    width = HALF * (special.erfcx((-h - t) / ROOT) - special.erfcx((t - h) / ROOT))
    small = t < SMALL
    if bool(small.any()):
        width[small] = _series(h[small], t[small], special)
    square = h * h
    level = xp.log(width / DENSITY) - 0.5 * (square + t * t)
    return level, 1.0 / width, square / s - 0.25 * s, -3.0 * square / (s * s) - 0.25


def _series(h: Any, t: Any, special: Any) -> Any:
    """Y(h + t) - Y(h - t) by odd derivatives of Y, from Y' = 1 + h Y."""
    now, last = HALF * special.erfcx(-h / ROOT), 1.0
    odd = []
    for order in range(1, 8):
        now, last = h * now + (last if order == 1 else (order - 1) * last), now
        odd += [now] if order % 2 else []
    q = t * t
    return 2.0 * t * (odd[0] + q / 6.0 * (odd[1] + q / 20.0 * (odd[2] + q / 42.0 * odd[3])))


def bachelier(x: Any, s: Any, xp: Any, special: Any) -> Parts:
    """The parts of `black`, of Bachelier's formula."""
    h = x / s
    width = s * (1.0 + h * HALF * special.erfcx(-h / ROOT))
    square = h * h
    return (
        xp.log(width / DENSITY) - 0.5 * square,
        1.0 / width,
        square / s,
        -3.0 * square / (s * s),
    )


@cache
def _table() -> tuple[float, float, np.ndarray, np.ndarray]:
    """Of log(b / |x|) under Bachelier on an even grid: its first value, its step, and there
    log(|x| / s) and Y'''(h) / (6 Y'(h)).
    """
    import scipy.special as special

    distance = np.exp(np.linspace(math.log(FAR), math.log(1e-9), 8 * INTERVALS))
    level = bachelier(-np.ones_like(distance), 1.0 / distance, np, special)[0]
    even = np.linspace(level[0], level[-1], INTERVALS + 1)
    found = np.interp(even, level, np.log(distance))
    h = -np.exp(found)
    zero = HALF * special.erfcx(-h / ROOT)
    first = 1.0 + h * zero
    third = h * (h * first + zero) + 2.0 * first
    return float(even[0]), float(even[1] - even[0]), found, third / (6.0 * first)


def _nearest(x: Any, level: Any, xp: Any) -> tuple[Any, Any, Any]:
    """The deviation at which Bachelier's log price is `level`; how much its logarithm moves with
    the level, and Y3 / (6 Y1) there, of derivatives.
    """
    first, step, *columns = _table()
    away = xp.maximum(-x, NEAR)
    at = xp.clip((level - xp.log(away) - first) / step, 0.0, INTERVALS - 1e-6)
    whole = at.astype(np.int64)
    distances, thirds = map(xp.asarray, columns)
    distance = distances[whole]
    slope = distance - distances[whole + 1]
    return away * xp.exp((at - whole) * slope - distance), slope / step, thirds[whole]


def _start_of_bachelier(x: Any, value: Any, level: Any, xp: Any, special: Any) -> Any:
    near = -x < 1e-7 * value
    return xp.where(near, DENSITY * value, _nearest(x, level, xp)[0])


def _start_of_black(x: Any, value: Any, level: Any, xp: Any, special: Any) -> Any:
    s, slope, third = _nearest(x, level, xp)
    square = 0.25 * xp.minimum(s * s, 4.0)
    s *= xp.exp(slope * (0.5 * square - xp.log1p(square * third)))
    wide = (s > WIDE) | (-x < 1e-7 * value)
    if not bool(wide.any()):
        return s
    most = xp.exp(0.5 * x[wide])
    left = xp.maximum((most - value[wide]) / (most + 1.0 / most), NEAR)
    s[wide] = xp.maximum(-2.0 * special.ndtri(left), xp.where(s[wide] > WIDE, 1.0, NEAR))
    return s


STARTS: dict[Formula, Callable[..., Any]] = {black: _start_of_black, bachelier: _start_of_bachelier}


def deviations(x: Any, value: Any, xp: Any, special: Any, formula: Formula = black) -> Any:
    """The deviations at which a formula gives the values of options out of the money.

    Parameters
    ----------
    x : array, shape (n,)
        <= 0; see above.
    value : array, shape (n,)
        > 0, and under Black below exp(x / 2).
    formula : callable
        `black` or `bachelier`.

    Returns
    -------
    array, shape (n,)
        Within a relative 1e-13, where rounding of `value` does not move it by more; NaN where the
        steps found none.
    """
    level = xp.log(value)
    s = STARTS[formula](x, value, level, xp, special)
    left = np.arange(len(x), like=x)
    for _ in range(STEPS):
        some = s[left]
        reached, one, two, three = formula(x[left], some, xp, special)
        step = _householder(reached - level[left], one, two, three)
        following = some + step
        inside = (following > 0.25 * some) & (following < 4.0 * some)  # NaN is not
        following = xp.where(inside, following, xp.where(step > 0.0, 2.0 * some, 0.5 * some))
        s[left] = following
        left = left[~inside | (xp.abs(step) > ENOUGH * some)]
        if not len(left):
            return s
    s[left] = xp.nan
    return s


def _householder(miss: Any, one: Any, two: Any, three: Any) -> Any:
    """The step of fourth order to where log b has no `miss`."""
    second = two - one  # the second derivative of log b over the first, and the third over it
    third = second * second - one * second + three
    newton = -miss / one
    return newton * (1.0 + 0.5 * second * newton) / (1.0 + newton * (second + third * newton / 6.0))
