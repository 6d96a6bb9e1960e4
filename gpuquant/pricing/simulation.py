"""A simulation of rows: the kernel of their pair with its bumps and control variate, and the values
that its sums tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from gpuquant.math import rng
from gpuquant.pricing import greeks, pathwise
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.bumps import SIMULATED, Bumps, simulated, without_gamma
from gpuquant.pricing.control_variate import Control
from gpuquant.pricing.extrapolation import Bias, Extrapolation, best_share, first_share
from gpuquant.pricing.kernels.build import Pair
from gpuquant.pricing.kernels.launch import Launch, Rows, whole_nets
from gpuquant.pricing.kernels.launches import Launches, Part
from gpuquant.pricing.kernels.records import Variants
from gpuquant.pricing.request import Task
from gpuquant.pricing.time_grid import Grid

# If an event happens on none of n paths, its probability is below RARE / n at 95 % confidence (the
# rule of three).
RARE = 3.0
ALIKE = 1e-6  # of the amount at stake: payments of a path that differ by less differ by rounding


def unseen(batch: Batch, paths: np.ndarray) -> np.ndarray:
    """How far off a price may be for what happened on none of its paths, shape (n,)."""
    return np.asarray(RARE / paths * batch.amounts())


def pair_of(batch: Batch, precision: str) -> Pair:
    """The kernel of a batch without bumps."""
    parts = type(batch.model), type(batch.payoff)
    return Pair(*parts, batch.fixed, precision, lengths=batch.lengths)


class Simulated(NamedTuple):
    """What a simulation finds for each row.

    Parameters
    ----------
    values, errors, skewness : float64 arrays, shape (n, outputs)
        The price and the Greeks, their standard errors, and the skewness of their means. An error
        holds the scheme's.
    spreads : float64 array, shape (n, outputs)
        The errors that as many independent paths have by chance alone.
    paths : int64 array, shape (n,)
        Paths of each row.
    bias : Bias
        The scheme's, removed from the values.
    """

    values: np.ndarray
    errors: np.ndarray
    skewness: np.ndarray
    spreads: np.ndarray
    paths: np.ndarray
    bias: Bias

    @property
    def by_chance(self) -> np.ndarray:
        """The part of the price's error that falls with the number of paths, shape (n,)."""
        whole, left = self.errors[:, 0], self.bias.left[:, 0]
        return np.sqrt(np.maximum(whole * whole - left * left, 0.0))

    def put(self, rows: np.ndarray, found: Simulated) -> None:
        """Replace these rows by what was found for them."""
        for mine, new in zip([*self[:-1], *self.bias], [*found[:-1], *found.bias], strict=True):
            mine[rows] = new

    @classmethod
    def joined(cls, parts: Sequence[Simulated]) -> Simulated:
        """The rows of all parts, in their order."""
        found = zip(*(part[:-1] for part in parts), strict=True)
        values, errors, skewness, spreads, paths = map(np.concatenate, found)
        bias = Bias(*map(np.concatenate, zip(*(part.bias for part in parts), strict=True)))
        return cls(values, errors, skewness, spreads, paths, bias)


