"""How a payoff watches a level: at a date, and between two steps by the bridge that joins them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

KINDS = ("down-and-out", "down-and-in", "up-and-out", "up-and-in")


def alive_side(kind: Any) -> Any:
    """1.0 for a kind whose barrier lies above the price while the option is alive, else -1.0."""
    return 1.0 if kind >= 2.0 else -1.0


def alive_sides(kind: Any, xp: Any) -> Any:
    """`alive_side` of an array."""
    return xp.where(kind >= 2.0, 1.0, -1.0)


def already_hit(touched: np.ndarray) -> np.ndarray | None:
    """The warning for rows whose barrier is touched today."""
    return np.where(touched, "the barrier is touched already", "") if np.any(touched) else None


def survival_at(side: Any, barrier: Any, log_spot: Any) -> Any:
    """1.0 while the price has not reached `barrier`, which lies above the price (side 1.0) or below
    it (-1.0); else 0.0.
    """
    return 1.0 if side * (math.log(barrier) - log_spot) > 0.0 else 0.0


def variance_towards(level: Any, log0: Any, log1: Any, bridge: Any) -> Any:
    """The variance with which the log price goes from the middle of its ends to `level`.

    `bridge` is (start, end, skew): the variance that the log price would have over the step with
    the variance rate of its start and of its end, and the change of that variance per unit of log
    price. Between the ends the path is taken as Brownian with the variance rate v + skew (x - m) at
    the log price x, where m is the middle of the ends and sqrt(v) the mean of the volatilities. In
    the coordinate y = integral of dx / sqrt(v + skew (x - m)) the variance is constant, and the
    distance of the level is 2 (level - m) / (sqrt(v) + sqrt(v + skew (level - m))).
    """
    start, end, skew = bridge[0], bridge[1], bridge[2]
    deviation = 0.5 * (math.sqrt(start) + math.sqrt(end))
    variance = deviation * deviation
    there = 1.0 + skew * (level - 0.5 * (log0 + log1)) / max(variance, 1e-30)
    mean = 0.5 + 0.5 * math.sqrt(max(there, 0.0))
    return variance if skew == 0.0 else variance * mean * mean


def bridge_survival_probability(side: Any, barrier: Any, log0: Any, log1: Any, bridge: Any) -> Any:
    """Probability that a bridge between two log prices stays short of `barrier` (Glasserman, 2003,
    section 6.4).
    """
    level = math.log(barrier)
    before = max(side * (level - log0), 0.0)
    after = max(side * (level - log1), 0.0)
    variance = max(variance_towards(level, log0, log1, bridge), 1e-30)
    return 1.0 - math.exp(-2.0 * before * after / variance)


def spared_by_both(lower: Any, upper: Any, log0: Any, log1: Any, bridge: Any) -> Any:
    """Probability that a bridge stays between two levels: the nearest images (Kunitomo and Ikeda,
    1992).

    The formula is 1 - A - B + C + D. A is a reflection in the upper level, B one in the lower, C
    and D are reflections in both. The other images are below 1e-12 while the levels are four
    standard deviations of a step apart.
    """
    low, high = math.log(lower), math.log(upper)
    width = high - low
    before = log0 - low
    after = log1 - low
    up = max(variance_towards(high, log0, log1, bridge), 1e-30)
    down = max(variance_towards(low, log0, log1, bridge), 1e-30)
    scale = 4.0 / (up + down)
    above = math.exp(-2.0 / up * (width - before) * (width - after))
    below = math.exp(-2.0 / down * before * after)
    round_up = math.exp(-scale * width * (width + after - before))
    round_down = math.exp(-scale * width * (width + before - after))
    inside = (before > 0.0) and (after > 0.0) and (before < width) and (after < width)
    return max(1.0 - above - below + round_up + round_down, 0.0) if inside else 0.0


def highest_between(side: Any, log0: Any, log1: Any, bridge: Any, w: Any) -> Any:
    """The highest (side 1.0) or lowest (-1.0) log price of a bridge, from a uniform (Glasserman,
    2003, section 6.4). The variance depends on the level where the path turns, so the level is
    found twice: first from the variance at the middle.
    """
    middle = 0.5 * (log0 + log1)
    first = turning_point(side, log0, log1, variance_towards(middle, log0, log1, bridge), w)
    return turning_point(side, log0, log1, variance_towards(first, log0, log1, bridge), w)


def turning_point(side: Any, log0: Any, log1: Any, variance: Any, w: Any) -> Any:
    """The highest or lowest log price of a Brownian bridge of this variance."""
    move = log1 - log0
    return 0.5 * (log0 + log1 + side * math.sqrt(move * move - 2.0 * variance * math.log(w)))
