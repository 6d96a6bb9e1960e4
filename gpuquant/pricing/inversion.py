"""The table and the constants with which prices become deviations: `kernels.inversion_loop` says
how.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from gpuquant.compiler.kernel import Source
from gpuquant.pricing.kernels import formula_loop, inversion_loop

FAR = 38.5  # deviations out of the money at which a price of 64 bits is zero
CLOSE = 1e-9  # deviations out of the money: the table ends there
INTERVALS = 1 << 14  # of the table
FINE, LOW, HIGH, NONE, SHIFTED = map(float, range(5))  # why a row has no volatility
CONSTANTS = {
    "DENSITY": math.sqrt(2.0 * math.pi),  # one over the normal density at zero
    # s / 2 below which Y(h + t) - Y(h - t) is a series: the difference would cancel
    "SMALL": 0.05,
    "WIDE": 1.6,  # a deviation from which the start is that of an option at the money
    # a relative step after which the error is below 1e-13: a step is of fourth order
    "ENOUGH": 3e-4,
    "STEPS": 40,
    "NEAREST": 1e-300,
    "LARGEST": sys.float_info.max,
    "MONEY": 1e-7,  # of the price: a distance from the money that hardly counts
    "LAST": INTERVALS - 1e-6,
    "ROUNDING": 2.0**-52,
    # of a price, in units of forward and strike: smaller ones have lost their digits
    "LEAST": 1e-300,
    "LOST": 0.01,  # of a volatility, which rounding of the price may move it by
    "FINE": FINE,
    "LOW": LOW,
    "HIGH": HIGH,
    "NONE": NONE,
    "SHIFTED": SHIFTED,
}


@cache
def _table() -> tuple[float, float, np.ndarray]:
    """Of log(b / |x|) under Bachelier on an even grid: its first value, its step, and there, shape
    (2, points), log(|x| / s) and Y'''(h) / (6 Y'(h)).
    """
    from scipy.special import erfcx

    def ratio(h: np.ndarray) -> np.ndarray:
        return np.asarray(math.sqrt(0.5 * math.pi) * erfcx(-h / math.sqrt(2.0)))

    distance = np.exp(np.linspace(math.log(FAR), math.log(CLOSE), 8 * INTERVALS))
    width = (1.0 - distance * ratio(-distance)) / distance
    level = np.log(width / math.sqrt(2.0 * math.pi)) - 0.5 * distance**2
    even = np.linspace(level[0], level[-1], INTERVALS + 1)
    found = np.interp(even, level, np.log(distance))
    h = -np.exp(found)
    first = 1.0 + h * ratio(h)
    third = h * (h * first + ratio(h)) + 2.0 * first
    return float(even[0]), float(even[1] - even[0]), np.stack([found, third / (6.0 * first)])


@cache
def _kernel(model: str) -> Callable[[str], str | Source]:
    first, step, _ = _table()
    constants = {**CONSTANTS, "FIRST": first, "STEP": step}
    return cache(lambda target: inversion_loop.source(model, constants, target))


def volatilities(columns: dict[str, Any], model: str, n: int, device: Any) -> tuple[Any, Any]:
    """The volatilities of `n` rows under black or bachelier, and the codes of why there is none,
    each of shape (n,).

    `columns`, of length 1 or n, are those of `inversion_loop.FIELDS`. A volatility is within a
    relative 1e-13, where rounding of the price does not move it by more; NaN where there is none.
    """
    table = device.put(_table()[2], "inversion")
    given = [columns[name] for name in inversion_loop.FIELDS]
    found = formula_loop.results(_kernel(model), given, 2, n, device, table)
    return found[0], found[1]
