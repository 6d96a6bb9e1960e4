"""What is said beside a simulated price: the bias of its scheme, its control variate, the method of
its Greeks, and where a standard error may be too small.
"""

from __future__ import annotations

import numpy as np

from gpuquant.data.columns import domains
from gpuquant.pricing.batch import Batch, all_messages
from gpuquant.pricing.bumps import simulated
from gpuquant.pricing.control_variate import Control
from gpuquant.pricing.extrapolation import Bias
from gpuquant.pricing.greeks import greek, stencil, units
from gpuquant.pricing.request import Task
from gpuquant.pricing.simulation import RARE, Simulated, Simulation, unseen
from gpuquant.pricing.time_grid import Grid

SKEWED = 0.1  # skewness of a mean above which one-sided bounds of 95 and 99 % do not hold
ASSET_SKEWED = 0.07  # the same limit for the mean of the asset's price, whose skewness is computed
# A payoff is judged by ASSET_SKEWED if its own skewness is above this share of the asset's. A
# bounded payoff has a smaller skewness.
SEEN = 0.25
FEWEST, FEWEST_WATCHED = 4, 16  # steps of a scheme, and where a payoff watches between them
WORTH_SAYING = 1.1  # reduction of the variance by a control variate


def messages_of(
    simulation: Simulation, found: Simulated, notes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Message and warning of each simulated row. Standard errors that are known to be too small
    are widened in place.
    """
    batch, task, control = simulation.batch, simulation.task, simulation.control
    doubts = [
        notes.astype(object),
        *_without_spread(batch, found),
        _as_the_control(batch, found, control),
        _few_paths_of_greeks(batch, task, found),
    ]
    doubts += [_missed_target(task, batch, found), _too_few_steps(batch, task)]
    warned = np.any([doubt != "" for doubt in doubts], axis=0)
    message = all_messages(
        [
            *doubts,
            _scheme(batch, task, found.bias),
            _control(control),
            _methods(task.greeks, simulation.derived, len(found.paths)),
        ],
        len(found.paths),
    )
    assert message is not None
    return message, warned


def _scheme(batch: Batch, task: Task, bias: Bias) -> np.ndarray | None:
    """The bias of the model's scheme where it has one."""
    if not np.isfinite(batch.model.weak_order):
        return None
    told = zip(Grid.of(batch, task.steps).steps, bias.size[:, 0], bias.error[:, 0], strict=True)
    return np.array(
        [
            f"bias of {steps} steps, removed: {size:.2g} with a standard error of {error:.1g}"
            if error != 0.0
            else ""
            for steps, size, error in told
        ],
        dtype=object,
    )


def _too_few_steps(batch: Batch, task: Task) -> np.ndarray:
    """Where two grids are too coarse for the bias to fall with its order from one to the other."""
    steps = Grid.of(batch, task.steps).steps
    watched = batch.payoff.continuous_monitoring(dict(batch.fixed))
    least = FEWEST_WATCHED if watched else FEWEST
    few = (steps < least) & np.isfinite(batch.model.weak_order)
    return np.where(
        few, f"fewer than {least} steps: their bias may be far larger than std_error", ""
    ).astype(object)


def _control(control: Control | None) -> np.ndarray | None:
    """The control variate and what it does."""
    if control is None:
        return None
    return np.array(
        [
            f"control variate {control.name}: variance / {factor:,.{0 if factor >= 10.0 else 1}f}"
            if WORTH_SAYING < factor < 1e9
            else ""
            for factor in control.reduction.tolist()
        ],
        dtype=object,
    )


def _methods(greeks: tuple[str, ...], derived: tuple[str, ...], rows: int) -> np.ndarray | None:
    """How each Greek was found."""
    bumped = [name for name in greeks if name not in derived]
    told = [
        f"{', '.join(names)}: {how}"
        for names, how in ((derived, "derivatives of paths"), (bumped, "bumps"))
        if names
    ]
    return np.full(rows, "; ".join(told), dtype=object) if told else None


def _without_spread(batch: Batch, found: Simulated) -> list[np.ndarray]:
    """Where no path paid, where each paid the same, and where the price rests on few."""
    value, error, paths = found.values[:, 0], found.errors[:, 0], found.paths
    moves = np.broadcast_to(batch.model.volatile, len(paths)) & (found.spreads[:, 0] == 0.0)
    empty = moves & (value == 0.0)
    same = moves & (value != 0.0) & ("cash" in domains(type(batch.payoff)))
    few = ~empty & ~same & _rests_on_few(batch, paths, found.skewness[:, 0])
    none, alike, rare = (np.full(len(paths), "", dtype=object) for _ in range(3))
    for row in np.flatnonzero(empty | same):
        error[row] = unseen(batch, paths)[row]
    for row in np.flatnonzero(empty):
        none[row] = (
            f"no path of {paths[row]} paid: the chance of paying is under "
            f"{RARE / paths[row]:.1g}, and the price under some {error[row]:.2g}, its std_error"
        )
    for row in np.flatnonzero(same):
        alike[row] = (
            f"each of {paths[row]} paths paid the same: the chance of another end is "
            f"under {RARE / paths[row]:.1g}, and std_error some {error[row]:.2g}"
        )
    for row in np.flatnonzero(few):
        rare[row] = (
            f"the price rests on few of {paths[row]} paths (skewness of its mean "
            f"{found.skewness[row, 0]:.2g}): its std_error may be far too small"
        )
    return [none, alike, rare]


def _as_the_control(batch: Batch, found: Simulated, control: Control | None) -> np.ndarray:
    """Where each path paid what the control variate did: the simulation widened the error."""
    out = np.full(len(found.paths), "", dtype=object)
    if control is not None:
        widened = found.errors[:, 0] == unseen(batch, found.paths)
        for row in np.flatnonzero(widened & (found.values[:, 0] != 0.0)):
            out[row] = (
                f"each of {found.paths[row]} paths paid what its control variate {control.name} "
                f"did: std_error is the chance of another end, {RARE / found.paths[row]:.1g}, "
                "times the amount at stake"
            )
    return out


def _few_paths_of_greeks(batch: Batch, task: Task, found: Simulated) -> np.ndarray:
    """Where a Greek rests on few paths that a bump carries over a jump of the payment. The error
    of a Greek for which no path was carried over is the chance of it, times the jump.
    """
    out = np.full(len(found.paths), "", dtype=object)
    if not task.greeks or not batch.payoff.jumps(dict(batch.fixed)):
        return out
    first = Grid.of(batch, task.steps).first
    sizes = units(batch.model, batch.payoff, simulated(batch), first, task.greeks)
    jump = batch.amounts()
    lost: list[list[str]] = [[] for _ in out]
    for o, name in enumerate(task.greeks, start=1):
        weight = abs(stencil(greek(name).along)[-1][1])  # of a path beyond the jump
        with np.errstate(divide="ignore", invalid="ignore"):
            one = jump / np.abs(sizes[o]) * weight
            carried = (np.abs(found.spreads[:, o]) * found.paths / one) ** 2
        for row in np.flatnonzero(carried < RARE):
            found.errors[row, o] = RARE * one[row] / found.paths[row]
        for row in np.flatnonzero(carried < 1.0 / SKEWED**2):
            lost[row].append(name)
    for k, names in enumerate(lost):
        if names:
            out[k] = (
                f"{', '.join(names)}: few of {found.paths[k]} paths jump within a bump, and "
                "std_error may be too small"
            )
    return out


def _missed_target(task: Task, batch: Batch, found: Simulated) -> np.ndarray:
    """Where the target error was not reached."""
    out = np.full(len(found.paths), "", dtype=object)
    if task.target_error is not None:
        target = task.target_error[batch.rows]
        left = found.bias.left[:, 0]
        for row in np.flatnonzero(found.errors[:, 0] > 1.2 * target):
            out[row] = (
                f"target_error = {target[row]:g} was not reached: {found.errors[row, 0]:.2g} with "
                f"{found.paths[row]} paths"
            )
            if left[row] > 0.5 * target[row]:
                out[row] += f", of which {left[row]:.2g} may be bias of the steps: use more"
    return out


def _rests_on_few(batch: Batch, paths: np.ndarray, skewness: np.ndarray) -> np.ndarray:
    """Where a mean is so skewed that one-sided bounds of 95 and 99 % do not hold.

    By Edgeworth's expansion a bound of z standard errors fails more often than for a normal mean,
    by skewness (2 z^2 + 1) phi(z) / 6: half a percent at 99 % where the skewness is 0.1. A sample
    underestimates the skewness of a heavy tail, because the largest values are missing. So a price
    with some skewness in the sample is also judged by the skewness of the asset's own price. That
    price is taken as lognormal with the model's variance.
    """
    result = np.abs(skewness) > SKEWED
    variance = batch.log_variance()
    if variance is None:
        return np.asarray(result)
    with np.errstate(over="ignore", invalid="ignore"):
        asset = (np.exp(variance) + 2.0) * np.sqrt(np.expm1(variance)) / np.sqrt(paths)
    return np.asarray(
        result | ((asset > ASSET_SKEWED) & (skewness > SEEN * np.minimum(asset, 0.2)))
    )
