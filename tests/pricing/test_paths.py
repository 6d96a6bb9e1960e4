"""Paths as arrays are the paths that the price is the mean of."""

from dataclasses import replace

import numpy as np
import pytest

import gpuquant as gq
from gpuquant.device.device import Device
from gpuquant.errors import GpuquantError
from gpuquant.pricing import pairs
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.kernels.build import sample
from gpuquant.pricing.request import Asked, checked
from gpuquant.pricing.simulation import Simulation
from tests import ptx

PAIRS = [
    (m, p)
    for m, p in pairs.every()
    if {"rate", "dividend_yield"} <= set(vars(sample(m)))
    and not {"dividends", "foreign_rate"} & set(vars(sample(m)))
]
SOME = [pair for k, pair in enumerate(PAIRS) if k % 7 == 0]


@pytest.mark.parametrize(("model", "payoff"), SOME, ids=lambda c: c.__name__)
def test_their_mean_is_the_price(model, payoff):
    one, paid = sample(model), sample(payoff)
    made = gq.simulate(paid, one, paths=3000, steps=8, seed=3)
    task = checked(Asked(3, "mixed", "monte_carlo", 3000, 8, False), None, 1)
    (batch,) = Batch(one, paid, np.arange(1), np.zeros(1, np.int64)).derived()
    on_its_grid = replace(Simulation.of(batch, task), extrapolation=None)
    found = on_its_grid.run(np.array([3000]))
    price, error = found.values[0, 0], found.errors[0, 0]
    assert float(made.payments.mean()) == pytest.approx(price, rel=1e-12, abs=1e-12)
    spread = made.payments.std(ddof=1) / np.sqrt(3000)
    assert spread == pytest.approx(error, rel=1e-9, abs=1e-12)


MODELS = sorted({m for m, _ in PAIRS}, key=lambda m: m.__name__)


@pytest.mark.parametrize("model", MODELS, ids=lambda c: c.__name__)
def test_a_share_earns_nothing_in_the_mean(model):
    payoff = next(p for m, p in PAIRS if m is model)
    made = gq.simulate(sample(payoff), sample(model), paths=40_000, steps=12)
    gains = made.gains
    mean, error = gains.mean(axis=0), gains.std(axis=0) / np.sqrt(len(gains))
    assert (np.abs(mean) < 4.5 * error).all(), mean / error
    assert gains.shape[:2] == (40_000, len(made.times) - 1)


def test_the_arrays_of_black_scholes():
    call = gq.payoffs.European(option_type="call", strike=100.0, maturity=2.0)
    model = gq.models.BlackScholes(spot=100.0, volatility=0.2, rate=0.05, dividend_yield=0.02)
    made = gq.simulate(call, model, paths=5000, steps=4, seed=1)
    np.testing.assert_allclose(made.times, [0.0, 0.5, 1.0, 1.5, 2.0])
    np.testing.assert_allclose(made.discounts, np.exp(-0.05 * made.times))
    np.testing.assert_allclose(made.carry, np.exp(0.02 * made.times))
    np.testing.assert_allclose(made.spots[:, 0], 100.0, rtol=1e-12)
    np.testing.assert_allclose(
        made.payments, made.discounts[-1] * np.maximum(made.spots[:, -1] - 100.0, 0.0), rtol=1e-6
    )
    moves = np.diff(np.log(made.spots), axis=1)
    assert moves.std() == pytest.approx(0.2 * np.sqrt(0.5), rel=0.02)
    held = made.spots[:, 1] * np.exp(-0.05 * 0.5 + 0.02 * 0.5) - 100.0
    np.testing.assert_allclose(made.gains[:, 0], held, atol=1e-9)
    fewer = gq.simulate(call, model, paths=100, steps=4, seed=1)
    np.testing.assert_array_equal(fewer.spots, made.spots[:100])


def test_several_assets():
    model = gq.models.MultiBlackScholes(
        spots=[[100.0, 50.0]],
        volatilities=[[0.2, 0.3]],
        dividend_yields=[[0.0, 0.2]],
        correlation=0.5,
        rate=0.05,
    )
    basket = gq.payoffs.Basket(option_type="call", strike=80.0, maturity=1.0, weights=[[0.5, 0.5]])
    made = gq.simulate(basket, model, paths=40_000, steps=5)
    assert made.spots.shape == (40_000, 6, 2) and made.gains.shape == (40_000, 5, 2)
    mean, error = made.gains.mean(axis=0), made.gains.std(axis=0) / 200.0
    assert (np.abs(mean) < 4.5 * error).all(), mean / error
    amount = np.maximum(made.spots[:, -1].mean(axis=1) - 80.0, 0.0)
    np.testing.assert_allclose(made.payments, made.discounts[-1] * amount, atol=1e-4)
    moves = np.diff(np.log(made.spots), axis=1).reshape(-1, 2)
    assert np.corrcoef(moves.T)[0, 1] == pytest.approx(0.5, abs=0.01)


def test_a_contract_of_today_has_no_path():
    call = gq.payoffs.European(option_type="call", strike=100.0, maturity=0.0)
    with pytest.raises(GpuquantError, match="maturity = 0: there is no path"):
        gq.simulate(call, sample(gq.models.BlackScholes), paths=10)


def test_the_kernel_compiles_to_ptx_without_a_gpu():
    which = replace(pairs.pair(gq.models.Heston, gq.payoffs.Asian, "mixed"), recorded=True)
    assembly = ptx.of_pair(which)
    assert ".visible .entry" in assembly
    assert "st.global.f64" in assembly or "st.global.b64" in assembly


def test_threads_change_nothing():
    heston = sample(gq.models.Heston)
    call = gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0)
    one, two = (
        gq.simulate(call, heston, paths=9000, steps=16, device=Device("cpu", threads))
        for threads in (1, 2)
    )
    np.testing.assert_array_equal(one.spots, two.spots)
    np.testing.assert_array_equal(one.payments, two.payments)


@pytest.mark.parametrize(
    ("model", "how", "words"),
    [
        (lambda: sample(gq.models.DividendBlackScholes), {}, "one rate and dividend yields"),
        (lambda: sample(gq.models.TermBlackScholes), {}, "one rate and dividend yields"),
        (lambda: sample(gq.models.QuantoBlackScholes), {}, "prices in their own currency"),
        (
            lambda: gq.models.BlackScholes(spot=[90.0, 100.0], volatility=0.2, rate=0.0),
            {},
            "2 rows: simulate takes one",
        ),
        (lambda: sample(gq.models.BlackScholes), {"paths": 0}, "paths = 0"),
        (lambda: sample(gq.models.BlackScholes), {"precision": "half"}, "unknown precision"),
    ],
)
def test_wrong_calls_are_named(model, how, words):
    call = gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0)
    with pytest.raises(GpuquantError, match=words):
        gq.simulate(call, model(), **{"paths": 10, "steps": 4, **how})
