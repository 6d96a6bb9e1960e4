"""Control variates: a payoff Z on the same paths whose price is known is subtracted as far as it
tells of the payoff Y.

    E[Y] = E[Y - beta Z] + beta E[Z],    beta = Cov(Y, Z) / Var(Z)

has the variance of Y times 1 - correlation^2 (Glasserman, 2003, section 4.1). Payoffs name their
controls, the formulas of the engine tell E[Z], and a pilot tells beta. The pilot has draws of its
own, so that the mean has no bias. A Greek is the same combination of bumped values, of Y as of Z.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from gpuquant.data.columns import domains
from gpuquant.data.domains import Domain
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing import closed_form, fourier
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.bumps import simulated
from gpuquant.pricing.differences import differences
from gpuquant.pricing.pathwise import derived
from gpuquant.pricing.request import Task
from gpuquant.pricing.time_grid import Grid

FEW = 0.25  # skewness of a pilot's mean: sixteen paths pay where all that pay pay the same


FORMULAS = ((closed_form.price, closed_form.values), (fourier.price, fourier.values))


@dataclass(frozen=True)
class Control:
    """The control variate of some rows.

    Parameters
    ----------
    payoff : Payoff
        It reads the columns of the rows' payoff.
    expected : float64 array, shape (n, outputs)
        Its exact price and Greeks.
    betas : float64 array, shape (n, outputs)
        How much of it is subtracted from the price and from each Greek.
    reduction : float64 array, shape (n,)
        The variance of the price without it over the variance with it, in the pilot.
    """

    payoff: Payoff
    expected: np.ndarray
    betas: np.ndarray
    reduction: np.ndarray

    @property
    def fixed(self) -> tuple[tuple[str, float], ...]:
        """Its choices that are constants of the kernel."""
        return tuple((name, float(getattr(self.payoff, name)[0])) for name in self._choices())

    @property
    def name(self) -> str:
        """Its class, and the first of its choices: Asian geometric."""
        words = [
            domain.words[domain.codes.index(float(getattr(self.payoff, name)[0]))]
            for name, domain in self._choices().items()
        ]
        return " ".join([type(self.payoff).__name__.strip("_"), *words[:1]])

    def _choices(self) -> dict[str, Domain]:
        every = domains(type(self.payoff))
        return {name: one for name, one in every.items() if one.compile_time_constant}

    def take(self, rows: np.ndarray) -> Control:
        """The control variate of these of its rows."""
        return Control(
            self.payoff.take(rows), self.expected[rows], self.betas[rows], self.reduction[rows]
        )

    def fitted(
        self, errors: np.ndarray, skewness: np.ndarray
    ) -> tuple[Control, np.ndarray, np.ndarray]:
        """The same with the best betas, from a pilot's standard errors and skewness of Y, of Y - Z
        and of Y + Z, each of shape (3, n, outputs). Then the errors that the pilot has with these
        betas, shape (n, outputs), and which rows the control serves, shape (n,): a pilot with few
        paths that pay tells no beta.
        """
        alone, less, more = errors
        with np.errstate(all="ignore"):
            spread = 0.5 * (more**2 + less**2) - alone**2
            together = 0.25 * (more**2 - less**2)
            share = together**2 / (spread * alone**2)
            useful = (spread > 0.0) & np.isfinite(self.expected)
            betas = np.where(useful, together / spread, 0.0)
            left = np.where(useful, np.maximum(1.0 - share, 1e-12), 1.0)
        expected = np.where(np.isfinite(self.expected), self.expected, 0.0)
        control = replace(self, expected=expected, betas=betas, reduction=1.0 / left[:, 0])
        # Y, and Y + Z for Z: the skewness of what is left is judged in the simulation itself
        serves = (np.abs(skewness[[0, 2], :, 0]) < FEW).all(axis=0) & useful[:, 0]
        return control, alone * np.sqrt(left), serves


def controls_of(batch: Batch, task: Task) -> Iterator[tuple[np.ndarray, Control | None]]:
    """The rows of a batch with the control variate of each part: the nearest whose price is
    known. Betas are zero still.
    """
    waiting = np.arange(len(batch.rows))
    for cls, choices in type(batch.payoff).controls(dict(batch.fixed)):
        payoff = _control(batch.payoff, cls, choices)
        if payoff is None or not len(waiting):
            continue
        part = batch.take(waiting)
        expected = _expected(part, payoff.take(waiting), task)
        known = np.isfinite(expected[:, 0])
        if known.any():
            rows = waiting[known]
            some = expected[known]
            yield rows, Control(payoff.take(rows), some, np.zeros_like(some), np.ones(len(rows)))
        waiting = waiting[~known]
    if len(waiting):
        yield waiting, None


def _control(payoff: Payoff, cls: type[Payoff], choices: dict[str, float]) -> Payoff | None:
    """The control of this class beside a payoff; None where it is the payoff itself."""
    columns = {**payoff.columns(), **{name: np.full(1, code) for name, code in choices.items()}}
    itself = type(payoff) is cls and all(
        (getattr(payoff, name) == code).all() for name, code in choices.items()
    )
    return None if itself else cls.from_columns(columns)


def _expected(batch: Batch, payoff: Payoff, task: Task) -> np.ndarray:
    """The exact price of the control beside each row, and its Greeks, shape (n, outputs): exact,
    or by the bumps of the simulation where it takes bumps. NaN where no formula applies.
    """
    bumps, first = simulated(batch), Grid.of(batch, task.steps).first
    members = type(batch.model), type(batch.payoff)
    exact = derived(*members, batch.fixed, task.greeks, restless=bool(batch.restless.any()))
    bumped = tuple(name for name in task.greeks if name not in exact)
    columns = {**batch.model.columns(), **payoff.columns()} if bumped else {}
    on = {name: task.device.put(value, name) for name, value in columns.items()}
    out = np.full((len(batch.rows), task.outputs), np.nan)
    for priced, values in FORMULAS:
        if np.isfinite(out[:, 0]).all():
            break
        found = priced(batch.model, payoff, task.device, exact)
        if found is None:
            continue
        both = np.full_like(out, np.nan)
        both[:, [0, *(1 + task.greeks.index(name) for name in exact)]] = found
        if bumped:
            moved = differences(batch.model, payoff, on, task.device, values, bumps, first, bumped)
            assert moved is not None  # there is a price
            both[:, [1 + task.greeks.index(name) for name in bumped]] = moved[:, 1:]
        out = np.where(np.isfinite(out), out, both)
    return out
