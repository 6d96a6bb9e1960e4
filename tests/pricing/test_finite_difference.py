"""Finite differences: within their errors of formulas, Fourier prices and other grids, of the
second order, the same in any company and on every target.
"""

import math
import re

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant.compiler import build
from gpuquant.compiler import kernel as compiler
from gpuquant.errors import InputError
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing import finite_difference
from gpuquant.pricing.kernels import grid_launch, grid_terms
from gpuquant.pricing.kernels.build import Pair
from gpuquant.pricing.kernels.grid_records import Flags
from gpuquant.pricing.pairs import every, sample_batch
from tests import ptx, twin
from tests.pricing.test_barriers_under_heston import CASES, MODEL, PAYOFF

models, payoffs = gq.models, gq.payoffs
HESTON = models.Heston(
    spot=100.0, rate=0.03, v0=0.04, kappa=1.5, long_variance=0.04, vol_of_vol=0.5,
    correlation=-0.7,
)  # fmt: skip
CALL = payoffs.European(option_type="call", strike=100.0, maturity=1.0)
KNOCKED = payoffs.Barrier(
    option_type="call", barrier_type="down-and-out", strike=100.0, barrier=95.0, maturity=1.0
)
GREEKS = ("delta", "gamma", "vega", "rho", "theta")
DRAW = np.random.default_rng(5)
ROWS = 24
FIRST = np.zeros(1, np.int64)  # row 0


def between(low, high):
    return DRAW.uniform(low, high, ROWS)


def one_of(*words):
    return DRAW.choice(words, ROWS)


MARKET = {
    "spot": between(85.0, 115.0),
    "rate": between(-0.02, 0.08),
    "dividend_yield": between(0.0, 0.05),
}
FLAT = models.BlackScholes(**MARKET, volatility=between(0.08, 0.5))
WILD = models.Heston(
    **MARKET,
    v0=between(0.01, 0.15),
    kappa=between(0.3, 4.0),
    long_variance=between(0.01, 0.15),
    vol_of_vol=between(0.1, 1.0),
    correlation=between(-0.9, 0.5),
)
TERMS = {"option_type": one_of("call", "put"), "strike": between(80.0, 120.0)}
KINDS = ("down-and-out", "up-and-out", "down-and-in", "up-and-in")
CORRIDOR = {"lower": between(60.0, 84.0), "upper": between(116.0, 150.0)}
PRODUCTS = {
    "European": payoffs.European(**TERMS, maturity=between(0.05, 3.0)),
    "Digital": payoffs.Digital(**TERMS, maturity=between(0.05, 3.0), cash=10.0),
    "Gap": payoffs.Gap(**TERMS, maturity=between(0.05, 3.0), trigger=between(85.0, 115.0)),
    "Barrier": payoffs.Barrier(
        **TERMS,
        maturity=between(0.05, 3.0),
        barrier_type=one_of(*KINDS),
        barrier=DRAW.choice([75.0, 82.0, 118.0, 130.0], ROWS),  # some are touched already
        rebate=between(0.0, 5.0),
        rebate_timing=one_of("hit", "maturity"),
    ),
    "DoubleBarrier": payoffs.DoubleBarrier(
        **TERMS,
        **CORRIDOR,
        maturity=between(0.05, 3.0),
        barrier_type=one_of("knock-out", "knock-in"),
        rebate=between(0.0, 3.0),
    ),
    "BarrierDigital": payoffs.BarrierDigital(
        **TERMS,
        maturity=between(0.05, 3.0),
        barrier_type=one_of(*KINDS),
        barrier=DRAW.choice([75.0, 82.0, 118.0, 130.0], ROWS),
        pays=one_of("cash", "asset"),
        cash=10.0,
    ),
    "OneTouch": payoffs.OneTouch(
        maturity=between(0.05, 3.0),
        barrier=between(60.0, 84.0),
        direction="down",
        pays=one_of("cash", "asset"),
        payment=one_of("hit", "maturity"),
        cash=10.0,
    ),
    "NoTouch": payoffs.NoTouch(
        maturity=between(0.05, 3.0), barrier=between(116.0, 150.0), direction="up",
        pays=one_of("cash", "asset"), cash=10.0,
    ),
    "DoubleTouch": payoffs.DoubleTouch(
        **CORRIDOR,
        maturity=between(0.05, 3.0),
        barrier_type=one_of("knock-out", "knock-in", "kiko", "koki"),
        cash=10.0,
    ),
}  # fmt: skip


