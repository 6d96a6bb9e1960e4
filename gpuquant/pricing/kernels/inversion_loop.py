"""The inversion walk: the deviation at which Black's or Bachelier's formula gives a price, one row
per lane, one body for any device.

An option out of the money is worth b(x, s), with x <= 0 its distance from the money and s the
deviation of the price at maturity. Black's formula is taken in units of sqrt(forward strike), with
x = -|log(forward / strike)|; Bachelier's is its limit for small s. With h = x / s, t = s / 2 and
Y(y) = Phi(y) / phi(y), the ratio of the normal distribution and its density,

    b = phi(h) exp(-t^2 / 2) (Y(h + t) - Y(h - t)),    db/ds = phi(h) exp(-t^2 / 2).

A table of Bachelier's inverse, with a correction for t, begins within some 1e-4 of the solution.
Steps of fourth order on log b finish: one or two, for most rows. A row that has arrived waits for
the others of its block, and does not move any more.

`pricing.inversion` has the table, and the constants that are not defined here.

References
----------
Jaeckel (2017), "Let's be rational", for the normalised formula and steps of this order on log b;
Householder (1970), chapter 4.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, name-defined"
# ruff: noqa: F821

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gpuquant.compiler import kernel as compiler
from gpuquant.compiler.kernel import Source

FIELDS = ("price", "option_type", "spot", "strike", "maturity", "rate", "dividend_yield", "shift")


def walk(unit, lane0, fields, table, out):
    """Volatilities of a block of rows into `out[0]`, and into `out[1]` why there is none."""
    first = unit * WIDTH + lane0
    row = array((6, LANES), f64)
    for lane in lanes():
        x, value, grain, why = quote(load_row(fields, 0, first + lane))
        level = log64(value)
        place = smaller(larger((level - log64(larger(-x, NEAREST)) - FIRST) / STEP, 0.0), LAST)
        k = i64(place)
        low, high, third = table[0, k], table[0, k + 1], table[1, k]
        row[0, lane] = x
        row[1, lane] = level
        row[2, lane] = start(x, value, low, low - high, third, place - f64(k))
        row[3, lane] = 1.0  # has still to move
        row[4, lane] = grain
        row[5, lane] = why
    left, turn = 1, 0
    while left > 0 and turn < STEPS:
        left = 0
        for lane in lanes():
            s, moves = row[2, lane], row[3, lane] > 0.0
            level, one, two, three = formula(row[0, lane], s)
            following, arrived = follow(s, level - row[1, lane], one, two, three)
            row[2, lane] = following if moves else s
            row[3, lane] = 1.0 if moves and not arrived else 0.0
            left += 1 if moves and not arrived else 0
        turn += 1
    for lane in lanes():
        at = first + lane
        x, s, grain, why = row[0, lane], row[2, lane], row[4, lane], row[5, lane]
        known = row[3, lane] == 0.0 and ROUNDING * grain <= LOST * s * slope(x, s)
        why = why if why > FINE or known else NONE
        out[0, at] = (
            s / sqrt(fields[YEARS, at]) if why == FINE else from_bits64(u64(0x7FF8000000000000))
        )
        out[1, at] = why


def black_quote(r):
    """A row as an option out of the money: its distance from the money, its price, and what
    rounding moves that by, in units of forward and strike; and why it has no volatility.
    """
    price, sign, spot, strike, years, rate, dividend, shift = r
    forward, level = spot * exp64((rate - dividend) * years) + shift, strike + shift
    worth = price * exp64(rate * years)
    intrinsic = larger(sign * (forward - level), 0.0)
    value, unit = worth - intrinsic, sqrt(forward * level)  # by parity
    x, most = -abs(log64(forward / level)), smaller(forward, level)
    fine = value / unit > LEAST and value < most and -x <= LARGEST
    grain = 4.0 * (abs(forward) + abs(level)) if intrinsic > 0.0 else worth
    why = LOW if value < 0.0 else (HIGH if value >= most else NONE)
    why = (FINE if fine else why) if forward > 0.0 and level > 0.0 else SHIFTED
    fine = why == FINE
    return x if fine else -0.1, value / unit if fine else 0.01, grain / unit, why


def bachelier_quote(r):
    """The same under Bachelier, in currency units."""
    price, sign, spot, strike, years, rate, dividend, shift = r
    forward, level = spot * exp64((rate - dividend) * years) + shift, strike + shift
    worth = price * exp64(rate * years)
    intrinsic = larger(sign * (forward - level), 0.0)
    value, x = worth - intrinsic, -abs(forward - level)
    fine = value > LEAST and value <= LARGEST and -x <= LARGEST
    grain = 4.0 * (abs(forward) + abs(level)) if intrinsic > 0.0 else worth
    why = FINE if fine else (LOW if value < 0.0 else NONE)
    return x if fine else -0.1, value if fine else 0.01, grain, why


def bachelier_start(x, value, distance, fall, third, share):
    """The deviation to begin with: that of the table, `share` of the way from a point of this log
    distance to the next, where it is less by `fall`.
    """
    s = larger(-x, NEAREST) * exp64(share * fall - distance)
    return DENSITY * value if -x < MONEY * value else s


def black_start(x, value, distance, fall, third, share):
    """The same under Black; `third` is Y3 / (6 Y1) of the table, of derivatives."""
    s = larger(-x, NEAREST) * exp64(share * fall - distance)
    square = 0.25 * smaller(s * s, 4.0)
    s *= exp64(fall / STEP * (0.5 * square - log64(1.0 + square * third)))
    most = exp64(0.5 * x)
    left = larger((most - value) / (most + 1.0 / most), NEAREST)
    wide = larger(-2.0 * norm_inv64(left), 1.0 if s > WIDE else NEAREST)
    return wide if s > WIDE or -x < MONEY * value else s


def black(x, s):
    """log b, and of b: its slope over itself, its second derivative over the slope, and the
    derivative of that ratio.
    """
    h, t = x / s, 0.5 * s
    small = t < SMALL
    upper = ratio(h if small else h + t)
    width = series(h, t, upper) if small else upper - ratio(h - t)
    square = h * h
    level = log64(width / DENSITY) - 0.5 * (square + t * t)
    return level, 1.0 / width, square / s - 0.25 * s, -3.0 * square / (s * s) - 0.25


def bachelier(x, s):
    """The parts of `black`, of Bachelier's formula."""
    h = x / s
    width = s * (1.0 + h * ratio(h))
    square = h * h
    level = log64(width / DENSITY) - 0.5 * square
    return level, 1.0 / width, square / s, -3.0 * square / (s * s)


