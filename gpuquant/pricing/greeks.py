"""Greeks by bumps on common random numbers: the variants of a row, and how their values combine.

A Greek is the derivative along one direction or two. Every variant of a row uses the same draws. So
a difference is averaged path by path and has its own standard error. All differences are central.
The bumps of the spot and of volatilities are relative, those of rates and of other columns are
absolute; a list of volatilities is shifted as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpuquant.data.columns import domains
from gpuquant.errors import InputError, unknown
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.bumps import Bumps
from gpuquant.pricing.directions import Direction
from gpuquant.pricing.kernels.records import Variants


class Greek(NamedTuple):
    """A derivative of the price.

    Parameters
    ----------
    along : tuple of Direction
        One direction, or two for a second derivative.
    desk : float
        Its factor with `units="desk"`: per 1 % of volatility and of rates, per day.
    factor : float
        Its factor in any units.
    """

    along: tuple[Direction, ...]
    desk: float = 1.0
    factor: float = 1.0


SPOT, VOLATILITY, TIME = Direction("spot"), Direction("volatility"), Direction("time")
GREEKS = {
    "delta": Greek((SPOT,)),
    "gamma": Greek((SPOT, SPOT)),
    "vega": Greek((VOLATILITY,), 0.01),
    "rho": Greek((Direction("rate"),), 0.01),
    "theta": Greek((TIME,), 1.0 / 365.0),
    "theta_per_day": Greek((TIME,), 1.0, 1.0 / 365.0),
    "dividend_rho": Greek((Direction("dividend"),), 0.01),
    "vanna": Greek((SPOT, VOLATILITY), 0.01),
    "volga": Greek((VOLATILITY, VOLATILITY), 1e-4),
}
NAMES = ("delta", "gamma", "vega", "rho", "theta")  # of greeks=True
IMPLIED = "implied_vol"  # no derivative, but asked for beside them
PATTERNS = "delta2, vega2 (of an asset), gamma12 (of two), d_kappa (of a column)"


def greek(name: str) -> Greek:
    """The Greek of this name."""
    if name in GREEKS:
        return GREEKS[name]
    if found := re.fullmatch(r"(delta|vega)([1-9]\d*)", name):
        kind, asset = found[1], int(found[2])
        spot, volatility = Direction("spot", asset), Direction("volatility", asset)
        return Greek((spot,)) if kind == "delta" else Greek((volatility,), 0.01)
    if found := re.fullmatch(r"gamma([1-9])([1-9])?", name):
        one, other = int(found[1]), int(found[2] or found[1])
        return Greek((Direction("spot", one), Direction("spot", other)))
    if found := re.fullmatch(r"d_(\w+)", name):
        return Greek((Direction("column", column=found[1]),))
    raise InputError(f"{unknown('Greek', name, (*GREEKS, IMPLIED))}; or {PATTERNS}")


def names_of(asked: Any) -> tuple[str, ...]:
    """The names that a caller asks for: True, one name, or several."""
    if isinstance(asked, bool | np.bool_):
        return NAMES if asked else ()
    if isinstance(asked, str):
        asked = (asked,)
    if not isinstance(asked, Iterable) or not all(isinstance(name, str) for name in asked):
        raise InputError(f"greeks = {asked!r}: must be True, False, or names of Greeks")
    names = tuple(dict.fromkeys(asked))
    for name in names:
        if name != IMPLIED:
            greek(name)
    return names


def refuse_unknown(names: tuple[str, ...], members: Iterable[Any]) -> None:
    """Refuse the derivative to a column that no model and no payoff of a run has."""
    known = {column for member in members for column in domains(type(member))}
    for name in names:
        column = name.removeprefix("d_")
        if name.startswith("d_") and known and column not in known:
            raise unknown("column", column, sorted(known))


HOWS = ("scale", "spot", "shift", "later")  # a bump moves a column; in the order of `Variants`
Step = tuple[Direction, float]  # a direction, and how many bumps along it


def stencil(along: tuple[Direction, ...]) -> list[tuple[tuple[Step, ...], float]]:
    """The steps and weights of the central difference along one direction or two."""
    one, other = along[0], along[-1]
    if len(along) == 1:
        return [(((one, 1.0),), 0.5), (((one, -1.0),), -0.5)]
    if one == other:
        return [((), -2.0), (((one, 1.0),), 1.0), (((one, -1.0),), 1.0)]
    return [
        (((one, first), (other, second)), 0.25 * first * second)
        for first in (1.0, -1.0)
        for second in (1.0, -1.0)
    ]


def plan(
    names: tuple[str, ...],
    model: type[Model],
    payoff: type[Payoff],
    bumps: Bumps,
    greeks: tuple[str, ...],
) -> Variants:
    """The variants of a row, and their weights in the price and in each Greek, in bump units.
    `names` are the columns of a packed row.
    """
    variants: dict[tuple[Step, ...], int] = {(): 0}
    weights: list[tuple[int, int, float]] = [(0, 0, 1.0)]
    for o, name in enumerate(greeks, start=1):
        for steps, weight in stencil(greek(name).along):
            weights.append((o, variants.setdefault(steps, len(variants)), weight))
    moved = np.zeros((len(HOWS), len(variants), len(names)))
    moved[0] = 1.0
    for steps, variant in variants.items():
        for direction, sign in steps:
            for how, column, size, asset in direction.moves(model, payoff, bumps):
                step = sign * size
                if how == "variance":  # of a volatility times 1 + step / 2
                    how, step = "scale", step + 0.25 * step * step
                moved[HOWS.index(how), variant, places_of(names, column, asset)] += step
    matrix = np.zeros((1 + len(greeks), len(variants)))
    for o, variant, weight in weights:
        matrix[o, variant] += weight
    scale, spot, shift, later = moved
    return Variants(scale, spot, shift, later, np.zeros((0, len(names))), matrix)


def places_of(names: tuple[str, ...], column: str, asset: int) -> list[int]:
    """Where a column is in a packed row, or its number for an asset."""
    places = [f for f, name in enumerate(names) if name == column]
    return places[asset - 1 : asset] if asset else places


def units(
    model: Model, payoff: Payoff, bumps: Bumps, first: np.ndarray, greeks: tuple[str, ...]
) -> list[Any]:
    """The divisor of the price and of each Greek, per row: the sizes of its bumps. NaN where the
    row has no such direction.
    """
    result: list[Any] = [1.0]
    for name in greeks:
        unit: Any = 1.0 / greek(name).factor
        for direction in greek(name).along:
            unit = unit * direction.size(model, payoff, bumps, first)
        result.append(unit)
    return result


def bends(bumps: Bumps, variance: np.ndarray | None, greeks: Sequence[str]) -> np.ndarray:
    """What bumps of finite size may add to each Greek, as a share of it, shape (rows, greeks).

    A central difference of width h errs by h^2 / 6 of the third derivative, or h^2 / 12 of the
    fourth. A price bends over one deviation of the log price, or over its whole volatility.
    `variance` is that of the log price, per row; where it is not known, the bend is not told.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        spot = np.zeros(1) if variance is None else bumps.spot**2 / variance
    none, volatility = np.zeros(1), np.full(1, bumps.volatility**2)
    squares = {"spot": np.where(np.isfinite(spot), spot, 0.0), "volatility": volatility}
    shares = []
    for name in greeks:
        along = greek(name).along
        twice = len(along) > len({*along})
        square = sum((squares.get(one.kind, none) for one in {*along}), none)
        shares.append(square / (12.0 if twice else 6.0))
    return np.stack(np.broadcast_arrays(*shares), axis=1)