def solved(payoff, model, **how):
    return gq.price(payoff, model, engine="finite_difference", progress=False, **how).frame


def off(found, exact, name="price"):
    """How many of its errors each row's number is off; the error is a bound, not a deviation."""
    error = found["std_error" if name == "price" else f"{name}_std_error"]
    return (found[name] - exact[name]).abs() / error


def test_every_pair_that_can_be_solved_is_tried():
    pairs = {
        payoff.__name__
        for model, payoff in every()
        if model is models.BlackScholes
        and finite_difference.solvable(model, payoff, dict(sample_batch(model, payoff).fixed))
    }
    assert pairs == set(PRODUCTS)


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_price_is_within_its_error_of_the_formula(name):
    found, exact = solved(PRODUCTS[name], FLAT), gq.price(PRODUCTS[name], FLAT).frame
    assert (exact["engine"] == "closed_form").all()
    beyond = off(found, exact)
    assert (beyond < 1.5).all(), pd.concat([found, exact["price"], beyond], axis=1).to_string()


@pytest.mark.parametrize("name", ["European", "Digital", "Gap"])
def test_under_heston_it_is_within_its_error_of_the_fourier_price(name):
    """Also where the variance reaches zero and its law has a long tail."""
    found, exact = solved(PRODUCTS[name], WILD), gq.price(PRODUCTS[name], WILD).frame
    assert (exact["engine"] == "fourier").all()
    beyond = off(found, exact)
    assert (beyond < 2.0).all() and (beyond < 1.0).mean() > 0.8, pd.concat(
        [found, exact["price"], beyond], axis=1
    ).to_string()


def test_another_covariance_would_be_seen(monkeypatch):
    """The mutant: the sign of the covariance is wrong."""
    right = models.Heston.diffusion

    def diffusion(m, i, t, x):
        drift, variance, pull, spread, together = right(m, i, t, x)
        return (drift, variance, pull, spread, -together)

    wrong = type("Wrong", (models.Heston,), {"diffusion": staticmethod(diffusion)})
    found = solved(PRODUCTS["European"], wrong.from_columns(WILD.columns()))
    beyond = off(found, gq.price(PRODUCTS["European"], WILD).frame)
    assert (beyond > 2.0).mean() > 0.5


def test_barriers_beside_another_engine():
    """The forty contracts of `heston_barriers.csv`."""
    found = gq.price(
        payoffs.Barrier(**{name: CASES[name].to_numpy() for name in PAYOFF}),
        models.Heston(spot=100.0, **{name: CASES[name].to_numpy() for name in MODEL}),
        progress=False,
    ).frame
    assert (found["engine"] == "finite_difference").all()
    noise = np.hypot(found["std_error"], CASES["uncertainty"])
    z = (found["price"] - CASES["price"]) / noise
    rows = CASES.assign(found=found["price"], z=z).to_string()
    assert (z**2).mean() < 1.0 + 3.0 * math.sqrt(2.0 / len(z)), rows


def test_knocked_out_and_knocked_in_are_the_option():
    both = [
        gq.price(
            payoffs.Barrier(
                option_type="call", barrier_type=kind, strike=100.0, barrier=118.0, maturity=1.0
            ),
            HESTON,
            target_error=1e-4,
        )
        for kind in ("up-and-out", "up-and-in")
    ]
    whole = gq.price(CALL, HESTON).price
    error = sum(one.std_error for one in both)
    assert abs(both[0].price + both[1].price - whole) < error < 1e-2


@pytest.mark.parametrize("payoff", [CALL, KNOCKED], ids=["European", "Barrier"])
def test_the_order_is_two(payoff):
    """Each doubling leaves a fourth of the error, and extrapolation less."""
    solver = prepared(payoff, HESTON)
    values = np.array([solver.solve(k, FIRST)[0, 0] for k in range(2, 6)])
    shares = np.diff(values)[1:] / np.diff(values)[:-1]
    assert ((shares > 0.2) & (shares < 0.32)).all(), (values, shares)


def prepared(payoff, model):
    """The solver of a payoff, as the engine makes it."""
    from gpuquant.device import resolve_device
    from gpuquant.pricing.batching import batches_of

    _, batches, _, _ = batches_of(payoff, model, None)
    return finite_difference._Solver(batches[0], resolve_device("cpu"))