def black_slope(x, s):
    """db/ds."""
    return exp64(-0.5 * ((x / s) * (x / s) + 0.25 * s * s)) / DENSITY


def bachelier_slope(x, s):
    """The same of Bachelier's formula."""
    return exp64(-0.5 * (x / s) * (x / s)) / DENSITY


def ratio(y):
    """Y(y)."""
    far = tail64(smaller(abs(y), 39.0))
    return DENSITY * (exp64(0.5 * y * y) - far if y > 0.0 else far)


def series(h, t, zero):
    """Y(h + t) - Y(h - t) by odd derivatives of Y, from Y' = 1 + h Y; `zero` is Y(h)."""
    first = 1.0 + h * zero
    second = h * first + zero
    third = h * second + 2.0 * first
    fourth = h * third + 3.0 * second
    fifth = h * fourth + 4.0 * third
    sixth = h * fifth + 5.0 * fourth
    seventh = h * sixth + 6.0 * fifth
    q = t * t
    return 2.0 * t * (first + q / 6.0 * (third + q / 20.0 * (fifth + q / 42.0 * seventh)))


def follow(s, miss, one, two, three):
    """The deviation after a step of fourth order to where log b has no `miss`, and whether it is
    there.
    """
    second = two - one  # the second derivative of log b over the first, and the third over it
    third = second * second - one * second + three
    newton = -miss / one
    step = newton * (1.0 + 0.5 * second * newton) / (1.0 + newton * (second + third * newton / 6.0))
    far = 2.0 * s if step > 0.0 else 0.5 * s
    inside = s + step > 0.25 * s and s + step < 4.0 * s  # NaN is not
    return s + step if inside else far, inside and abs(step) <= ENOUGH * s


Functions = dict[str, Callable[..., Any]]
MODELS: dict[str, Functions] = {
    "black": {
        "quote": black_quote,
        "start": black_start,
        "formula": black,
        "slope": black_slope,
    },
    "bachelier": {
        "quote": bachelier_quote,
        "start": bachelier_start,
        "formula": bachelier,
        "slope": bachelier_slope,
    },
}
SHARED: Functions = {"ratio": ratio, "series": series, "follow": follow}


def source(model: str, constants: Mapping[str, Any], target: str) -> str | Source:
    """The source of the kernel under one of `MODELS`."""
    made = compiler.source(
        walk,
        [],
        target=target,
        precision="double",
        constants={**constants, "YEARS": FIELDS.index("maturity")},
        extra=compiler.accessors("row", len(FIELDS)),
        helpers={**MODELS[model], **SHARED},
    )
    return made if target == "python" else made.text()
