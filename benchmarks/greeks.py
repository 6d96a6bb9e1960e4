"""What do first Greeks of a simulation cost beside its price, and do they agree with an exact
engine?
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import gpuquant as gq
from benchmarks.common import Row, ratio

PATHS, ROUNDS = 100_000, 9
MODEL = {"spot": 100.0, "rate": 0.03, "dividend_yield": 0.01}
LOGNORMAL = gq.models.BlackScholes(**MODEL, volatility=0.2)
HESTON = gq.models.Heston(
    **MODEL, v0=0.04, kappa=1.5, long_variance=0.04, vol_of_vol=0.3, correlation=-0.7
)
SEVERAL = gq.models.MultiBlackScholes(
    spots=[100.0, 90.0, 110.0, 80.0, 120.0], rate=0.03, volatilities=[0.2], correlation=0.5
)
CONTRACT = {"option_type": "call", "strike": 100.0, "maturity": 1.0}
FIVE = ("delta", "vega", "rho", "dividend_rho", "theta")
OWN = ("d_v0", "d_kappa", "d_long_variance", "d_vol_of_vol", "d_correlation")
TEN = ("delta", "rho", "dividend_rho", "theta", *OWN, "d_strike")
BARRIER = {"barrier_type": "down-and-out", "barrier": 90.0}
# name: payoff, model, Greeks, their bar, and the exact engine that tells them, too
CASES = {
    "a European under Heston": (gq.payoffs.European(**CONTRACT), HESTON, TEN, 4.0, "fourier"),
    "an Asian under Heston": (
        gq.payoffs.Asian(**CONTRACT, fixings=52), HESTON, TEN[:-1], 4.0, None,
    ),
    "a barrier under Heston": (
        gq.payoffs.Barrier(**CONTRACT, **BARRIER), HESTON, TEN, 4.0, None,
    ),
    "an Asian": (gq.payoffs.Asian(**CONTRACT, fixings=52), LOGNORMAL, FIVE, 2.5, None),
    "a barrier": (gq.payoffs.Barrier(**CONTRACT, **BARRIER), LOGNORMAL, FIVE, 2.5, "closed_form"),
    "a basket": (
        gq.payoffs.Basket(**CONTRACT, weights=[0.2] * 5), SEVERAL,
        ("rho", "theta", *(f"delta{k}" for k in range(1, 6))), 2.5, None,
    ),
}  # fmt: skip


def run() -> list[Row]:
    """Agreement, then the time with Greeks over that of the price alone, on one thread."""
    rows = []
    for name, (payoff, model, greeks, bar, exact) in CASES.items():
        how = {"engine": "monte_carlo", "paths": PATHS, "device": "cpu:1", "progress": False}
        price = partial(gq.price, payoff, model, **how)
        told = price(greeks=greeks)
        assert f"{', '.join(greeks)}: derivatives of paths" in told.message, told.message
        if exact:
            _agree(told, gq.price(payoff, model, greeks=greeks, engine=exact), greeks)
        value, alone, own = ratio(price, partial(price, greeks=greeks), ROUNDS)
        rows.append(
            Row(
                f"{len(greeks)} Greeks of {name}, over the time of the price alone",
                value,
                "x",
                bar,
                False,
                f"{1e3 / own:.0f} against {1e3 / alone:.0f} ms, {PATHS:,} paths",
            )
        )
    return rows


def _agree(simulated: Any, exact: Any, greeks: tuple[str, ...]) -> None:
    """Refuse to time Greeks that are off by more than four of their standard errors."""
    for name in greeks:
        far = getattr(simulated, name) - getattr(exact, name)
        assert np.abs(far) <= 4.0 * getattr(simulated, f"{name}_std_error"), (name, far)