def test_a_mixed_term_of_one_end_of_a_step_alone_would_be_seen(monkeypatch):
    """The mutant: the mixed term is not corrected, and a barrier's error falls by half."""

    def correct(unit, lane0, grid, first, last, half):
        barrier()  # noqa: F821

    monkeypatch.setattr(grid_terms, "correct", correct)
    grid_launch._kept.cache_clear()
    monkeypatch.setattr(compiler, "cached_source", lambda make, *identity: make())
    solver = prepared(KNOCKED, HESTON)
    values = np.array([solver.solve(k, FIRST)[0, 0] for k in range(2, 6)])
    grid_launch._kept.cache_clear()
    shares = np.diff(values)[1:] / np.diff(values)[:-1]
    assert not ((shares > 0.2) & (shares < 0.32)).all(), (values, shares)


def test_greeks_are_within_their_errors():
    """Beside Fourier prices, at the money, where the grid has a knot."""
    found = solved(CALL, HESTON, greeks=[*GREEKS, "d_kappa", "vanna"])
    exact = gq.price(CALL, HESTON, greeks=[*GREEKS, "d_kappa", "vanna"]).frame
    for name in (*GREEKS, "d_kappa", "vanna"):
        assert off(found, exact, name)[0] < 1.5, (name, found.iloc[0], exact.iloc[0])


def test_theta_under_local_volatility_moves_the_surface():
    """A day passes, and the times of the surface stay where they are."""
    model = models.LocalVolatility(
        spot=100.0, rate=0.03, surface_times=[0.25, 1.0], surface_levels=[-0.3, 0.3],
        surface_volatilities=[0.35, 0.25, 0.2, 0.1],
    )  # fmt: skip

    def later(days):
        columns = model.columns()
        moved = {**columns, "surface_times": columns["surface_times"] - days}
        call = payoffs.European(option_type="call", strike=100.0, maturity=1.0 - days)
        return solved(call, type(model).from_columns(moved), target_error=1e-6)["price"][0]

    found = solved(CALL, model, greeks="theta").iloc[0]
    right = (later(0.01) - later(-0.01)) / 0.02
    assert abs(found["theta"] - right) < 2.0 * found["theta_std_error"] + 2e-3, (found, right)


def test_local_volatility_beside_simulation():
    model = models.LocalVolatility(
        spot=100.0, rate=0.02, surface_times=[0.3, 1.0], surface_levels=[-0.4, 0.0, 0.4],
        surface_volatilities=[0.4, 0.25, 0.2, 0.3, 0.2, 0.15],
    )  # fmt: skip
    for payoff in (CALL, KNOCKED, payoffs.OneTouch(barrier=88.0, maturity=0.7, direction="down")):
        found = gq.price(payoff, model)
        paths = gq.price(payoff, model, engine="monte_carlo", paths=200_000)
        assert found.engine == "finite_difference"
        assert abs(found.price - paths.price) < 4.0 * paths.std_error, (found, paths)
        assert found.std_error < 0.1 * paths.std_error


def test_a_row_has_the_same_bits_alone_and_beside_others():
    names = ("price", *GREEKS)
    few = np.arange(5)  # they need grids of several levels
    payoff, model, how = PRODUCTS["Barrier"], WILD, {"greeks": True, "target_error": 3e-3}
    together = solved(payoff.take(few), model.take(few), **how)
    for row in (0, 2, 4):
        some = np.array([row])
        alone = solved(payoff.take(some), model.take(some), **how)
        assert together.loc[row, list(names)].tolist() == alone.loc[0, list(names)].tolist()


def test_a_target_is_reached_or_a_message_says_what_was():
    errors = [1e-2, 1e-3, 1e-4]
    found = [gq.price(KNOCKED, HESTON, target_error=error) for error in errors]
    assert all(one.std_error <= error for one, error in zip(found, errors, strict=True))
    assert abs(found[0].price - found[2].price) < found[0].std_error
    far = gq.price(KNOCKED, HESTON, target_error=1e-9)
    assert far.status == "warning" and "target_error 1e-09: the finest grid has" in far.message


