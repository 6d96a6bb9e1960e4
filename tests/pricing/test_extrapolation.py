"""The bias of a scheme: coupled paths tell it, the price loses it, and the error holds the rest."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.stats import norm

import gpuquant as gq
from gpuquant.data.domains import Column, nonnegative, positive, real
from gpuquant.math import rng
from gpuquant.models.base import Model
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.extrapolation import LEFT, Extrapolation, best_share
from gpuquant.pricing.pairs import every, sample_batch
from gpuquant.pricing.request import Asked, checked
from gpuquant.pricing.simulation import Simulation

payoffs, models = gq.payoffs, gq.models
CALL = payoffs.European(option_type="call", strike=100.0, maturity=1.0)
HESTON = models.Heston(
    spot=100.0, rate=0.03, v0=0.2, kappa=5.0, long_variance=0.04, vol_of_vol=0.6, correlation=-0.7
)
STREAMS = 200


@dataclass(frozen=True)
class Euler(Model):
    """Euler's steps of a Black-Scholes price itself: of weak order one."""

    spot: Column = positive(sample=100.0)
    rate: Column = real()
    volatility: Column = nonnegative()

    normals = 1
    steps_per_year = 8
    weak_order = 1.0

    @staticmethod
    def begin(m, i, dt):
        return (m.rate[i] * dt, m.volatility[i] * math.sqrt(dt)), (m.spot[i],)

    @staticmethod
    def step(c, x, z, u, k):
        return (max(x[0] * (1.0 + c[0] + c[1] * z[0]), 1e-6),)

    @staticmethod
    def log_spots(x):
        return (math.log(x[0]),)

    @staticmethod
    def discount(m, i, t):
        return math.exp(-m.rate[i] * t)


EULER = Euler(spot=100.0, rate=0.3, volatility=0.4)
FLAT = models.BlackScholes(spot=100.0, rate=0.3, volatility=0.4)
CASES = {  # model, payoff, steps, the exact price
    "Euler": (EULER, CALL, 8, lambda: gq.price(CALL, FLAT).price),
    "Heston": (HESTON, CALL, 8, lambda: gq.price(CALL, HESTON).price),
    "CIR": (
        models.CIR(
            short_rate=0.1, kappa=2.0, long_rate=0.03, rate_volatility=0.2, bond_maturities=[[2.0]]
        ),
        payoffs.European(option_type="call", strike=0.93, maturity=1.0),
        2,
        None,
    ),
}


def scores(case, paths=20_000):
    """How many standard errors each price lies from the exact one, shape (STREAMS,)."""
    model, payoff, steps, exact = CASES[case]
    right = exact() if exact else gq.price(payoff, model).price
    many = payoff.replace(maturity=np.full(STREAMS, 1.0))
    found = gq.price(
        many, model, engine="monte_carlo", paths=paths, steps=steps, seed=3, progress=False
    )
    return (found.price - right) / found.std_error


@pytest.mark.parametrize("case", CASES)
def test_intervals_hold_the_exact_price(case):
    z = scores(case)
    inside = (np.abs(z) < norm.ppf(0.975)).mean()
    # at these few steps the error has room for what may be left of the bias
    assert inside > 0.95 - 3.0 * math.sqrt(0.95 * 0.05 / STREAMS), (case, inside)
    assert abs(z.mean()) * math.sqrt(STREAMS) < 3.5, (case, z.mean())


@pytest.mark.parametrize("case", CASES)
def test_the_bias_itself_would_be_seen(case, monkeypatch):
    """A mutant: nothing is removed."""
    monkeypatch.setattr(Extrapolation, "of", lambda launch: None)
    z = scores(case)
    assert abs(z.mean()) * math.sqrt(STREAMS) > 3.5, (case, z.mean())


def simulation(model, payoff, steps, greeks=False):
    task = checked(Asked(5, "double", "monte_carlo", 1, steps, greeks), None, 1)
    (batch,) = Batch(model, payoff, np.arange(1), np.zeros(1, np.int64)).derived()
    return Simulation.of(batch, task)


