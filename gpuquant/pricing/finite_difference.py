"""Prices by finite differences, where the model is a diffusion of the log price and of one more
factor at most, and the payoff rests on the last price and on a first touch of its levels.

A row is solved on grids of ever twice as many nodes and steps. What an error of the second order
leaves is removed (Richardson, 1911), and when the values so extrapolated stand still, the last
change is the row's error. `kernels.grid_loop` has the equation and the scheme.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from gpuquant.data.columns import Member
from gpuquant.models.base import DEVIATIONS, Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.bumps import (
    AT_LEVEL,
    FORMULA,
    NEAREST,
    Bumps,
    distance_to_level,
    first_dates,
)
from gpuquant.pricing.differences import differences
from gpuquant.pricing.greeks import greek
from gpuquant.pricing.grids import Counts, Grids, Place
from gpuquant.pricing.kernels.build import Pair
from gpuquant.pricing.kernels.grid_launch import Kernel, kernel, lanes, walked
from gpuquant.pricing.kernels.grid_records import SLOTS, Flags
from gpuquant.pricing.request import Task
from gpuquant.pricing.results import Solution

COARSEST = ((64, 0, 16), (16, 8, 4))  # intervals of each axis, and steps: of one factor, of two
FINEST = 5  # doublings
ENOUGH = 5e-5  # of the amount at stake: the error that is good enough where no target is given
LEAST = 1.0 / 3.0  # of a doubling's change: the error is no less than what extrapolation removes
USELESS = 1e-3  # of the amount at stake: with a larger error paths may do better
SHARE = 0.01  # of the price's deviation: the largest bump of the spot
BEYOND = 1e-8  # of the amount at stake, which the ends of the grid may leave out
MEMORY = 1 << 26  # bytes of the grids of rows that are solved together


def price(batch: Batch, task: Task) -> Solution | None:
    """Price and Greeks, with their errors; None when the pair has no such price."""
    if not solvable(type(batch.model), type(batch.payoff), dict(batch.fixed)):
        return None
    amounts = batch.amounts()
    target = ENOUGH * amounts if task.target_error is None else task.target_error[batch.rows]
    found, errors = np.full((2, len(batch.rows), task.outputs), np.nan)
    solver, left = _Solver(batch, task.device), np.arange(len(batch.rows))
    coarse = solver.solve(0, left)
    before = np.full_like(coarse, np.nan)  # the value extrapolated so far
    for level in range(1, FINEST + 1):
        fine = solver.solve(level, left)
        value, error = _extrapolated(fine, coarse, before)
        lost = ~np.isfinite(fine[:, 0])
        done = ~lost & ((error[:, 0] <= target[left]) | (level == FINEST))
        if done.any():
            found[left[done]], errors[left[done]] = (
                _with_greeks(solver, level, left[done], task.greeks)
                if task.greeks
                else (value[done], error[done])
            )
        on = ~done & ~lost
        left, coarse, before = left[on], fine[on], value[on]
        if not len(left):
            break
    errors = np.maximum(errors, BEYOND * amounts[:, None])
    useless = errors[:, 0] > np.maximum(target, USELESS * amounts)
    found[useless] = np.nan  # a simulation is left to try
    errors[np.isnan(found)] = np.nan
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


def _with_greeks(
    solver: _Solver, level: int, rows: np.ndarray, greeks: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Price and Greeks by the grids up to a level, and their errors."""
    fine, coarse, coarser = (solver.solve(at, rows, greeks) for at in (level, level - 1, level - 2))
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
    known = _says(model, "diffusion", WALKED) and _says(payoff, "kinks", PAID)
    watched = payoff.continuous_monitoring(fixed)
    return known and payoff.kinks is not None and (watched or not payoff.levels)


WALKED, PAID = {"begin", "step"}, {"start", "observe", "observe_bridge", "finish"}


def _says(member: type[Member], name: str, functions: set[str]) -> bool:
    """Whether a class says this of its own functions: a subclass that changes them must say it
    anew.
    """
    for cls in member.__mro__:
        if name in vars(cls):
            return cls not in (Model, Payoff)
        if functions & {*vars(cls)}:
            return False
    return False


