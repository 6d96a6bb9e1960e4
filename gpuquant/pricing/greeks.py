"""Greeks by bumps on common random numbers: the variants of a row, and how their values combine.

A Greek is the derivative along one direction or two. Every variant of a row uses the same draws. So
a difference is averaged path by path and has its own standard error. All differences are central.
The bumps of the spot and of volatilities are relative, those of rates and of other columns are
absolute; a list of volatilities is shifted as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from gpuquant.data.columns import domains
from gpuquant.errors import InputError, unknown
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.bumps import TYPICAL, Bumps, clocks_of
from gpuquant.pricing.kernels.records import Variants


class Greek(NamedTuple):
    """A derivative of the price.

    Parameters
    ----------
    along : tuple of str
        One direction, or two for a second derivative: spot, volatility, rate, dividend, time;
        `spot 2` of the second asset; `column kappa` of a parameter.
    desk : float
        Its factor with `units="desk"`: per 1 % of volatility and of rates, per day.
    factor : float
        Its factor in any units.
    """

    along: tuple[str, ...]
    desk: float = 1.0
    factor: float = 1.0


GREEKS = {
    "delta": Greek(("spot",)),
    "gamma": Greek(("spot", "spot")),
    "vega": Greek(("volatility",), 0.01),
    "rho": Greek(("rate",), 0.01),
    "theta": Greek(("time",), 1.0 / 365.0),
    "theta_per_day": Greek(("time",), 1.0, 1.0 / 365.0),
    "dividend_rho": Greek(("dividend",), 0.01),
    "vanna": Greek(("spot", "volatility"), 0.01),
    "volga": Greek(("volatility", "volatility"), 1e-4),
}
NAMES = ("delta", "gamma", "vega", "rho", "theta")  # of greeks=True
IMPLIED = "implied_vol"  # no derivative, but asked for beside them
PATTERNS = "delta2, vega2 (of an asset), gamma12 (of two), d_kappa (of a column)"


def greek(name: str) -> Greek:
    """The Greek of this name."""
    if name in GREEKS:
        return GREEKS[name]
    if found := re.fullmatch(r"(delta|vega)([1-9]\d*)", name):
        kind, asset = found.groups()
        return (
            Greek((f"spot {asset}",)) if kind == "delta" else Greek((f"volatility {asset}",), 0.01)
        )
    if found := re.fullmatch(r"gamma([1-9])([1-9])?", name):
        return Greek((f"spot {found[1]}", f"spot {found[2] or found[1]}"))
    if found := re.fullmatch(r"d_(\w+)", name):
        return Greek((f"column {found[1]}",))
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


Step = tuple[str, float]  # a direction, and how many bumps along it


def stencil(along: tuple[str, ...]) -> list[tuple[tuple[Step, ...], float]]:
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


def variants_of(greeks: tuple[str, ...]) -> int:
    """How many variants of a row the price and these Greeks need."""
    return len({(), *(steps for name in greeks for steps, _ in stencil(greek(name).along))})


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
    shape = len(variants), len(names)
    scale, spot, shift, later = (np.full(shape, value) for value in (1.0, 0.0, 0.0, 0.0))
    arrays = {"scale": scale, "spot": spot, "shift": shift, "later": later}
    for steps, variant in variants.items():
        for direction, sign in steps:
            for kind, column, size in moves(direction, model, payoff, bumps):
                name, _, asset = column.partition(" ")
                places = [f for f, other in enumerate(names) if other == name]
                if asset:
                    places = places[int(asset) - 1 : int(asset)]
                step = sign * size
                if kind == "variance":  # of a volatility times 1 + step / 2
                    kind, step = "scale", step + 0.25 * step * step
                arrays[kind][variant, places] += step
    matrix = np.zeros((1 + len(greeks), len(variants)))
    for o, variant, weight in weights:
        matrix[o, variant] += weight
    return Variants(scale, spot, shift, later, matrix)


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
            unit = unit * _size(direction, model, payoff, bumps, first)
        result.append(unit)
    return result


def moves(
    direction: str, model: type[Model], payoff: type[Payoff], bumps: Bumps
) -> list[tuple[str, str, float]]:
    """What one bump along a direction moves: the kind of the move, the column (of one asset:
    `spots 2`), and its size. Empty where the row has no such direction.
    """
    kind, _, which = direction.partition(" ")
    own = domains(model)
    if kind == "time":  # all dates come nearer by the same time
        return [("later", name, -bumps.maturity) for name in clocks_of(model, payoff)]
    if kind == "column":
        return _moves_of_column(which, model, payoff, bumps)
    if kind in ("rate", "dividend"):
        name = model.rate_column if kind == "rate" else model.dividend_column
        return [("shift", name, bumps.rate)] if name in own else []
    if kind == "spot":
        name = "spots" if which else "spot"
        return [("spot", f"{name} {which}".strip(), 1.0)] if name in own else []
    if which:  # the volatility of one asset
        known = "volatilities" in own and model.assets != 1
        return [("scale", f"volatilities {which}", bumps.volatility)] if known else []
    names = model.variance_columns or (model.vega_column,)  # variances move in proportion
    scale = "variance" if model.vega_is_variance else "scale"
    return [
        ("shift", name, bumps.volatility * TYPICAL)
        if own[name].listed
        else (scale, name, bumps.volatility)
        for name in names
        if name in own
    ]


def _size(direction: str, model: Model, payoff: Payoff, bumps: Bumps, first: np.ndarray) -> Any:
    """The size of a bump along a direction, in the unit of what it moves, per row."""
    kind, _, which = direction.partition(" ")
    if not moves(direction, type(model), type(payoff), bumps):
        return np.full(1, np.nan)
    if kind == "time":
        return bumps.maturity * first
    if kind == "column":
        ((how, _, size),) = _moves_of_column(which, type(model), type(payoff), bumps)
        value = {**model.columns(), **payoff.columns()}[which]
        return size if how == "shift" else abs(value) * (bumps.spot if how == "spot" else size)
    if kind in ("rate", "dividend"):
        return bumps.rate
    if which:
        values = getattr(model, "spots" if kind == "spot" else "volatilities")
        values = values[:, int(which) - 1] if int(which) <= values.shape[1] else np.full(1, np.nan)
        return (bumps.spot if kind == "spot" else bumps.volatility) * values
    if kind == "spot":
        return bumps.spot * getattr(model, "spot", np.zeros(1))
    level = getattr(model, model.vega_column)
    level = np.full(1, TYPICAL) if level.ndim == 2 else level
    # a bump r of a variance is r sqrt(variance) / 2 of its volatility
    return bumps.volatility * (0.5 * np.sqrt(level) if model.vega_is_variance else level)


def _moves_of_column(
    name: str, model: type[Model], payoff: type[Payoff], bumps: Bumps
) -> list[tuple[str, str, float]]:
    """The move of one column of numbers: a price by the bump of the spot, what is positive by a
    share of itself, another number by an absolute bump. Empty where there is no such column, where
    it is a time (the dates of a payoff would not follow), and where other columns are derived from
    the member's.
    """
    for member in (model, payoff):
        every = domains(member)
        domain = every.get(name)
        if domain is None:
            continue
        plain = not (domain.words or domain.whole or domain.listed or domain.host_only)
        derived = any(one.derived for one in every.values())
        if not plain or derived or name in clocks_of(model, payoff):
            return []
        if name in ("spot", "strike", *payoff.levels):
            return [("spot", name, 1.0)]
        if domain.low >= 0.0:
            return [("scale", name, bumps.volatility)]
        return [("shift", name, bumps.rate)]
    return []
