"""The grids on which finite differences price rows: where their nodes lie, which of them are
levels, and how the value today is read between nodes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from gpuquant.data.columns import offered
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.kernels.grid_records import LINES, TINY, Grid

# Within a width over this number nodes are nearly even: of log prices near a kink or a level, of a
# factor near its least value (In 't Hout and Foulon, 2010)
BEND = 24.0, 500.0
ORDER = 6  # nodes of an interpolation
TABLE, NEWTON = 200, 3  # points and steps with which nodes are placed


@dataclass(frozen=True)
class Axis:
    """One axis of a grid.

    Parameters
    ----------
    knots : tuple of float
        Nodes for certain: the ends, and what lies between them.
    centres : tuple of float
        Where nodes are dense. They are even, from knot to knot, in the sum over the centres of
        asinh((x - centre) / scale).
    scale : float
        See above.
    """

    knots: tuple[float, ...]
    centres: tuple[float, ...]
    scale: float

    def _even(self, x: Any) -> np.ndarray:
        away = np.subtract.outer(np.asarray(x), self.centres) / self.scale
        return np.asarray(np.arcsinh(away).sum(axis=-1))

    def counts(self, intervals: int) -> np.ndarray:
        """How many of so many intervals lie between each knot and the next."""
        return shared(np.diff(self._even(self.knots)), intervals)

    def nodes(self, counts: np.ndarray) -> np.ndarray:
        """Its nodes, with so many intervals between each knot and the next."""
        places = np.concatenate([[0], np.cumsum(counts)])
        wanted = _smooth(places, self._even(self.knots))
        if len(self.centres) == 1:
            x = self.centres[0] + self.scale * np.sinh(wanted)
            x[places] = self.knots
            return np.asarray(x)
        table = np.linspace(self.knots[0], self.knots[-1], TABLE)
        x = np.interp(wanted, self._even(table), table)
        for _ in range(NEWTON):
            away = np.subtract.outer(x, self.centres) / self.scale
            slope = (1.0 / np.sqrt(1.0 + away * away)).sum(axis=-1) / self.scale
            x = x - (np.arcsinh(away).sum(axis=-1) - wanted) / slope
        x[places] = self.knots
        return np.asarray(x)


def shared(lengths: np.ndarray, intervals: int) -> np.ndarray:
    """So many intervals shared by pieces of these lengths, one for each at least."""
    shares = np.maximum(np.rint(lengths / lengths.sum() * intervals).astype(np.int64), 1)
    shares[np.argmax(shares)] += intervals - shares.sum()
    return shares


def times_left(knots: Sequence[float], counts: np.ndarray) -> np.ndarray:
    """The time to maturity after each step back from it, with so many steps from each of these
    times to the next; the first two steps are taken in two halves.
    """
    places = np.concatenate([[0], np.cumsum(counts)])
    left = np.interp(np.arange(places[-1] + 1), places, knots)
    halves = [0.5 * (left[0] + left[1]), left[1], 0.5 * (left[1] + left[2]), left[2]]
    return np.concatenate([halves, left[3:]])


def _smooth(places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What rises through these values at these places, at all whole numbers between them: a cubic
    on each piece, with slopes that agree where two pieces meet, so that distances of nodes do not
    jump there (Fritsch and Butland, 1984).
    """
    long = np.diff(places)
    each = np.diff(values) / long
    inner = 1.5 * (long[:-1] + long[1:])
    first, second = (long[:-1] + 2.0 * long[1:]) / 2.0, (2.0 * long[:-1] + long[1:]) / 2.0
    slopes = np.concatenate([each[:1], inner / (first / each[:-1] + second / each[1:]), each[-1:]])
    at = np.arange(places[-1] + 1)
    k = np.minimum(np.searchsorted(places, at, side="right") - 1, len(each) - 1)
    t = (at - places[k]) / long[k]
    left, right = long[k] * (slopes[k] - each[k]), long[k] * (slopes[k + 1] - each[k])
    bend = t * (1.0 - t) * (left * (1.0 - t) - right * t)
    return np.asarray(values[k] + t * np.diff(values)[k] + bend)


