"""Closed forms for all rows at once, where the model's spot is lognormal and the payoff has a
formula.

The payoffs hold the formulas, the models state the lognormal law, and this module combines the two.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from gpuquant.math.dual_functions import Functions, Special
from gpuquant.math.dual_numbers import plain
from gpuquant.math.duals import Dual, Key
from gpuquant.models.base import Model
from gpuquant.models.laws import Lognormals
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.bumps import UNIT, first_dates
from gpuquant.pricing.differences import extrapolated
from gpuquant.pricing.directions import Move
from gpuquant.pricing.greeks import greek, units

BESIDE = 1e-6  # of the spot: how far from a kink its two sides are looked at
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
            device.xp,
            device.special,
        )
        result.append(some is not None)
        out[which] = np.nan if some is None else some

    device.each(part, n, PART)
    return out if any(result) else None


def _values(
    model: type[Model], payoff: type[Payoff], columns: dict[str, Any], xp: Any, special: Any
) -> Any | None:
    """The prices of some rows; `columns`, `xp` and `special` may be those of dual numbers."""
    row = SimpleNamespace(**{"passed": 0.0, **columns})  # on the device
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # masked by where
        price = None
        if payoff.of_variance is not Payoff.of_variance:
            mean = model.mean_variance(row, row.maturity, xp, special)
            price = (
                None
                if mean is None
                else payoff.of_variance(row, mean, model.discount_factor(row, row.maturity, xp), xp)
            )
        law = model.lognormal(row, row.maturity, xp)
        if law is None or price is not None or (payoff.assets != 1) != isinstance(law, Lognormals):
            return price
        return payoff.closed(row, law, xp, special)


def price(
    model: Model, payoff: Payoff, device: Any, greeks: tuple[str, ...] = ()
) -> np.ndarray | None:
    """Price, and exact Greeks by dual numbers, shape (n, outputs); None when the pair has no
    formula.
    """
    columns = {**model.columns(), **payoff.columns()}
    n = max(len(value) for value in columns.values())
    on = {name: device.put(value, name) for name, value in columns.items()}
    if not greeks:
        base = values(type(model), type(payoff), on, device)
        return None if base is None else device.get(base, "price")[:, None]
    first = first_dates(model, payoff)
    out, found = device.xp.empty((n, 1 + len(greeks))), []
    near = device.put(first, "first dates")

    def part(which: slice) -> None:
        some = {name: value if len(value) == 1 else value[which] for name, value in on.items()}
        own = near if len(near) == 1 else near[which]
        made = _derived(type(model), type(payoff), some, own, greeks, device)
        found.append(made is not None)
        for o, column in enumerate(made or ()):
            out[which, o] = column

    try:
        device.each(part, n, PART)
    except (TypeError, AttributeError):  # a caller's formula may use functions of its own
        return extrapolated(model, payoff, device, greeks, values)
    if not any(found):
        return None
    result = np.array(device.get(out, "price"))
    for o, unit in enumerate(units(model, payoff, UNIT, first, greeks)):
        with np.errstate(divide="ignore", invalid="ignore"):
            result[:, o] /= unit
    if "gamma" in greeks:
        result[_at_kink(model, payoff, device, n), 1 + greeks.index("gamma")] = np.nan
    return result


def _derived(
    model: type[Model],
    payoff: type[Payoff],
    columns: dict[str, Any],
    first: Any,
    greeks: tuple[str, ...],
    device: Any,
) -> list[Any] | None:
    """The prices of some rows and their Greeks per unit bump; None when the pair has no formula."""
    along = [greek(name).along for name in greeks]
    pairs = tuple(dict.fromkeys(one for one in along if len(one) == 2))
    slopes: dict[str, dict[Key, Any]] = {}
    for direction in dict.fromkeys(one for both in along for one in both):
        for move in direction.moves(model, payoff, UNIT):
            seed = _seed(columns[move.column], move, first, device.xp)
            slopes.setdefault(move.column, {})[(direction,)] = seed
            if move.how == "variance" and (direction, direction) in pairs:
                slopes[move.column][direction, direction] = 0.5 * move.size * seed
            if move.how == "later":
                slopes.setdefault("passed", {})[(direction,)] = -move.size * first
    given = {"passed": device.xp.zeros_like(first), **columns}
    duals = {
        name: Dual(value, slopes[name], pairs) if name in slopes else value
        for name, value in given.items()
    }
    functions = Functions(device.xp)
    found = _values(model, payoff, duals, functions, Special(device.special, device.xp))
    if found is None:
        return None
    own = found.slopes if isinstance(found, Dual) else {}
    return [plain(found), *(own.get(one, 0.0) for one in along)]


def _seed(value: Any, move: Move, first: Any, xp: Any) -> Any:
    """How a column moves along a direction; of a list all numbers, or that of one asset."""
    how, _, size, asset = move
    if how == "later":  # what is today stays today
        return xp.where(value > 0.0, size * (first if value.ndim == 1 else first[:, None]), 0.0)
    if how == "shift":
        seed = xp.full_like(value[:1], size)
    else:
        seed = value if size == 1.0 else size * value
    if not asset:
        return seed
    return xp.where(xp.arange(value.shape[1]) == asset - 1, seed, 0.0)


def _at_kink(model: Model, payoff: Payoff, device: Any, n: int) -> np.ndarray:
    """Where a price that does not move stands at a kink of its payoff, shape (n,)."""
    still = ~np.broadcast_to(model.volatile, n)
    if not still.any() or not hasattr(model, "spot"):
        return np.zeros(n, bool)
    rows = np.flatnonzero(still)
    one, other = model.take(rows), payoff.take(rows)
    deltas = []
    for factor in (1.0 - BESIDE, 1.0 + BESIDE):
        moved = type(one).from_columns({**one.columns(), "spot": factor * one.columns()["spot"]})
        found = price(moved, other, device, ("delta",))
        assert found is not None
        deltas.append(np.broadcast_to(found[:, 1], len(rows)))
    out = np.zeros(n, bool)
    out[rows] = np.abs(deltas[1] - deltas[0]) > 10.0 * BESIDE
    return out
