"""Which payoffs can be simulated under which models: for tests, benchmarks and docs that go
through all of them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gpuquant import family
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.batch import Batch, fits
from gpuquant.pricing.bumps import SIMULATED
from gpuquant.pricing.greeks import NAMES
from gpuquant.pricing.kernels.build import Pair, sample
from gpuquant.pricing.pathwise import derived, shares


def sample_batch(model: type[Model], payoff: type[Payoff]) -> Batch:
    """One row of each, inside every domain."""
    return Batch(sample(model), sample(payoff), np.arange(1), np.zeros(1, np.int64))


def pair(
    model: type[Model], payoff: type[Payoff], precision: str = "single", *, greeks: bool = False
) -> Pair:
    """The kernel of that row, of its price alone or of its derivatives, too."""
    one = sample_batch(model, payoff)
    which = Pair(model, payoff, one.fixed, precision, lengths=one.lengths)
    if not greeks:
        return which
    own = derived(model, payoff, one.fixed, NAMES)
    variants, outputs = shares(which, SIMULATED, NAMES, own)[0]
    return replace(which, variants=len(variants.scale), outputs=len(outputs), slopes=len(own))


def possible(model: type[Model], payoff: type[Payoff]) -> bool:
    """Whether the pair can be simulated. Both members need a simulation and the same number of
    assets. A payoff that watches between steps needs a model with a bridge. A payoff that pays
    early needs a model without random rates.
    """
    if not (model.simulated() and payoff.simulated()):
        return False
    which = pair(model, payoff)
    if fits(model, payoff, dict(which.lengths)) or (which.early and hasattr(model, "deflator")):
        return False
    refused = payoff.refuse(sample_batch(model, payoff).together())
    return (refused is None or not refused[0]) and (model.continuous() or not which.bridged)


def every() -> list[tuple[type[Model], type[Payoff]]]:
    """The library's pairs that are simulated, Black-Scholes first."""
    models = [
        m
        for _, m in sorted(family.members(Model, "gpuquant.models").items())
        if m.__module__.startswith("gpuquant.")
    ]
    payoffs = [
        p
        for _, p in sorted(family.members(Payoff, "gpuquant.payoffs").items())
        if p.__module__.startswith("gpuquant.")
    ]
    return [
        (m, p)
        for m in sorted(models, key=lambda m: m.__name__ != "BlackScholes")
        for p in payoffs
        if possible(m, p)
    ]