def reading(nodes: np.ndarray, x: float) -> tuple[slice, np.ndarray]:
    """Which nodes tell the value at x, and their weights (Lagrange)."""
    order = min(ORDER, len(nodes))
    first = min(max(int(np.searchsorted(nodes, x)) - order // 2, 0), len(nodes) - order)
    near = nodes[first : first + order]
    itself = np.eye(order, dtype=bool)
    apart = np.where(itself, 1.0, near[:, None] - near)
    away = np.where(itself, 1.0, x - near)
    return slice(first, first + order), (away / apart).prod(axis=1)


class Counts(NamedTuple):
    """How many intervals lie between the knots of a row, and how many steps between its times."""

    between: np.ndarray
    steps: np.ndarray

    @property
    def intervals(self) -> int:
        """All intervals of the log price."""
        return int(self.between.sum())

    def doubled(self, times: int) -> Counts:
        """Twice as many, so many times over."""
        return Counts(self.between << times, self.steps << times)


@dataclass(frozen=True)
class Place:
    """Where one row is priced.

    Parameters
    ----------
    axis : Axis
        Of the log price.
    today : tuple of float
        The log price today, and the factor.
    low, high : float or None
        The log levels that end it while it is alive.
    amount : bool
        Whether it is worth an amount after a touch, whatever the last price.
    times : tuple of float
        The times to maturity at which a step must end.
    factor : Axis, optional
        Of the second factor.
    """

    axis: Axis
    today: tuple[float, ...]
    low: float | None
    high: float | None
    amount: bool
    times: tuple[float, ...]
    factor: Axis | None

    @classmethod
    def of(
        cls, model: type[Model], payoff: type[Payoff], row: SimpleNamespace, i: int, watched: bool
    ) -> Place:
        """The place of row `i`."""
        one = SimpleNamespace(**{name: value[i : i + 1] for name, value in vars(row).items()})
        spans = [
            tuple(float(np.ravel(x)[0]) for x in span) for span in model.extent(one, one.maturity)
        ]
        today, least, most = spans[0]
        low, high, amount = (
            _levels(payoff, row, i, today, (least, most)) if watched else (None, None, True)
        )
        levels = [level for level in (low, high) if level is not None]
        ends = (
            least if low is None or not amount else low,
            most if high is None or not amount else high,
        )
        kinks = [math.log(getattr(row, name)[i]) for name in payoff.kinks or ()]
        knots = {x for x in (*kinks, *levels) if ends[0] < x < ends[1]}
        centres = tuple({*kinks, *levels}) or (today,)
        scale = (most - least) / BEND[0]
        axis = Axis((ends[0], *sorted(knots), ends[1]), centres, scale)
        years = float(row.maturity[i])
        listed = np.concatenate(
            [np.ravel(getattr(one, name)) for name in model.times or ("maturity",)]
        )
        between = {years - t for t in listed.tolist() if 0.0 < t < years}
        times = (0.0, *sorted(between), years)
        if len(spans) == 1:
            return cls(axis, (today,), low, high, amount, times, None)
        now, bottom, top = spans[1]
        factor = Axis((bottom, top), (bottom,), (top - bottom) / BEND[1])
        return cls(axis, (today, now), low, high, amount, times, factor)

    def marks(self, nodes: np.ndarray) -> tuple[float, ...]:
        """Its numbers for `grid_records.MARKS`, with these nodes of the log price."""
        first, last = self.alive(nodes)
        return (
            self.today[0],
            float(first),
            float(last),
            float(self.low is not None),
            float(self.high is not None),
            float(self.amount),
        )

    def alive(self, nodes: np.ndarray) -> tuple[int, int]:
        """The first and the last node at which it is alive."""
        first = 0 if self.low is None else int(np.searchsorted(nodes, self.low))
        last = len(nodes) - 1 if self.high is None else int(np.searchsorted(nodes, self.high))
        return first, last

    def counts(self, intervals: int, steps: int) -> Counts:
        """So many intervals and steps, shared among its knots and times."""
        return Counts(self.axis.counts(intervals), shared(np.diff(self.times), steps))

    def like(self, counts: Counts) -> Counts:
        """The counts of a row that this one is a bump of; its own where the bump crosses a level,
        so that it has other knots.
        """
        same = len(counts.between) == len(self.axis.knots) - 1
        alike = same and len(counts.steps) == len(self.times) - 1
        return counts if alike else self.counts(counts.intervals, int(counts.steps.sum()))

    def read(self, values: np.ndarray, nodes: np.ndarray, factors: np.ndarray) -> float:
        """The value today, from those at the nodes, shape (nodes, factors)."""
        first, last = self.alive(nodes)
        which, weights = reading(nodes[first : last + 1], self.today[0])
        line = weights @ values[first : last + 1][which]
        if self.factor is None:
            return float(line[0])
        which, weights = reading(factors, self.today[1])
        return float(weights @ line[which])


@dataclass(frozen=True)
class Grids:
    """The grids of rows, all of one size.

    Parameters
    ----------
    places : list of Place
        Where each row is priced.
    nodes : array, shape (rows, nodes)
        Log prices.
    factors : array, shape (rows, factor nodes)
        Of the second factor; one zero where there is none.
    left : array, shape (rows, steps)
        Time to maturity after each step.
    """

    places: list[Place]
    nodes: np.ndarray
    factors: np.ndarray
    left: np.ndarray

    @classmethod
    def of(cls, places: list[Place], counts: list[Counts], factors: int) -> Grids:
        """The grids of these places, with so many intervals."""
        both = [(place, place.like(own)) for place, own in zip(places, counts, strict=True)]
        across = [
            np.zeros(1) if place.factor is None else place.factor.nodes(np.array([factors]))
            for place in places
        ]
        return cls(
            places,
            np.array([place.axis.nodes(own.between) for place, own in both]),
            np.array(across),
            np.array([times_left(place.times, own.steps) for place, own in both]),
        )

    def packed(self, width: int) -> Grid:
        """What the kernel reads; lines of the factor are filled up to a multiple of `width`."""
        rows, factors = self.factors.shape
        pitch = -(-factors // width) * width
        lines = np.zeros((rows, len(LINES), pitch))
        lines[:, 0] = np.pad(self.factors, ((0, 0), (0, pitch - factors)), "edge")
        marks = [p.marks(x) for p, x in zip(self.places, self.nodes, strict=True)]
        steps, nodes = self.left.shape[1], self.nodes.shape[1]
        return Grid(
            self.nodes, self.left, lines, np.array(marks), None, nodes, factors, pitch, steps
        )

    def read(self, values: np.ndarray) -> np.ndarray:
        """The values today, from those at all nodes, shape (rows, nodes, pitch)."""
        each = zip(self.places, values, self.nodes, self.factors, strict=True)
        return np.array([place.read(own, x, y) for place, own, x, y in each])


def _levels(
    payoff: type[Payoff], row: SimpleNamespace, i: int, today: float, ends: Sequence[float]
) -> tuple[float | None, float | None, bool]:
    """The log levels below and above that end row `i`, None where there is none or where one was
    touched already; and whether it is then worth an amount, whatever the last price.
    """
    still = (TINY, TINY, 0.0)  # the bridge of a step on the level

    def touched(acc: Any, level: float) -> Any:
        at = (level,)
        return offered(payoff.observe_bridge, row, i, acc, at, at, still, 0.0, 1.0, (0.5,))

    logs = [math.log(getattr(row, name)[i]) for name in payoff.levels]
    acc = touched(offered(payoff.start, row, i, (today,), 1.0), today)
    after = [touched(acc, level) for level in logs]
    if all(one == acc for one in after):
        return None, None, True
    below = max((one for one in logs if one <= today), default=None)
    above = min((one for one in logs if one > today), default=None)
    paid = [{payoff.finish(row, i, one, (x,)) for x in (*ends, today)} for one in after]
    return below, above, all(len(amounts) == 1 for amounts in paid)
