"""Closed forms for all rows at once, where the model's spot is lognormal and the payoff has a
formula.

The payoffs hold the formulas, the models state the lognormal law, and this module combines the two.
A formula is traced, and its trace is a kernel. A formula that no trace can hold runs on arrays.
"""

from __future__ import annotations

from functools import cache, partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from gpuquant.compiler import trace
from gpuquant.compiler.functions import fingerprint
from gpuquant.data.columns import cached, domains
from gpuquant.errors import MemberError
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
from gpuquant.pricing.kernels import formula_loop

BESIDE = 1e-6  # of the spot: how far from a kink its two sides are looked at
# what a formula raises that does with arrays what it cannot do with symbols
NO_TRACE = (TypeError, AttributeError, ValueError, LookupError, ArithmeticError, MemberError)
PART = 8192  # rows at once: their temporaries stay in the cache


class Pair(NamedTuple):
    """A model and a payoff, and the Greeks that are asked of their formula."""

    model: type[Model]
    payoff: type[Payoff]
    greeks: tuple[str, ...] = ()


def values(
    model: type[Model], payoff: type[Payoff], columns: dict[str, Any], device: Any
) -> Any | None:
    """Prices, shape (n,), NaN where no formula applies; None when the pair has none."""
    found = _results(Pair(model, payoff), columns, None, device)
    return None if found is None else found[0]


def _results(pair: Pair, columns: dict[str, Any], first: Any, device: Any) -> Any | None:
    """Prices and Greeks per unit bump, shape (outputs, n); None when the pair has no formula.
    `first` are the years to the first date of each row, where Greeks are asked for.
    """
    model, payoff = pair.model, pair.payoff
    of_law = model.lognormal is not Model.lognormal and payoff.closed is not Payoff.closed
    if not of_law and payoff.of_variance is Payoff.of_variance:
        return None
    given = {**columns, **({"_first": first} if pair.greeks else {})}
    n = max(len(value) for value in given.values())
    fixed = tuple(
        (name, float(given[name][0]))
        for member in pair[:2]
        for name, domain in domains(member).items()
        if domain.compile_time_constant
        and name in given
        and bool((given[name] == given[name][0]).all())
    )
    free = tuple(k for k, v in given.items() if v.ndim == 1 and k not in dict(fixed))
    kernel = _kernel(pair, fixed, free, _functions(pair))
    out = device.xp.empty((1 + len(pair.greeks), n))
    there = []

    def part(which: slice) -> None:
        some = {name: v if len(v) == 1 else v[which] for name, v in given.items()}
        if kernel is not None:
            numbers, count = [some[name] for name in free], min(which.stop, n) - which.start
            out[:, which] = formula_loop.results(kernel, numbers, len(out), count, device)
            there.append(True)
            return
        made = _formula(pair, some, device.xp, device.special)
        there.append(made is not None)
        for o, column in enumerate(made or ()):
            out[o, which] = column

    device.each(part, n, PART)
    return out if any(there) else None


def _functions(pair: Pair) -> tuple[Any, ...]:
    """All that the functions of a pair's formula depend on, which decides its kernel."""
    model, payoff = pair[:2]
    law = model.lognormal, model.mean_variance, model.discount_factor
    return tuple(map(fingerprint, (*law, payoff.closed, payoff.of_variance)))


@cached
def _kernel(
    pair: Pair,
    fixed: tuple[tuple[str, float], ...],
    names: tuple[str, ...],
    functions: tuple[Any, ...],
) -> formula_loop.Kernel | None:
    """The kernel of a pair's formula; None where it has none, or no trace can hold it."""

    def traced(columns: dict[str, Any]) -> list[Any] | None:
        given = {**columns, **{name: np.float64(value) for name, value in fixed}}
        return _formula(pair, given, trace.Functions(), trace.Special())

    kernel = cache(partial(formula_loop.source, traced, names))
    try:
        kernel("cpu")
    except NO_TRACE:
        return None
    return kernel


def _formula(pair: Pair, columns: dict[str, Any], xp: Any, special: Any) -> list[Any] | None:
    """The price and the Greeks per unit bump; None when the pair has no formula."""
    if pair.greeks:
        return _derived(pair, columns, xp, special)
    price = _values(pair.model, pair.payoff, columns, xp, special)
    return None if price is None else [price]


def _values(
    model: type[Model], payoff: type[Payoff], columns: dict[str, Any], xp: Any, special: Any
) -> Any | None:
    """The prices of some rows; `columns`, `xp` and `special` may be those of dual numbers."""
    row = SimpleNamespace(**{"passed": np.float64(0.0), **columns})  # on the device
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
    near = device.put(first, "first dates")
    try:
        found = _results(Pair(type(model), type(payoff), greeks), on, near, device)
    except (TypeError, AttributeError):  # a caller's formula may use functions of its own
        return extrapolated(model, payoff, device, greeks, values)
    if found is None:
        return None
    result = device.get(found, "price").T
    for o, unit in enumerate(units(model, payoff, UNIT, first, greeks)):
        with np.errstate(divide="ignore", invalid="ignore"):
            result[:, o] /= unit
    if "gamma" in greeks:
        result[_at_kink(model, payoff, device, n), 1 + greeks.index("gamma")] = np.nan
    return result


def _derived(pair: Pair, given: dict[str, Any], xp: Any, special: Any) -> list[Any] | None:
    """The prices of some rows and their Greeks per unit bump; None when the pair has no formula."""
    columns = {name: value for name, value in given.items() if name != "_first"}
    first = given["_first"]
    along = [greek(name).along for name in pair.greeks]
    pairs = tuple(dict.fromkeys(one for one in along if len(one) == 2))
    slopes: dict[str, dict[Key, Any]] = {}
    for direction in dict.fromkeys(one for both in along for one in both):
        for move in direction.moves(pair.model, pair.payoff, UNIT):
            seed = _seed(columns[move.column], move, first, xp)
            slopes.setdefault(move.column, {})[(direction,)] = seed
            if move.how == "variance" and (direction, direction) in pairs:
                slopes[move.column][direction, direction] = 0.5 * move.size * seed
            if move.how == "later":
                slopes.setdefault("passed", {})[(direction,)] = -move.size * first
    duals = {
        name: Dual(value, slopes[name], pairs) if name in slopes else value
        for name, value in {"passed": 0.0 * first, **columns}.items()
    }
    functions, own_special = Functions(xp), Special(special, xp)
    found = _values(pair.model, pair.payoff, duals, functions, own_special)
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
        seed = xp.full_like(value, size)
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
