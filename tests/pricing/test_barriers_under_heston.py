"""Barriers that are watched all the time, under Heston, beside finite differences.

`heston_barriers.csv` holds 40 contracts of random kind, strike, barrier, maturity and model. Their
prices are by QuantLib 1.44's FdHestonBarrierEngine with 400 x 400 x 80 points and twice the steps
extrapolated to none from 200; `uncertainty` is a third of the change from 200 x 40 points, and a
tenth of that of the steps.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant.pricing.extrapolation import Extrapolation

CASES = pd.read_csv(Path(__file__).with_name("heston_barriers.csv"))
PAYOFF = ("barrier_type", "option_type", "strike", "barrier", "maturity")
MODEL = (
    "rate", "dividend_yield", "v0", "kappa", "long_variance", "vol_of_vol", "correlation",
)  # fmt: skip


def priced(paths, seed=5):
    """The contracts simulated, beside the finite differences, with the error of a million paths."""
    found = gq.price(
        gq.payoffs.Barrier(**{name: CASES[name].to_numpy() for name in PAYOFF}),
        gq.models.Heston(spot=100.0, **{name: CASES[name].to_numpy() for name in MODEL}),
        engine="monte_carlo",
        paths=paths,
        seed=seed,
        progress=False,
    ).frame
    return CASES.assign(
        found=found["price"],
        std_error=found["std_error"],
        bias=found["price"] - CASES["price"],
        noise=np.hypot(found["std_error"], CASES["uncertainty"]),
        of_a_million=found["std_error"] * np.sqrt(paths / 1e6),
    )


def mean_square(rows):
    """Of the differences in their errors, about 1 where there is no bias."""
    return float(((rows["bias"] / rows["noise"]) ** 2).mean())


MOST = 1.0 + 3.0 * np.sqrt(2.0 / len(CASES))


def test_the_prices_are_within_their_errors():
    rows = priced(50_000)
    assert mean_square(rows) < MOST, rows.to_string()


@pytest.fixture
def one_grid(monkeypatch):
    """Simulations whose bias is not removed."""
    monkeypatch.setattr(Extrapolation, "of", lambda launch: None)


def test_the_bridge_alone_is_within_the_error(one_grid):
    rows = priced(200_000)
    assert mean_square(rows) < MOST, rows.to_string()


def test_a_bridge_of_constant_variance_would_be_seen(one_grid, monkeypatch):
    """A mutant: the bridge does not know that the variance moves with the price."""

    def bridge(c, x0, x1):
        return (c[10] * x0[1], c[10] * x1[1], 0.0)

    monkeypatch.setattr(gq.models.Heston, "bridge", staticmethod(bridge))
    assert mean_square(priced(200_000)) > MOST


@pytest.mark.slow
def test_the_bias_is_below_the_error_of_a_million_paths():
    rows = priced(4_000_000)
    square = (rows["bias"] ** 2 - rows["noise"] ** 2) / (
        rows["of_a_million"] ** 2 + rows["uncertainty"] ** 2
    )
    assert square.mean() < 1.0, rows.to_string()
