"""Prices by finite differences, where the model is a diffusion of the log price and of one more
factor at most, and the payoff rests on the last price and on a first touch of its levels.

A row is solved on grids of ever twice as many nodes and steps. What an error of the second order
leaves is removed (Richardson, 1911), and when the values so extrapolated stand still, the last
change is the row's error. `kernels.grid_loop` has the equation and the scheme.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.bumps import FORMULA, first_dates
from gpuquant.pricing.differences import differences
from gpuquant.pricing.grids import Place, shared, times_left
from gpuquant.pricing.kernels.build import Pair
from gpuquant.pricing.kernels.grid_launch import lanes, walked
from gpuquant.pricing.kernels.grid_records import LINES, SLOTS, Flags, Grid
from gpuquant.pricing.request import Task
from gpuquant.pricing.results import Solution

COARSEST = ((64, 0, 16), (16, 8, 4))  # intervals of each axis, and steps: of one factor, of two
FINEST = 5  # doublings
ENOUGH = 1e-5  # of the amount at stake: the error that is good enough where no target is given
LEAST = 0.05  # of what extrapolation removes: the least error
BEYOND = 1e-8  # of the amount at stake, which the ends of the grid may leave out
MEMORY = 1 << 26  # bytes of the grids of rows that are solved together


def price(batch: Batch, task: Task) -> Solution | None:
    """Price and Greeks, with their errors; None when the pair has no such price."""
    if not solvable(type(batch.model), type(batch.payoff), dict(batch.fixed)):
        return None
    amounts = batch.amounts()
    target = ENOUGH * amounts if task.target_error is None else task.target_error[batch.rows]
    found, errors = np.full((2, len(batch.rows), task.outputs), np.nan)
    left, coarse = np.arange(len(batch.rows)), _Level(0, batch).solve(task)
    before = np.full_like(coarse, np.nan)  # the value extrapolated so far
    for level in range(1, FINEST + 1):
        some = batch.take(left)
        fine = _Level(level, some).solve(task)
        value, error = _extrapolated(fine, coarse, before)
        lost = ~np.isfinite(fine[:, 0])
        done = ~lost & ((error[:, 0] <= target[left]) | (level == FINEST))
        if done.any():
            found[left[done]], errors[left[done]] = (
                _with_greeks(level, some.take(np.flatnonzero(done)), task)
                if task.greeks
                else (value[done], error[done])
            )
        on = ~done & ~lost
        left, coarse, before = left[on], fine[on], value[on]
        if not len(left):
            break
    errors = np.maximum(errors, BEYOND * amounts[:, None])
    return Solution(found, errors, _missed(errors[:, 0], task, batch.rows))


def _missed(errors: np.ndarray, task: Task, rows: np.ndarray) -> np.ndarray | None:
    """A message for each row whose target the finest grid does not reach."""
    if task.target_error is None or not (errors > task.target_error[rows]).any():
        return None
    told = zip(errors.tolist(), task.target_error[rows].tolist(), strict=True)
    return np.array(
        [
            f"target_error {target:g}: the finest grid has an error of {error:.2g}"
            if error > target
            else ""
            for error, target in told
        ],
        dtype=object,
    )


def _with_greeks(level: int, batch: Batch, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Price and Greeks by the grids up to a level, and their errors."""
    fine, coarse, coarser = (
        _Level(at, batch).solve(task, task.greeks) for at in (level, level - 1, level - 2)
    )
    return _extrapolated(fine, coarse, coarse + (coarse - coarser) / 3.0)


