"""Greeks of a formula by central differences: of an integral, whose branches follow its parameters,
and of a control variate, whose bumps must be those of the simulation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.bumps import FORMULA, Bumps, first_dates
from gpuquant.pricing.greeks import plan, units
from gpuquant.pricing.kernels.records import Variants

Formula = Callable[[type[Model], type[Payoff], dict[str, Any], Any], Any]

KINK = 0.1  # of a gamma: from a smooth price two bumps tell the same to less
JUMP = 0.02  # of delta, within a bump: a smooth delta moves by less
ROUNDING = 1e-13  # of a price and its spot
TOGETHER = 128  # rows that a formula prices in little more time than one: variants of few rows


def extrapolated(
    model: Model, payoff: Payoff, device: Any, greeks: tuple[str, ...], values: Formula
) -> np.ndarray | None:
    """Price, and Greeks by extrapolated central differences of `values`, shape (n, outputs);
    None when the pair has no formula.
    """
    columns = {**model.columns(), **payoff.columns()}
    n = max(len(value) for value in columns.values())
    on = {name: device.put(value, name) for name, value in columns.items()}
    base = values(type(model), type(payoff), on, device)
    if base is None:
        return None
    base = device.xp.broadcast_to(base, (n,))
    if not greeks:
        return device.get(base, "price")[:, None]
    # a gamma is judged beside its delta
    names = tuple(dict.fromkeys([*greeks, *(["delta"] if "gamma" in greeks else [])]))
    first = first_dates(model, payoff)
    near = differences(model, payoff, on, device, values, FORMULA, first, names)
    far = differences(model, payoff, on, device, values, FORMULA.twice(), first, names)
    assert near is not None and far is not None  # there is a price
    # Richardson (1911): what is left is of the fourth order in the bump
    result = near.copy()
    result[:, 1:] = (4.0 * near[:, 1:] - far[:, 1:]) / 3.0
    if "gamma" in greeks:
        delta, gamma = (1 + names.index(name) for name in ("delta", "gamma"))
        bump = units(model, payoff, FORMULA, first, ("delta",))[1]
        kink = _kink(near[:, [0, delta, gamma]], far[:, [0, delta, gamma]], bump)
        result[kink, gamma] = np.nan
    return result[:, : 1 + len(greeks)]


def _kink(near: np.ndarray, far: np.ndarray, bump: Any) -> np.ndarray:
    """Where two bumps of the spot tell of two gammas, beyond rounding and beyond what a smooth
    delta does: between them delta has a jump, or the price. `near` and `far` are price, delta and
    gamma by the two bumps.
    """
    one, other = near[:, 2], far[:, 2]
    delta = np.maximum(np.abs(near[:, 1]), np.abs(far[:, 1]))
    with np.errstate(all="ignore"):
        noise = ROUNDING * (np.abs(near[:, 0]) + bump / FORMULA.spot) / bump**2
        jump = JUMP * delta / bump
        far_apart = np.abs(one - other) > KINK * np.maximum(np.abs(one), np.abs(other))
        return np.asarray(far_apart & (np.abs(one - other) > noise + jump))


def differences(
    model: Model,
    payoff: Payoff,
    on: dict[str, Any],
    device: Any,
    values: Formula,
    bumps: Bumps,
    first: np.ndarray,
    greeks: tuple[str, ...],
) -> np.ndarray | None:
    """The price and its central differences, shape (n, outputs), from the columns `on` the device;
    None when the pair has no formula. `first` are the years to the first date of each row.
    """
    n = max(model.rows, payoff.rows)
    names = [name for name, value in on.items() for _ in range(value[:1].size)]
    variants = plan(tuple(names), type(model), type(payoff), bumps, greeks)
    near, bump = device.put(first, "first dates"), device.put(bumps.spot, "bumps")
    weights = variants.weights
    total = device.xp.zeros((n, len(weights)))
    for group in _groups(variants, n):
        each = [_variant(on, names, variants, v, bump, near, device) for v in group]
        worth = values(type(model), type(payoff), _stacked(on, each, n, device.xp), device)
        if worth is None:
            return None
        for v, own in zip(group, worth.reshape(len(group), n), strict=True):
            for o in np.flatnonzero(weights[:, v]).tolist():
                total[:, o] += weights[o, v] * own
    out = np.array(device.get(total, "price"))
    for o, unit in enumerate(units(model, payoff, bumps, first, greeks)):
        with np.errstate(divide="ignore", invalid="ignore"):
            out[:, o] /= unit
    return out


def _groups(variants: Variants, n: int) -> list[list[int]]:
    """The variants of `n` rows that are priced together: of few rows many, and those for which time
    passes apart from the others.
    """
    later = variants.later.any(axis=1)
    size = max(1, TOGETHER // n)
    every = (np.flatnonzero(~later).tolist(), np.flatnonzero(later).tolist())
    return [some[k : k + size] for some in every for k in range(0, len(some), size)]


def _variant(
    on: dict[str, Any],
    names: list[str],
    variants: Variants,
    v: int,
    bump: Any,
    near: Any,
    device: Any,
) -> dict[str, Any]:
    """The columns that variant `v` moves."""
    moved = {}
    for name in {names[f] for f in np.flatnonzero(_bumped(variants, v)).tolist()}:
        own = [f for f, other in enumerate(names) if other == name]
        moved[name] = _moved(on[name], variants, v, own, bump, near, device)
    passed = variants.later[v][variants.later[v] != 0.0]
    if passed.size:
        moved["passed"] = -passed[0] * near
    return moved


def _stacked(on: dict[str, Any], each: list[dict[str, Any]], n: int, xp: Any) -> dict[str, Any]:
    """The columns of all rows of all variants; one that none moves and that all rows share stays
    short.
    """
    if len(each) == 1:
        return {**on, **each[0]}
    result = {}
    for name, value in on.items():
        every = [moved.get(name, value) for moved in each]
        if len(value) > 1 or any(name in moved for moved in each):
            value = xp.concatenate([xp.broadcast_to(v, (n, *v.shape[1:])) for v in every])
        result[name] = value
    for name in {name for moved in each for name in moved} - {*on}:  # how much time has passed
        result[name] = xp.concatenate([xp.broadcast_to(moved[name], (n,)) for moved in each])
    return result


def _bumped(variants: Variants, v: int) -> np.ndarray:
    """Which numbers of a row variant `v` moves."""
    return np.asarray(
        (variants.scale[v] != 1.0)
        | (variants.spot[v] != 0.0)
        | (variants.shift[v] != 0.0)
        | (variants.later[v] != 0.0)
    )


def _moved(
    value: Any, variants: Variants, v: int, own: list[int], bump: Any, near: Any, device: Any
) -> Any:
    """A column as variant `v` moves it; `own` are the places of its numbers in a row."""
    moves = [one[v, own] for one in (variants.scale, variants.spot, variants.shift, variants.later)]
    scale, spot, shift, later = (
        float(one[0]) if (one == one[0]).all() else device.put(one, "bumps") for one in moves
    )
    if value.ndim == 2:
        bump, near = (one if one.ndim == 0 else one[:, None] for one in (bump, near))
    if variants.later[v, own].any():  # what is today stays today
        return device.xp.where(value > 0.0, value + later * near, value)
    return value * (scale + spot * bump) + shift