@dataclass(frozen=True)
class Simulation:
    """Rows that one kernel simulates, ready to run with any number of paths.

    Parameters
    ----------
    batch, task : Batch and Task
        What is simulated.
    control : Control, optional
        What is subtracted from each path's payment.
    launch : Launches
        The kernels with the arrays they read.
    derived : tuple of str
        The Greeks that are derivatives of paths.
    bumps : Bumps
        Of the others.
    extrapolation : Extrapolation, optional
        What tells the bias of its scheme.
    """

    batch: Batch
    task: Task
    control: Control | None
    launch: Launches
    derived: tuple[str, ...]
    bumps: Bumps
    extrapolation: Extrapolation | None

    @classmethod
    def of(cls, batch: Batch, task: Task, control: Control | None = None) -> Simulation:
        """The simulation of a batch."""
        bumps = simulated(batch) if task.greeks else SIMULATED
        pair = replace(pair_of(batch, task.precision), sobol=task.draws == "sobol")
        if control is not None:
            pair = replace(pair, control=type(control.payoff), control_fixed=control.fixed)
        columns = {**batch.model.columns(), **batch.payoff.columns()}
        streams = np.zeros_like(batch.streams) if task.common_random_numbers else batch.streams
        grid, bump = Grid.of(batch, task.steps), np.broadcast_to(bumps.spot, len(batch.rows))
        rows = Rows(task.device, columns, pair, grid, streams, bump, task.seed)

        def launched(variants: Variants, outputs: np.ndarray) -> Part:
            own = replace(
                pair,
                variants=len(variants.scale),
                outputs=len(outputs),
                slopes=len(variants.slopes) // len(greeks.HOWS),
            )
            return Part(Launch(own, rows, variants), outputs)

        def together(derived: tuple[str, ...]) -> Launches:
            shares = pathwise.shares(pair, bumps, task.greeks, derived)
            return Launches(tuple(launched(*share) for share in shares))

        derived = pathwise.derived(
            pair.model, pair.payoff, pair.fixed, task.greeks, restless=bool(batch.restless.any())
        )
        extrapolation = None
        if np.isfinite(pair.model.weak_order):
            extrapolation = Extrapolation.of(together(pathwise.on_two_grids(derived)))
        return cls(batch, task, control, together(derived), derived, bumps, extrapolation)

    def take(self, rows: np.ndarray) -> Simulation:
        """The simulation of these of its rows."""
        control = None if self.control is None else self.control.take(rows)
        return Simulation.of(self.batch.take(rows), self.task, control)

    def fitted(self, paths: int) -> tuple[Simulation, np.ndarray, np.ndarray]:
        """The simulation with the betas that a pilot of so many paths for each row tells, the
        standard errors that so many paths have with them, shape (n, outputs), and which rows the
        control serves.
        """
        assert self.control is not None
        n, outputs = len(self.batch.rows), self.task.outputs
        betas = np.tile(np.repeat([0.0, 1.0, -1.0], outputs), (n, 1))
        _, errors, skewness, _ = self.launch.run(
            np.full(n, paths), betas, rng.PURPOSES["pilot"], random_draws=True
        )
        errors, skewness = (np.stack(np.split(one, 3, axis=1)) for one in (errors, skewness))
        with np.errstate(divide="ignore", invalid="ignore"):
            control, left, serves = self.control.fitted(errors / self._units(), skewness)
        fitted = replace(self, control=control)
        bias = fitted._bias(np.full(n, paths), left[:, 0], "pilot")
        return fitted, np.hypot(left, bias.error), serves

    def _units(self) -> np.ndarray:
        """The divisor of each output, shape (n, outputs)."""
        first = self.launch.grid.first
        sizes = greeks.units(
            self.batch.model, self.batch.payoff, self.bumps, first, self.task.greeks
        )
        return np.stack([np.broadcast_to(one, len(self.batch.rows)) for one in sizes], axis=1)

    def run(
        self,
        paths: np.ndarray,
        *,
        purpose: str = "paths",
        tick: Callable[[int], None] | None = None,
    ) -> Simulated:
        """Values by so many paths for each row, less the bias of the scheme; Greeks in their own
        units.
        """
        batch, asked, control = self.batch, self.task.greeks, self.control
        n = len(batch.rows)
        if self.task.draws == "sobol":
            paths = whole_nets(paths)
        counted = _Fraction(tick, self.launch.tiles(paths).sum() / n) if tick else None
        found = self.launch.run(paths, self._betas, rng.PURPOSES[purpose], counted)
        skewness = found.skewness
        with np.errstate(divide="ignore", invalid="ignore"):
            values, errors, spreads = (
                one / self._units() for one in (found.values, found.errors, found.spreads)
            )
        if "gamma" in asked:
            values[without_gamma(batch), 1 + asked.index("gamma")] = np.nan
        if control is not None:
            values = values + control.betas * control.expected
            # where the control pays what the payoff does, on every path
            alike = spreads[:, 0] * np.sqrt(paths) < ALIKE * batch.amounts()
            alike &= np.broadcast_to(batch.model.volatile, n)
            errors[alike, 0] = unseen(batch, paths)[alike]
        if bumped := [name for name in asked if name not in self.derived]:
            share = greeks.bends(self.bumps, batch.log_variance(), bumped)
            own = [1 + asked.index(name) for name in bumped]
            errors[:, own] = np.hypot(errors[:, own], share * values[:, own])
        bias = self._bias(paths, errors[:, 0], purpose)
        errors = np.sqrt(errors**2 + bias.error**2 + bias.left**2)
        return Simulated(values - bias.size, errors, skewness, spreads, paths, bias)

    @property
    def _betas(self) -> np.ndarray:
        """How much of the control variate is subtracted from each output, shape (n, outputs)."""
        if self.control is None:
            return np.zeros((len(self.batch.rows), self.task.outputs))
        return self.control.betas

    def _bias(self, paths: np.ndarray, error: np.ndarray, purpose: str) -> Bias:
        """The bias of the scheme beside so many paths of each row, which have this error of the
        price; zero where the steps are exact.
        """
        if self.extrapolation is None:
            return Bias(*np.zeros((3, len(paths), self.task.outputs)))
        few = first_share(paths)
        found = self._bias_by(few, purpose)
        many = best_share(few, found.error[:, 0], paths, error)
        rows = np.flatnonzero(many > 2 * few)
        if rows.size:
            again = self.take(rows)._bias_by(many[rows], purpose)
            for mine, new in zip(found, again, strict=True):
                mine[rows] = new
        return found

    def _bias_by(self, coupled: np.ndarray, purpose: str) -> Bias:
        """The bias of the scheme by so many coupled paths of each row."""
        assert self.extrapolation is not None
        found = self.extrapolation.bias(coupled, self._betas, rng.PURPOSES[f"scheme of {purpose}"])
        with np.errstate(divide="ignore", invalid="ignore"):
            size, error, left = (part / self._units() for part in found)
        return Bias(size, np.abs(error), np.abs(left))


class _Fraction:
    """Turns finished units into finished rows for the progress bar."""

    def __init__(self, tick: Callable[[int], None], units_per_row: float) -> None:
        self.tick, self.units_per_row, self.units, self.rows = tick, units_per_row, 0, 0

    def __call__(self, units: int) -> None:
        self.units += units
        rows = int(self.units / self.units_per_row)
        self.tick(rows - self.rows)
        self.rows = rows
