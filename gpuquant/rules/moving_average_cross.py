"""Moving-average cross: long after the fast average crosses above the slow one, flat or short after
it crosses below.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpuquant.data.domains import Column, choice, integer
from gpuquant.rules.base import NO_CHANGE, Rule


@dataclass(frozen=True)
class MovingAverageCross(Rule):
    """Trades at the bar where fast minus slow changes sign; a bar with equal averages has no sign.

    The averages are compared as sum_fast x slow against sum_slow x fast, in whole ticks. This
    comparison is exact, so that equal averages are found equal.

    Parameters
    ----------
    fast : Column
        Bars of the fast average; whole numbers >= 1.
    slow : Column
        Bars of the slow average; whole numbers >= 1.
    below : Column
        What is held after a downward cross: flat or short.

    References
    ----------
    Brock, Lakonishok and LeBaron (1992).
    """

    fast: Column = integer(sample=2.0)
    slow: Column = integer(sample=3.0)
    below: Column = choice("flat", "short", codes=(0.0, -1.0), default="flat")

    @staticmethod
    def begin(r, i):
        return (0.0,), max(r.fast[i], r.slow[i]) - 1.0

    @staticmethod
    def decide(r, i, state, past, k):
        gap = past.sum(r.fast[i]) * r.slow[i] - past.sum(r.slow[i]) * r.fast[i]
        crossed = gap * state[0] < 0.0
        target = (1.0 if gap > 0.0 else r.below[i]) if crossed else NO_CHANGE
        return (gap if gap != 0.0 else state[0],), target
