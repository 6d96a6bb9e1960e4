"""No-touch: a fixed amount, or the asset, if the price never reaches a level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, choice, positive
from gpuquant.payoffs import reflection
from gpuquant.payoffs.base import Watched
from gpuquant.payoffs.monitoring import already_hit, bridge_survival_probability, survival_at


@dataclass(frozen=True)
class NoTouch(Watched):
    """`cash`, or the asset, at maturity if the price has not touched `barrier`, watched at T k/n, k
    = 1..n, or continuously.

    Parameters
    ----------
    barrier : Column, shape (n,)
        In currency units; > 0.
    direction : Column, shape (n,)
        down or up: where the barrier lies.
    maturity : Column, shape (n,)
        Years from today; 0 is now.
    pays : Column, shape (n,)
        cash or asset.
    cash : Column, shape (n,)
        Amount paid where `pays` is cash, in currency units; > 0.
    monitoring : Column, shape (n,)
        continuous or discrete.
    observations : Column, shape (n,)
        Dates of discrete monitoring; a whole number >= 1.

    References
    ----------
    Reiner and Rubinstein (1991), binary barriers; Glasserman (2003), section 6.4 for the bridge.
    """

    barrier: Column = positive(sample=80.0)
    direction: Column = choice("down", "up", codes=(-1.0, 1.0))
    pays: Column = choice("cash", "asset", default="cash")
    cash: Column = positive(default=1.0)

    levels = ("barrier",)
    kinks = ()
    differentiable = "watched"

    @staticmethod
    def start(p, i):
        return (1.0,)

    @staticmethod
    def observe(p, i, acc, log_spots, k):
        return (acc[0] * survival_at(p.direction[i], p.barrier[i], log_spots[0]),)

    @staticmethod
    def observe_bridge(p, i, acc, log0, log1, bridge):
        return (
            acc[0]
            * bridge_survival_probability(p.direction[i], p.barrier[i], log0[0], log1[0], bridge),
        )

    @staticmethod
    def finish(p, i, acc, log_spots):
        return acc[0] * (p.cash[i] if p.pays[i] == 0.0 else math.exp(log_spots[0]))

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        alive, held = reflection.untouched(p.direction, p.barrier, law, xp, special)
        return xp.where(
            (p.monitoring == 0.0) & law.flat, xp.where(p.pays == 0.0, p.cash * alive, held), xp.nan
        )

    @staticmethod
    def warn(p: Any) -> np.ndarray | None:
        return already_hit(p.direction * (p.spot - p.barrier) >= 0.0)
