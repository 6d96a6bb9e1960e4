"""Closed forms for all rows at once, where the model's spot is lognormal and the payoff has a
formula.

The payoffs hold the formulas, the models state the lognormal law, and this module combines the two.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from gpuquant.models.base import Lognormals, Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.greeks import FORMULA, Bumps, first_dates, plan, units

Formula = Callable[[type[Model], type[Payoff], dict[str, Any], Any], Any]


GAMMA = 2
KINK = 0.1  # of a gamma: from a smooth price two bumps tell the same to less
JUMP = 0.02  # of delta, within a bump: a smooth delta moves by less
ROUNDING = 1e-13  # of a price and its spot
PART = 8192  # rows at once: their temporaries stay in the cache


def values(
    model: type[Model], payoff: type[Payoff], columns: dict[str, Any], device: Any
) -> Any | None:
    """Prices, shape (n,), NaN where no formula applies; None when the pair has none."""
    n = max(len(value) for value in columns.values())
    out = device.xp.empty(n)
    result = []

    def part(which: slice) -> None:
        some = _values(
            model,
            payoff,
            {name: value if len(value) == 1 else value[which] for name, value in columns.items()},
            device,
        )
        result.append(some is not None)
        out[which] = np.nan if some is None else some

    device.each(part, n, PART)
    return out if any(result) else None


def _values(
    model: type[Model], payoff: type[Payoff], columns: dict[str, Any], device: Any
) -> Any | None:
    """The prices of some rows."""
    xp = device.xp
    row = SimpleNamespace(**{"passed": 0.0, **columns})  # on the device
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # masked by where
        price = None
        if payoff.of_variance is not Payoff.of_variance:
            mean = model.mean_variance(row, row.maturity, xp, device.special)
            price = (
                None
                if mean is None
                else payoff.of_variance(row, mean, model.discount_factor(row, row.maturity, xp), xp)
            )
        law = model.lognormal(row, row.maturity, xp)
        if law is None or price is not None or (payoff.assets != 1) != isinstance(law, Lognormals):
            return price
        return payoff.closed(row, law, xp, device.special)


def price(
    model: Model, payoff: Payoff, device: Any, *, greeks: bool, values: Formula = values
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
    first = first_dates(model, payoff)
    near = differences(model, payoff, on, device, values, FORMULA, first)
    far = differences(model, payoff, on, device, values, FORMULA.twice(), first)
    assert near is not None and far is not None  # there is a price
    kink = _kink(near, far, units(model, payoff, FORMULA, first)[1])
    near[:, 1:] = (
        4.0 * near[:, 1:] - far[:, 1:]
    ) / 3.0  # Richardson (1911): what is left is of the fourth order in the bump
    near[kink, GAMMA] = np.nan
    return near


def _kink(near: np.ndarray, far: np.ndarray, bump: Any) -> np.ndarray:
    """Where two bumps of the spot tell of two gammas, beyond rounding and beyond what a smooth
    delta does: between them delta has a jump, or the price.
    """
    one, other = near[:, GAMMA], far[:, GAMMA]
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
) -> np.ndarray | None:
    """The price and its central differences, shape (n, outputs), from the columns `on` the device;
    None when the pair has no formula. `first` are the years to the first date of each row.
    """
    n = max(model.rows, payoff.rows)
    names = tuple(on)
    scale, spot, shift, later, weights = plan(names, type(model), type(payoff), bumps)
    near, bump = device.put(first, "first dates"), device.put(bumps.spot, "bumps")
    total = device.xp.zeros((n, len(weights)))
    for v in range(len(scale)):
        moved = {
            name: value
            if scale[v, f] == 1.0 and spot[v, f] == 0.0 and shift[v, f] == 0.0
            else value * (scale[v, f] + spot[v, f] * bump) + shift[v, f]
            for f, (name, value) in enumerate(on.items())
        }
        for f in np.flatnonzero(later[v]).tolist():
            value = on[names[f]]
            step = later[v, f] * (near if value.ndim == 1 else near[:, None])
            moved[names[f]] = device.xp.where(value > 0.0, value + step, value)
            moved["passed"] = -later[v, f] * near
        worth = values(type(model), type(payoff), moved, device)
        if worth is None:
            return None
        for o in np.flatnonzero(weights[:, v]).tolist():
            total[:, o] += weights[o, v] * worth
    out = np.array(device.get(total, "price"))
    for o, unit in enumerate(units(model, payoff, bumps, first)):
        with np.errstate(divide="ignore", invalid="ignore"):
            out[:, o] /= unit
    return out