def test_a_touched_barrier_is_worth_what_follows():
    """A rebate that is due now, and a vanilla option that is knocked in."""
    terms = {"option_type": "call", "strike": 100.0, "barrier": 105.0, "maturity": 1.0}
    out = payoffs.Barrier(**terms, barrier_type="down-and-out", rebate=3.0, rebate_timing="hit")
    assert gq.price(out, HESTON).price == pytest.approx(3.0, abs=1e-6)
    into = gq.price(payoffs.Barrier(**terms, barrier_type="down-and-in"), HESTON)
    assert abs(into.price - gq.price(CALL, HESTON).price) < 2.0 * into.std_error


EXTREME = {
    "a barrier where the price is": {"barrier": 100.0},
    "no variance today": {"v0": 0.0},
    "no variance in the long run": {"long_variance": 0.0},
    "all correlated": {"correlation": 1.0},
    "none of its own": {"correlation": -1.0},
    "a tenth of an hour": {"maturity": 1e-5},
    "fifty years": {"maturity": 50.0},
    "a strike far away": {"strike": 1e4},
    "a strike below the barrier": {"strike": 1e-3},
    "a barrier far away": {"barrier": 1e-6},
    "a variance that rages": {"vol_of_vol": 5.0},
    "a variance that stays": {"kappa": 1e-6},
    "a variance that stays and rages": {"kappa": 1e-9, "vol_of_vol": 1.0},
}


@pytest.mark.parametrize("name", EXTREME)
def test_extremes_beside_simulation(name):
    change = EXTREME[name]
    contract = {"strike": 100.0, "barrier": 95.0, "maturity": 1.0}
    moved = {k: v for k, v in change.items() if k in contract}
    payoff = payoffs.Barrier(
        option_type="call", barrier_type="down-and-out", **{**contract, **moved}
    )
    columns = {k: v for k, v in change.items() if k not in contract}
    model = type(HESTON).from_columns(
        {**HESTON.columns(), **{k: np.full(1, v) for k, v in columns.items()}}
    )
    found = gq.price(payoff, model, greeks=["delta"]).frame.iloc[0]
    paths = gq.price(payoff, model, engine="monte_carlo", paths=20_000).frame.iloc[0]
    assert found["engine"] == "finite_difference"
    assert np.isfinite(found["delta"]) == (change != {"barrier": 100.0})  # at a level there is none
    error = math.hypot(found["std_error"], paths["std_error"])
    assert abs(found["price"] - paths["price"]) < 4.0 * error, (found, paths)


def test_what_it_cannot_solve_is_said():
    asian = payoffs.Asian(option_type="call", strike=100.0, maturity=1.0, fixings=12)
    with pytest.raises(InputError, match="no finite difference of Asian under Heston"):
        raise InputError(gq.price(asian, HESTON, engine="finite_difference").message)


@pytest.mark.parametrize("device", ["python", "cuda"])
def test_python_and_a_gpus_threads_say_the_same(device, monkeypatch):
    monkeypatch.setattr(finite_difference, "COARSEST", ((8, 0, 4), (8, 6, 2)))
    monkeypatch.setattr(finite_difference, "FINEST", 1)
    monkeypatch.setattr(finite_difference, "USELESS", np.inf)
    with monkeypatch.context() as patch:
        twin.stand_in(patch)
        found = solved(KNOCKED, HESTON, device=device)["price"][0]
    assert found == pytest.approx(solved(KNOCKED, HESTON, device="cpu")["price"][0], rel=1e-10)


@pytest.mark.parametrize("model", [models.Heston, models.LocalVolatility])
def test_the_kernel_compiles_to_ptx_without_a_gpu(model):
    batch = sample_batch(model, payoffs.Barrier)
    parts = type(batch.model), type(batch.payoff)
    pair = Pair(*parts, batch.fixed, "double", lengths=batch.lengths)
    matrix, cube = ptx.array("f64", 2), ptx.array("f64", 3)
    flags = Flags(True, model.factors == 2, model.time_dependent)
    text = grid_launch.source(pair, flags, "cuda")
    whole = ("i64",) * 4
    grid = (matrix, matrix, cube, matrix, cube, *whole)
    assembly = build.ptx(text, (matrix, grid)).decode()
    assert ".visible .entry" in assembly and not re.search(r"^\s+call", assembly, re.M)