def _extrapolated(
    fine: np.ndarray, coarse: np.ndarray, before: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values without their error of the second order, and the errors that are left: how far the
    values moved since the grids before, and a share of what was removed at least.
    """
    value = fine + (fine - coarse) / 3.0
    least = LEAST * np.abs(fine - coarse)
    return value, np.where(np.isnan(before), np.inf, np.maximum(np.abs(value - before), least))


def solvable(model: type[Model], payoff: type[Payoff], fixed: dict[str, float]) -> bool:
    """Whether finite differences price a payoff with these fixed choices under a model."""
    watched = payoff.continuous_monitoring(fixed)
    known = model.diffusion is not Model.diffusion and payoff.kinks is not None
    return known and (watched or not payoff.levels)


@dataclass(frozen=True)
class _Level:
    """Grids of some fineness for the rows of a batch and for their bumped variants: prices of shape
    (n,), by `values` as `pricing.differences` asks for it.

    Parameters
    ----------
    level : int
        How often the coarsest grid is doubled.
    batch : Batch
        The rows.
    """

    level: int
    batch: Batch

    def solve(self, task: Task, greeks: tuple[str, ...] = ()) -> np.ndarray:
        """Price and Greeks, shape (n, outputs)."""
        model, payoff, device = self.batch.model, self.batch.payoff, task.device
        columns = {**model.columns(), **payoff.columns()}
        on = {name: device.put(value, name) for name, value in columns.items()}
        first = first_dates(model, payoff)
        found = differences(model, payoff, on, device, self.values, FORMULA, first, greeks)
        assert found is not None  # the pair is solvable
        return found

    @cached_property
    def pair(self) -> Pair:
        """What the kernel is made for."""
        batch = self.batch
        parts = type(batch.model), type(batch.payoff)
        return Pair(*parts, batch.fixed, "double", lengths=batch.lengths)

    @cached_property
    def counts(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The intervals between the knots of each row, and the steps between its times; a bump
        leaves them as they are.
        """
        intervals, _, steps = COARSEST[self.batch.model.factors - 1]
        row = _rows({**self.batch.model.columns(), **self.batch.payoff.columns()})
        places = [self._place(row, i) for i in range(len(self.batch.rows))]
        steps = max(steps, *(len(place.times) - 1 for place in places))
        return [
            (
                place.axis.counts(intervals) << self.level,
                shared(np.diff(place.times), steps) << self.level,
            )
            for place in places
        ]

    def _place(self, row: SimpleNamespace, i: int) -> Place:
        return Place.of(self.pair.model, self.pair.payoff, row, i, self.pair.bridged)

    def values(
        self, model: type[Model], payoff: type[Payoff], columns: dict[str, Any], device: Any
    ) -> Any:
        """Prices, shape (n,); several variants of the rows lie one after the other."""
        host = {name: np.asarray(device.get(value, name)) for name, value in columns.items()}
        row = _rows(host)
        n = len(row.maturity)
        numbers = _numbers(self.pair, row)
        width = lanes(device)
        intervals, factors, _ = (one << self.level for one in COARSEST[model.factors - 1])
        pitch = -(-(factors + 1) // width) * width
        size = max(1, MEMORY // (8 * len(SLOTS) * (intervals + 1) * pitch))
        flags = Flags(self.pair.bridged, model.factors == 2, model.time_dependent)
        out = np.empty(n)
        for begin in range(0, n, size):
            which = range(begin, min(begin + size, n))
            places = [self._place(row, i) for i in which]
            counts = [self.counts[i % len(self.counts)] for i in which]
            nodes = [p.axis.nodes(own[0]) for p, own in zip(places, counts, strict=True)]
            left = [times_left(p.times, own[1]) for p, own in zip(places, counts, strict=True)]
            lines = np.zeros((len(places), len(LINES), pitch))
            for line, place in zip(lines, places, strict=True):
                if place.factor is not None:
                    line[0] = np.pad(
                        place.factor.nodes(np.array([factors])), (0, pitch - factors - 1), "edge"
                    )
            grid = Grid(
                device.put(np.array(nodes), "log prices"),
                device.put(np.array(left), "times"),
                device.put(lines, "factors"),
                device.put(
                    np.array([p.marks(x) for p, x in zip(places, nodes, strict=True)]), "marks"
                ),
                None,
                intervals + 1,
                factors + 1,
                pitch,
                len(left[0]),
            )
            given = [device.put(one[which.start : which.stop], "columns") for one in numbers]
            solved = device.get(walked(self.pair, flags, given, grid, device), "values")
            out[which.start : which.stop] = [
                place.read(value, x, line[0, : factors + 1])
                for place, value, x, line in zip(places, solved, nodes, lines, strict=True)
            ]
        return device.put(out * model.discount_factor(row, row.maturity, np), "price")


def _rows(columns: dict[str, np.ndarray]) -> SimpleNamespace:
    """Columns as those of as many rows each."""
    n = max(len(value) for value in columns.values())
    return SimpleNamespace(
        **{name: np.broadcast_to(value, (n, *value.shape[1:])) for name, value in columns.items()}
    )


def _numbers(pair: Pair, row: SimpleNamespace) -> list[np.ndarray]:
    """The columns of a packed row, each of shape (n,)."""
    turn: dict[str, int] = {}
    numbers = []
    for name in pair.names:
        value = getattr(row, name)
        if value.ndim == 2:
            turn[name] = turn.get(name, -1) + 1
            value = value[:, turn[name]]
        numbers.append(np.ascontiguousarray(value))
    return numbers
