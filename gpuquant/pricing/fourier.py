"""Fourier prices: where a model knows its characteristic function and a payoff of the last price its transform.

price = lognormal price + discount / pi * integral over u > 0 of Re[g(u) (phi(u - i/2) - phi_0(u - i/2))], Lewis (2001) with a lognormal
of the model's own mean variance, phi_0, as control variate: what is left is small, smooth, and has no poles.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np

from gpuquant.models.base import Lognormal, Model
from gpuquant.payoffs.base import Payoff

CHUNK = 1 << 17  # complex numbers of one block: 2 MB
LEAST = 1e-14  # of the forward: where the integral ends
SLOW = 2000  # points; who needs more has a tail that dies away as a power, and less of it is taken
FINEST = 7  # halvings of the step before a row is given up
ENOUGH = 1e-9  # of the forward, that the last halving made: the next would make its square, unless waves too short for the rule alias


def values(model: type[Model], payoff: type[Payoff], columns: dict[str, Any], place: Any) -> Any | None:
    """Prices, shape (n,), NaN where the integral does not settle; None when the pair has no transform."""
    xp = place.xp
    if model.characteristic is Model.characteristic or payoff.transform is Payoff.transform:
        return None
    n = max(len(value) for value in columns.values())
    rows = {name: xp.broadcast_to(value, (n,)) for name, value in columns.items()}
    out = xp.full(n, np.nan)
    waiting = xp.arange(n)
    with np.errstate(all="ignore"):  # masked by the check of the error
        for level in range(FINEST):
            points = 192 << level
            size = max(CHUNK // points, 1)

            def settle(which: Any, points: int = points) -> Any:
                with np.errstate(all="ignore"):
                    price, error = _integrated(model, payoff, SimpleNamespace(**{k: v[which] for k, v in rows.items()}), points, place)
                good = error < ENOUGH
                out[which[good]] = price[good]
                return which[~good]

            parts = [waiting[begin : begin + size] for begin in range(0, len(waiting), size)]
            waiting = xp.concatenate(_each(settle, parts, place))
            if not len(waiting):
                break
    return out


def _each(work: Callable[[Any], Any], parts: list[Any], place: Any) -> list[Any]:
    """The work on every part: on a CPU by as many threads as it has, for numpy lets go of the lock."""
    if place.kind != "cpu" or place.threads == 1 or len(parts) == 1:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(place.threads) as pool:
        return list(pool.map(work, parts))


def _integrated(model: type[Model], payoff: type[Payoff], row: Any, points: int, place: Any) -> tuple[Any, Any]:
    """Price, and how far the rule with half the points lies from it, in units of the forward."""
    xp = place.xp
    t = row.maturity
    growth, bond = model.growth(row, t, xp), model.bond(row, t, xp)
    variance: Any = model.mean_variance(row, t, xp, place.special)
    law = Lognormal.ending(row.spot, t, row.spot * growth, variance, bond, xp)
    base = payoff.closed(row, law, xp, place.special)
    nodes, weights = _rule(points)
    top = _reach(model, row, t, variance, LEAST if points <= SLOW else 1e3 * LEAST, place)
    wide = SimpleNamespace(**{k: v[:, None] for k, v in vars(row).items()})
    u = top[:, None] * xp.asarray(nodes)
    z = u - 0.5j
    difference: Any = model.characteristic(wide, z, t[:, None], xp, place.special) - xp.exp(-0.5 * variance[:, None] * (z * z + 1j * z))
    terms = (difference * payoff.transform(wide, u, law.forward[:, None], xp)).real * xp.asarray(weights)
    scale = top * law.discount / math.pi
    fine, coarse = terms.sum(axis=1) * scale, 2.0 * terms[:, ::2].sum(axis=1) * scale
    return base + fine, xp.abs(fine - coarse) / law.forward


def _rule(points: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on (0, 1) of the tanh-sinh rule (Takahasi and Mori, 1974); every other node is the rule of half the points."""
    step = 6.0 / points
    t = (np.arange(points) - points // 2) * step
    inner = 0.5 * math.pi * np.sinh(t)
    return 1.0 / (1.0 + np.exp(-2.0 * inner)), step * 0.25 * math.pi * np.cosh(t) / np.cosh(inner) ** 2


def _reach(model: type[Model], row: Any, t: Any, variance: Any, least: float, place: Any) -> Any:
    """Where the integrand has died away to `least`."""
    xp = place.xp
    top = 4.0 / xp.sqrt(variance)
    for _ in range(60):
        z = top - 0.5j
        alive = xp.maximum(xp.abs(model.characteristic(row, z, t, xp, place.special)), xp.exp(-0.5 * variance * (top * top + 0.25))) > least * top * top
        if not alive.any():
            break
        top = xp.where(alive, 1.3 * top, top)
    return top
