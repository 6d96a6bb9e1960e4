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


def bridge_survival_probability(
    side: Any, barrier: Any, log0: Any, log1: Any, variance: Any
) -> Any:
    """Probability that a Brownian bridge of this variance between two log prices stays short of
    `barrier` (Glasserman, 2003, section 6.4).
    """
    level = math.log(barrier)
    before = max(side * (level - log0), 0.0)
    after = max(side * (level - log1), 0.0)
    return 1.0 - math.exp(-2.0 * before * after / max(variance, 1e-30))


def spared_by_both(lower: Any, upper: Any, log0: Any, log1: Any, variance: Any) -> Any:
    """Probability that a Brownian bridge of this variance stays between two levels: the nearest
    images (Kunitomo and Ikeda, 1992).

    The formula is 1 - A - B + C + D. A is a reflection in the upper level, B one in the lower, C
    and D are reflections in both. The other images are below 1e-12 while the levels are four
    standard deviations of a step apart.
    """
    low = math.log(lower)
    width = math.log(upper) - low
    before = log0 - low
    after = log1 - low
    scale = 2.0 / max(variance, 1e-30)
    above = math.exp(-scale * (width - before) * (width - after))
    below = math.exp(-scale * before * after)
    round_up = math.exp(-scale * width * (width + after - before))
    round_down = math.exp(-scale * width * (width + before - after))
    inside = (before > 0.0) and (after > 0.0) and (before < width) and (after < width)
    return max(1.0 - above - below + round_up + round_down, 0.0) if inside else 0.0


def highest_between(side: Any, log0: Any, log1: Any, variance: Any, w: Any) -> Any:
    """The highest (side 1.0) or lowest (-1.0) log price of a Brownian bridge of this variance,
    from a uniform (Glasserman, 2003, section 6.4).
    """
    move = log1 - log0
    return 0.5 * (log0 + log1 + side * math.sqrt(move * move - 2.0 * variance * math.log(w)))