@pytest.mark.parametrize(
    ("model", "payoff", "size"),
    [
        (EULER, CALL, 16),
        (HESTON, CALL, 16),
        (HESTON, payoffs.Lookback(option_type="call", strike=100.0, maturity=1.0), 16),
        (HESTON, payoffs.Asian(option_type="call", strike=100.0, maturity=1.0, fixings=4), 16),
    ],
)
def test_each_grid_prices_as_it_does_alone(model, payoff, size):
    """Of the coupled paths the fine grid's are the very paths of a run with twice the steps, and
    the coarse grid's have the law of those of a run with as many.
    """
    one, paths = simulation(model, payoff, size), np.array([200_000])
    coupled = one.extrapolation.launch.parts[0].launch
    halves = [
        replace(coupled, variants=coupled.variants._replace(weights=np.array([weights]))).run(
            paths, np.zeros((1, 1))
        )
        for weights in ([1.0, 0.0], [0.0, 1.0])
    ]
    fine = simulation(model, payoff, 2 * size).launch.run(paths, np.zeros((1, 1)))
    assert halves[0][0] == fine[0] and halves[0][1] == fine[1]
    coarse = one.launch.run(paths, np.zeros((1, 1)), 1)
    z = (halves[1][0] - coarse[0]) / np.hypot(halves[1][1], coarse[1])
    spread = halves[1][1] / coarse[1]
    assert abs(z) < 4.0 and abs(spread - 1.0) < 0.03, (z, spread)
    together = coupled.run(paths, np.zeros((1, 1)))[1]
    assert together < 0.5 * np.hypot(halves[0][1], halves[1][1])  # the same draws


def test_exact_steps_have_no_bias():
    flat = models.BlackScholes(spot=100.0, rate=0.0, volatility=0.2)
    assert simulation(flat, CALL, 4).extrapolation is None
    found = gq.price(CALL, flat, engine="monte_carlo", paths=1000).frame
    assert "bias" not in found["message"][0]


def test_greeks_lose_their_bias_too():
    exact = gq.price(CALL, HESTON, greeks=["delta", "vega"]).frame.iloc[0]
    found = gq.price(
        CALL, HESTON, engine="monte_carlo", greeks=["delta", "vega"], paths=1 << 20, steps=4
    ).frame.iloc[0]
    for name in ("delta", "vega"):
        assert abs(found[name] - exact[name]) < 4.0 * found[f"{name}_std_error"], (name, found)
    plain = replace(simulation(HESTON, CALL, 4, ["vega"]), extrapolation=None)
    on_its_grid = plain.run(np.array([1 << 20]))
    bias = on_its_grid.values[0, 1] - exact["vega"]
    assert abs(bias) > 4.0 * on_its_grid.errors[0, 1], (bias, on_its_grid.errors)


@pytest.mark.parametrize(
    ("bias_error", "expected"), [(0.1, 6250), (1.0, 15_811), (9.0, 142_302), (99.0, 800_000)]
)
def test_coupled_paths_are_as_many_as_pay(bias_error, expected):
    """Time n + 2.5 m, times variance a^2 / n + b^2 / m, is least at m = n b / (a sqrt(2.5))."""
    few, paths = np.array([6250]), np.array([100_000])
    (best,) = best_share(few, np.array([bias_error]), paths, np.array([1.0]))
    assert best == pytest.approx(expected, rel=1e-3)


def test_a_target_that_the_steps_forbid_says_so():
    found = gq.price(
        CALL, HESTON, engine="monte_carlo", steps=1, target_error=0.02, progress=False
    ).frame.iloc[0]
    assert found["status"] == "warning", found
    assert "may be bias of the steps: use more" in found["message"], found["message"]
    assert found["std_error"] > 0.02


def test_too_few_steps_say_so():
    barrier = payoffs.Barrier(
        option_type="call", barrier_type="down-and-out", strike=100.0, barrier=90.0, maturity=1.0
    )
    for payoff, steps in ((CALL, 3), (barrier, 8)):
        found = gq.price(payoff, HESTON, engine="monte_carlo", steps=steps, paths=5000).frame.iloc[
            0
        ]
        assert found["status"] == "warning" and "fewer than" in found["message"], found


