"""Greeks as derivatives of paths: the walk of dual numbers through the members' own functions.

Where what a path pays is a continuous function of a parameter, the derivative of the mean is the
mean of the derivatives (Broadie and Glasserman, 1996; Glasserman, 2003, section 7.2), without
the bias of a bump. The members say where that is so; everything else is left to `greeks`, by bumps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpuquant.data.columns import Member, domains
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.bumps import UNIT, Bumps
from gpuquant.pricing.directions import Direction
from gpuquant.pricing.greeks import HOWS, greek, places_of, plan
from gpuquant.pricing.kernels.build import Pair
from gpuquant.pricing.kernels.records import Variants

OWN = {"begin", "step", "log_spots", "start", "observe", "observe_bridge", "finish"}


def derived(
    model: type[Model],
    payoff: type[Payoff],
    fixed: tuple[tuple[str, float], ...],
    greeks: Sequence[str],
    *,
    restless: bool = False,
) -> tuple[str, ...]:
    """Those of these Greeks that are the means of derivatives of paths, with these fixed choices
    of the payoff. In `restless` rows those along a variance are not.
    """
    watched = payoff.continuous_monitoring(dict(fixed))
    smooth = ("always", "watched") if watched else ("always",)
    if said(model) != "always" or said(payoff) not in smooth:
        return ()
    own = [name for name in greeks if _has_derivative(greek(name).along, model, payoff)]
    return tuple(n for n in own if not (restless and _of_variance(greek(n).along[0], model)))


def said(member: type[Member]) -> str:
    """What a class says of its own functions: a subclass that changes them must say it anew."""
    for cls in member.__mro__:
        if "differentiable" in vars(cls):
            return str(vars(cls)["differentiable"])
        if OWN & {*vars(cls)}:
            return "never"
    return "never"


def _has_derivative(along: tuple[Direction, ...], model: type[Model], payoff: type[Payoff]) -> bool:
    """Whether a path has this derivative. A second derivative needs bumps, since a kink of the
    payment has none.
    """
    moves = [direction.moves(model, payoff, UNIT) for direction in along]
    if not all(moves):
        return True  # there is none, whatever the method
    discrete = {move.column for move in moves[0]} & {*model.discrete}
    return len(along) == 1 and not discrete and not (along[0].kind == "time" and model.discrete)


def _of_variance(direction: Direction, model: type[Model]) -> bool:
    """Whether a direction moves the variance of a path: not a spot, a rate, or the payoff."""
    if direction.kind == "column":
        still = {"spot", model.rate_column, model.dividend_column}
        return direction.column in domains(model) and direction.column not in still
    return direction.kind in ("volatility", "time")


def on_two_grids(names: Sequence[str]) -> tuple[str, ...]:
    """Those of these Greeks that are derivatives of paths on two grids, too: not along a spot.
    There the two paths of a pair may lie on two sides of a kink of the payment, which jumps in
    its derivative. A bump of the spot is wider than they are apart.
    """
    return tuple(name for name in names if greek(name).along[0].kind != "spot")


def shares(
    pair: Pair, bumps: Bumps, greeks: tuple[str, ...], own: tuple[str, ...]
) -> list[tuple[Variants, np.ndarray]]:
    """The variants of a row that each kernel walks, and which of the price and of the Greeks it
    tells: first the price and its `own` derivatives of paths, then what is left to bumps.
    """
    if not own:
        every = plan(pair.names, pair.model, pair.payoff, bumps, greeks)
        return [(every, np.arange(1 + len(greeks)))]
    result = [(_differentiated(pair, bumps, own), [0, *(1 + greeks.index(name) for name in own)])]
    left = tuple(name for name in greeks if name not in own)
    if left:
        bumped = plan(pair.names, pair.model, pair.payoff, bumps, left)
        weights = bumped.weights[1:]  # the price is told
        used = (weights != 0.0).any(axis=0)
        scale, spot, shift, later, slopes = (*(one[used] for one in bumped[:4]), bumped.slopes)
        bumped = Variants(scale, spot, shift, later, slopes, weights[:, used])
        result.append((bumped, [1 + greeks.index(name) for name in left]))
    return [(variants, np.array(outputs)) for variants, outputs in result]


def _differentiated(pair: Pair, bumps: Bumps, greeks: tuple[str, ...]) -> Variants:
    """The one variant of a row whose paths are differentiated along the directions of these
    Greeks, and the weights of the price and of its derivatives, in bump units.
    """
    names = pair.names
    moved = np.zeros((len(HOWS), 1, len(names)))
    moved[HOWS.index("scale")] = 1.0
    slopes = np.zeros((len(HOWS), len(greeks), len(names)))
    for j, name in enumerate(greeks):
        along = greek(name).along
        moves = along[0].moves(pair.model, pair.payoff, bumps) if len(along) == 1 else []
        for how, column, size, asset in moves:
            how = "scale" if how == "variance" else how
            slopes[HOWS.index(how), j, places_of(names, column, asset)] += size
    scale, spot, shift, later = moved
    every = slopes.reshape(-1, len(names))
    return Variants(scale, spot, shift, later, every, np.eye(1 + len(greeks)))
