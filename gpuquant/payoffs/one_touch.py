"""One-touch: a fixed amount, or the asset, if the price reaches a level."""

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
class OneTouch(Watched):
    """`cash`, or the asset, if the price touches `barrier`, watched at T k/n, k = 1..n, or
    continuously by a Brownian bridge.

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
    payment : Column, shape (n,)
        maturity or hit.
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
    payment: Column = choice("maturity", "hit", default="maturity")

    levels = ("barrier",)
    kinks = ()
    differentiable = "watched"

    @staticmethod
    def start(p, i, log_spots, growth):
        touched = (
            p.direction[i] * (log_spots[0] - math.log(p.barrier[i])) >= 0.0
            and p.monitoring[i] == 0.0
        )
        now = p.cash[i] if p.pays[i] == 0.0 else math.exp(log_spots[0])
        return (0.0 if touched else 1.0, growth * now if touched else 0.0)

    @staticmethod
    def observe(p, i, acc, log_spots, k, growth):
        alive = acc[0] * survival_at(p.direction[i], p.barrier[i], log_spots[0])
        return (
            alive,
            acc[1]
            + (acc[0] - alive)
            * growth
            * (p.cash[i] if p.pays[i] == 0.0 else math.exp(log_spots[0])),
        )

    @staticmethod
    def observe_bridge(p, i, acc, log0, log1, bridge, k, growth):
        alive = acc[0] * bridge_survival_probability(
            p.direction[i], p.barrier[i], log0[0], log1[0], bridge
        )
        return (
            alive,
            acc[1] + (acc[0] - alive) * growth * (p.cash[i] if p.pays[i] == 0.0 else p.barrier[i]),
        )

    @staticmethod
    def finish(p, i, acc, log_spots):
        late = (1.0 - acc[0]) * (p.cash[i] if p.pays[i] == 0.0 else math.exp(log_spots[0]))
        return late if p.payment[i] == 0.0 else acc[1]

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        pays_cash = p.pays == 0.0
        at_hit = xp.where(
            pays_cash,
            p.cash,
            xp.where(p.direction * (law.spot - p.barrier) >= 0.0, law.spot, p.barrier),
        )
        alive, held = reflection.untouched(p.direction, p.barrier, law, xp, special)
        late = xp.where(
            pays_cash, p.cash * (law.discount - alive), law.discount * law.forward - held
        )
        price = xp.where(
            p.payment == 0.0,
            late,
            at_hit * reflection.touch(p.direction, p.barrier, law, xp, special),
        )
        return xp.where((p.monitoring == 0.0) & law.flat, price, xp.nan)

    @staticmethod
    def warn(p: Any) -> np.ndarray | None:
        return already_hit(p.direction * (p.spot - p.barrier) >= 0.0)
