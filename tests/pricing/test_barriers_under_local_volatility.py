"""Barriers that are watched all the time, under local volatility, beside finite differences."""

import math

import numpy as np
import pytest
from scipy.linalg import solve_banded

import gpuquant as gq
from gpuquant.models import local_volatility
from gpuquant.pricing.extrapolation import Extrapolation

LEVELS = np.array([-0.6, -0.2, 0.0, 0.2, 0.6])
SURFACES = ([0.45, 0.28, 0.2, 0.15, 0.12], [0.15, 0.17, 0.2, 0.26, 0.4])
BARRIERS = (("down-and-out", 95.0), ("up-and-out", 115.0), ("up-and-out", 125.0))
RATE = 0.02


def finite_differences(surface, kind, barrier, points=1500):
    """A call of strike 100 and one year: Crank-Nicolson in the log price, the first steps
    implicit; within 2e-4 of four times as many points.
    """
    edge = math.log(barrier)
    ends = (math.log(100.0) - 2.5, edge) if kind == "up-and-out" else (edge, math.log(100.0) + 2.5)
    x, dt = np.linspace(*ends, points + 1), 1.0 / points
    h, value = x[1] - x[0], np.maximum(np.exp(x) - 100.0, 0.0)
    value[-1 if kind == "up-and-out" else 0] = 0.0
    for k in range(points):
        level = x - math.log(100.0) - RATE * (1.0 - (k + 0.5) * dt)
        half = 0.5 * np.interp(level, LEVELS, surface) ** 2
        down, up = (half / h**2 + sign * (RATE - half) / (2.0 * h) for sign in (-1.0, 1.0))
        middle = -2.0 * half / h**2 - RATE
        new = 1.0 if k < 4 else 0.5
        right = value + (1.0 - new) * dt * (
            np.append(0.0, down[1:] * value[:-1])
            + middle * value
            + np.append(up[:-1] * value[1:], 0)
        )
        right[0] = 0.0
        far = math.exp(x[-1]) - 100.0 * math.exp(-RATE * (k + 1) * dt)
        right[-1] = 0.0 if kind == "up-and-out" else far
        bands = np.zeros((3, points + 1))
        bands[1] = 1.0
        bands[0, 2:], bands[2, :-2] = -new * dt * up[1:-1], -new * dt * down[1:-1]
        bands[1, 1:-1] -= new * dt * middle[1:-1]
        value = solve_banded((1, 1), bands, right)
    return float(np.interp(math.log(100.0), x, value))


def scores(paths):
    """How many standard errors each simulated price lies from the finite differences."""
    found = []
    for surface in SURFACES:
        model = gq.models.LocalVolatility(
            spot=100.0, rate=RATE, surface_times=[1.0], surface_levels=LEVELS.tolist(),
            surface_volatilities=surface,
        )  # fmt: skip
        barriers = gq.payoffs.Barrier(
            option_type="call", strike=100.0, maturity=1.0,
            barrier_type=[kind for kind, _ in BARRIERS], barrier=[level for _, level in BARRIERS],
        )  # fmt: skip
        how = {"engine": "monte_carlo", "paths": paths, "seed": 2}
        priced = gq.price(barriers, model, progress=False, **how)
        right = [finite_differences(surface, *barrier) for barrier in BARRIERS]
        found += ((priced.price - right) / np.hypot(priced.std_error, 2e-4)).tolist()
    return np.array(found)


MOST = 1.0 + 3.0 * math.sqrt(2.0 / 6.0)  # of a mean of six squares


def test_the_prices_are_within_their_errors():
    z = scores(600_000)
    assert (z**2).mean() < MOST, z


@pytest.fixture
def one_grid(monkeypatch):
    """Simulations whose bias is not removed."""
    monkeypatch.setattr(Extrapolation, "of", lambda launch: None)


def test_the_bridge_alone_is_within_the_error(one_grid):
    z = scores(600_000)
    assert (z**2).mean() < MOST, z


def test_a_level_bridge_and_euler_steps_would_be_seen(one_grid, monkeypatch):
    """A mutant: within a step the volatility does not move with the price."""

    def slope_at(c, level):
        return 0.0

    monkeypatch.setattr(local_volatility, "slope_at", slope_at)
    z = scores(600_000)
    assert (z**2).mean() > MOST, z


@pytest.mark.slow
def test_the_bias_is_below_the_error_of_a_million_paths():
    z = scores(4_000_000)
    assert (z**2).mean() < 1.0 + 4.0, z