@dataclass(frozen=True)
class _Solver:
    """Solves the rows of a batch on grids of any fineness."""

    batch: Batch
    device: Any

    @cached_property
    def pair(self) -> Pair:
        """What the kernel is made for."""
        parts = type(self.batch.model), type(self.batch.payoff)
        return Pair(*parts, self.batch.fixed, "double", lengths=self.batch.lengths)

    @cached_property
    def kernel(self) -> Kernel:
        """The kernel of the pair."""
        model = self.pair.model
        return kernel(self.pair, Flags(self.pair.bridged, model.factors == 2, model.time_dependent))

    @cached_property
    def counts(self) -> list[Counts]:
        """The intervals of each row on the coarsest grid; a bump leaves them as they are."""
        row = _rows({**self.batch.model.columns(), **self.batch.payoff.columns()})
        intervals, _, steps = COARSEST[self.pair.model.factors - 1]
        lengths = dict(self.pair.lengths)
        steps = max(steps, 1 + sum(lengths.get(name, 1) for name in self.pair.model.times))
        return [self._place(row, i).counts(intervals, steps) for i in range(len(self.batch.rows))]

    def _place(self, row: SimpleNamespace, i: int) -> Place:
        return Place.of(self.pair.model, self.pair.payoff, row, i, self.pair.bridged)

    def solve(self, level: int, rows: np.ndarray, greeks: tuple[str, ...] = ()) -> np.ndarray:
        """Price and Greeks of these rows on the coarsest grid, doubled `level` times, shape
        (rows, outputs).
        """
        some, device = self.batch.take(rows), self.device
        model, payoff = some.model, some.payoff
        columns = {**model.columns(), **payoff.columns()}
        on = {name: device.put(value, name) for name, value in columns.items()}
        counts = [self.counts[row].doubled(level) for row in rows.tolist()]
        values = partial(self._values, level, counts)
        if not greeks:
            price = values(type(model), type(payoff), on, device)
            return np.asarray(device.get(price, "price"))[:, None]
        first, bumps = first_dates(model, payoff), self._bumps(some)
        found = differences(model, payoff, on, device, values, bumps, first, greeks)
        assert found is not None  # the pair is solvable
        crossing = distance_to_level(some) <= bumps.spot  # of a level: there is no derivative
        for name in greeks:
            if any(one.kind == "spot" for one in greek(name).along):
                found[crossing, 1 + greeks.index(name)] = np.nan
        return found

    def _bumps(self, some: Batch) -> Bumps:
        """The bumps of these rows: that of the spot is small beside the price's deviation, and
        stays on its side of a level.
        """
        _, low, high = some.model.extent(some.model, some.payoff.maturity)[0]
        deviation = np.broadcast_to((high - low) / (2.0 * DEVIATIONS), len(some.rows))
        bump = np.minimum(FORMULA.spot, SHARE * deviation)
        nearest = np.maximum(distance_to_level(some), AT_LEVEL)
        return replace(FORMULA, spot=np.minimum(bump, NEAREST * nearest))

    def _values(
        self,
        level: int,
        counts: list[Counts],
        model: type[Model],
        payoff: type[Payoff],
        columns: dict[str, Any],
        device: Any,
    ) -> Any:
        """Prices, shape (n,); several variants of the rows lie one after the other."""
        row = _rows({name: np.asarray(device.get(value, name)) for name, value in columns.items()})
        n, fields = len(row.maturity), _fields(self.pair, row)
        out = np.empty(n)
        factors, width = COARSEST[model.factors - 1][1] << level, lanes(device)
        size = max(1, MEMORY // (8 * len(SLOTS) * counts[0].intervals * (factors + width)))
        for begin in range(0, n, size):
            which = range(begin, min(begin + size, n))
            places = [self._place(row, i) for i in which]
            grids = Grids.of(places, [counts[i % len(counts)] for i in which], factors)
            some = fields[:, which.start : which.stop]
            solved = walked(self.kernel, some, grids.packed(width), device)
            out[which.start : which.stop] = grids.read(np.asarray(device.get(solved, "values")))
        return device.put(out * model.discount_factor(row, row.maturity, np), "price")


def _rows(columns: dict[str, np.ndarray]) -> SimpleNamespace:
    """Columns as those of as many rows each."""
    n = max(len(value) for value in columns.values())
    return SimpleNamespace(
        **{
            name: value if len(value) == n else np.broadcast_to(value, (n, *value.shape[1:]))
            for name, value in columns.items()
        }
    )


def _fields(pair: Pair, row: SimpleNamespace) -> np.ndarray:
    """The columns of a packed row, shape (columns, n)."""
    return np.array(
        [
            getattr(row, name)[:, k - place[0]] if isinstance(place, range) else getattr(row, name)
            for name, place in pair.places.items()
            for k in (place if isinstance(place, range) else (place,))
        ]
    )