@pytest.mark.parametrize(
    "model",
    [m for m, p in every() if p is payoffs.European and m.diffusion is not Model.diffusion],
    ids=lambda m: m.__name__,
)
def test_a_diffusion_is_what_the_steps_do(model):
    """Over a short step of many paths: the mean and the variance of the log price's move."""
    one = sample_batch(model, payoffs.European)
    dt, paths = 1e-3, 200_000
    made = gq.simulate(
        one.payoff.from_columns({**one.payoff.columns(), "maturity": np.full(1, dt)}),
        one.model,
        paths=paths,
        steps=1,
    )
    moves = np.diff(np.log(np.asarray(made.spots).reshape(paths, -1)[:, :2]), axis=1)[:, 0]
    (start, *_), *factor = one.model.extent(one.model, np.full(1, 1.0))
    state = (float(start[0]), *(float(np.ravel(today)[0]) for today, *_ in factor))
    drift, variance = model.diffusion(one.model, 0, 0.5 * dt, (*state, 0.0))[:2]
    spread = math.sqrt(variance * dt / paths)
    assert abs(moves.mean() - drift * dt) < 4.0 * spread
    assert abs(moves.var() / (variance * dt) - 1.0) < 4.0 * math.sqrt(2.0 / paths) + 0.01


def test_members_that_change_their_functions_are_not_solved():
    """A caller's own payoff or model, which inherits what another says of itself."""
    assert finite_difference.solvable(models.Heston, payoffs.Digital, {})
    silent = type("Silent", (Payoff,), {"kinks": None})
    running = type("Running", (payoffs.Digital,), {"observe": payoffs.Lookback.observe})
    other = type("Other", (models.Heston,), {"step": models.Heston.step})
    assert not finite_difference.solvable(models.Heston, silent, {})
    assert not finite_difference.solvable(models.Heston, running, {})
    assert not finite_difference.solvable(other, payoffs.Digital, {})


TAILS = {  # of the price far from the money, and of a variance that may grow large
    "far puts": ({}, {"v0": 0.02, "long_variance": 0.02}, 50.0, 1.0),
    "short": ({}, {"kappa": 0.5, "vol_of_vol": 1.0, "correlation": -0.9}, 50.0, 0.25),
    "a rare rage": ({}, {"v0": 0.01, "kappa": 0.1, "vol_of_vol": 1.0}, 80.0, 1.0),
    "far calls": ({"option_type": "call"}, {}, 136.0, 1.0),
}


@pytest.mark.parametrize("name", TAILS)
def test_the_grid_reaches_into_the_tails(name):
    kind, change, strike, maturity = TAILS[name]
    option = payoffs.European(**{"option_type": "put", **kind}, strike=strike, maturity=maturity)
    columns = {**HESTON.columns(), **{k: np.full(1, v) for k, v in change.items()}}
    model = models.Heston.from_columns(columns)
    found = gq.price(option, model, engine="finite_difference", target_error=1e-3)
    assert abs(found.price - gq.price(option, model).price) < 1.5 * found.std_error, found


@pytest.mark.parametrize("away", [4e-3, 1e-3, 4e-4])
def test_greeks_near_a_level(away):
    """The bump stays on its side of the level."""
    near = payoffs.Barrier(
        option_type="call", barrier_type="down-and-out", strike=100.0, barrier=100.0 * (1.0 - away),
        maturity=1.0,
    )  # fmt: skip
    flat = models.BlackScholes(spot=100.0, rate=0.03, volatility=0.2)
    found = solved(near, flat, greeks=["delta", "gamma"])
    exact = gq.price(near, flat, greeks=["delta", "gamma"]).frame
    for name in ("delta", "gamma"):
        assert off(found, exact, name)[0] < 2.0, (found, exact)
    at = payoffs.Barrier.from_columns({**near.columns(), "barrier": np.full(1, 100.0 - 1e-4)})
    there = gq.price(at, HESTON, greeks=["delta"]).frame.iloc[0]
    assert np.isnan(there["delta"]) and "delta undefined" in there["message"]


def test_what_a_grid_cannot_tell_is_simulated():
    """A thousand years, and prices that hardly move."""
    ages = payoffs.Barrier.from_columns({**KNOCKED.columns(), "maturity": np.full(1, 1000.0)})
    assert gq.price(ages, HESTON, paths=2000).engine == "monte_carlo"
    for volatility in (1e-3, 0.0):
        still = models.BlackScholes(spot=100.0, rate=0.03, volatility=volatility)
        found = gq.price(CALL, still, engine="finite_difference")
        assert found.status == "failed" and np.isnan(found.price)