LOCAL = models.LocalVolatility(
    spot=100.0, rate=0.03, surface_times=[[0.5, 1.0]], surface_levels=[[-0.4, 0.0, 0.4]],
    surface_volatilities=[[0.5, 0.3, 0.2, 0.4, 0.3, 0.25]],
)  # fmt: skip
SABR = models.SABR(spot=100.0, rate=0.03, alpha=0.2, beta=1.0, vol_of_vol=0.8, correlation=-0.7)
LOOKBACK = payoffs.Lookback(option_type="call", strike=100.0, maturity=1.0)
PUT = payoffs.European(option_type="put", strike=80.0, maturity=1.0)
GRIDS = {
    "local volatility": (LOCAL, CALL, 8, 1_000_000),
    "SABR": (SABR, PUT, 8, 200_000),
    "Heston, watched": (HESTON, LOOKBACK, 16, 200_000),
}


@pytest.mark.parametrize("case", GRIDS)
def test_a_coarse_grid_agrees_with_a_fine_one(case, monkeypatch):
    """Where no formula is: with eight times the steps. A grid alone, the mutant, does not."""
    model, payoff, steps, count = GRIDS[case]
    paths = {"paths": count, "engine": "monte_carlo", "progress": False}
    fine = gq.price(payoff, model, steps=8 * steps, seed=1, **paths)
    coarse = gq.price(payoff, model, steps=steps, seed=2, **paths)

    def apart(one):
        return abs(one.price - fine.price) / np.hypot(one.std_error, fine.std_error)

    assert apart(coarse) < 3.5, (coarse.frame, fine.frame)
    monkeypatch.setattr(Extrapolation, "of", lambda launch: None)
    alone = gq.price(payoff, model, steps=steps, seed=2, **paths)
    assert apart(alone) > 3.5, (alone.frame, fine.frame)


WITH_SCHEMES = sorted(
    {model for model, _ in every() if np.isfinite(model.weak_order)}, key=lambda m: m.__name__
)


@pytest.mark.slow
@pytest.mark.parametrize("model", WITH_SCHEMES, ids=lambda m: m.__name__)
def test_the_order_of_every_payoff_is_what_it_is_taken_for(model):
    """What two grids extrapolate to, and what the next two do, lie as near as the errors say: a
    quarter of what is removed, beside chance. On the usual steps and on twice as many.
    """
    seen = []
    for payoff in [payoff for one, payoff in every() if one is model]:
        (batch,) = sample_batch(model, payoff).derived()
        steps = int(coupled(batch, None, 256)[-1])
        (near, error, whole, _), (next_, less, _, _) = (
            coupled(batch, n, 100_000) for n in (steps, 2 * steps)
        )
        gap = whole * next_ - (whole - 1.0) * near
        chance = math.hypot(whole * less, (whole - 1.0) * error)
        least = 1e-9 * float(batch.amounts()[0])  # rounding, where there is no bias
        bound = 4.0 * chance + LEFT * whole * abs(near) + least
        seen.append((payoff.__name__, near, error, next_, less, gap, bound))
    assert len(seen) > 5 and all(abs(row[-2]) < row[-1] for row in seen), "\n".join(map(str, seen))


def coupled(batch, steps, paths):
    """The mean difference of paths on a grid and on one of twice as many steps, its error, what of
    it is removed, and the steps.
    """
    task = checked(Asked(steps=steps, engine="monte_carlo"), None, 1)
    simulation = Simulation.of(batch, task)
    found = simulation.extrapolation
    moved, error, *_ = found.launch.run(
        np.full(1, paths), simulation._betas, rng.PURPOSES["scheme of paths"]
    )
    whole = 1.0 / (1.0 - 0.5**found.order)
    return float(moved[0, 0]), float(error[0, 0]), whole, simulation.launch.grid.steps[0]
