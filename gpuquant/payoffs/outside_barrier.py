"""Outside barrier: an option on one asset that the price of another knocks in or out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpuquant.data.domains import Column, call_or_put, choice, positive
from gpuquant.payoffs.base import Watched
from gpuquant.payoffs.monitoring import KINDS, alive_side, bridge_survival_probability, survival_at


@dataclass(frozen=True)
class OutsideBarrier(Watched):
    """A European option on the first asset that is knocked out or in when the second touches
    `barrier`.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    barrier_type : Column, shape (n,)
        down-and-out, down-and-in, up-and-out or up-and-in.
    strike : Column, shape (n,)
        Of the first asset, in currency units; > 0.
    barrier : Column, shape (n,)
        Of the second asset, in currency units; > 0.
    maturity : Column, shape (n,)
        Years from today; 0 is now.
    monitoring : Column, shape (n,)
        continuous or discrete.
    observations : Column, shape (n,)
        Dates of discrete monitoring; a whole number >= 1.

    References
    ----------
    Heynen and Kat (1994), Crossing barriers. Simulated: the bridge of the second asset leaves no
    bias from steps.
    """

    option_type: Column = call_or_put()
    barrier_type: Column = choice(*KINDS)
    strike: Column = positive(sample=100.0)
    barrier: Column = positive(sample=80.0)

    assets = 2
    differentiable = "watched"

    @staticmethod
    def start(p, i):
        return (1.0,)

    @staticmethod
    def observe(p, i, acc, log_spots, k):
        return (acc[0] * survival_at(alive_side(p.barrier_type[i]), p.barrier[i], log_spots[1]),)

    @staticmethod
    def observe_bridge(p, i, acc, log0, log1, bridge):
        return (
            acc[0]
            * bridge_survival_probability(
                alive_side(p.barrier_type[i]), p.barrier[i], log0[1], log1[1], bridge[3:]
            ),
        )

    @staticmethod
    def finish(p, i, acc, log_spots):
        vanilla = max(p.option_type[i] * (math.exp(log_spots[0]) - p.strike[i]), 0.0)
        knock_in = (p.barrier_type[i] == 1.0) or (p.barrier_type[i] == 3.0)
        return (1.0 - acc[0] if knock_in else acc[0]) * vanilla
