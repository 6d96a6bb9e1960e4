"""Options on a geometric mean, by Fourier: beside formulas, other means and simulations."""

import re

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant import family
from gpuquant.compiler import build
from gpuquant.data.columns import domains
from gpuquant.device.device import HOST
from gpuquant.models.base import Model
from gpuquant.pricing import fourier
from gpuquant.pricing.kernels import fourier_loop
from gpuquant.pricing.kernels.build import sample
from tests import ptx
from tests.pricing.test_control_variates import plainly

payoffs, models = gq.payoffs, gq.models
COMMON = {"spot": 100.0, "rate": 0.03, "dividend_yield": 0.01}
FLAT = models.BlackScholes(**COMMON, volatility=0.2)
HESTON = {
    **COMMON, "v0": 0.04, "kappa": 1.5, "long_variance": 0.05, "vol_of_vol": 0.5,
    "correlation": -0.7,
}  # fmt: skip
MODELS = {
    "Heston": models.Heston(**HESTON),
    "Merton": models.Merton(
        **COMMON, volatility=0.2, intensity=0.5, jump_mean=-0.1, jump_volatility=0.15
    ),
    "Kou": models.Kou(
        **COMMON, volatility=0.15, intensity=1.0, up_probability=0.4, up_decay=15.0, down_decay=10.0
    ),
    "VarianceGamma": models.VarianceGamma(**COMMON, volatility=0.2, drift=-0.1, variance_rate=0.3),
}
DATES = {
    "even": {"fixings": 12},
    "listed": {"fixing_times": [[0.0, 0.2, 0.7, 1.0]]},
    "seasoned": {"fixings": 5, "past_fixings": 3, "past_average": 95.0},
}


def asian(dates, **columns):
    given = {"option_type": "call", "strike": [90.0, 100.0, 115.0], "maturity": 1.0, **columns}
    return payoffs.Asian(**given, average="geometric", **DATES[dates])


@pytest.mark.parametrize("dates", DATES)
@pytest.mark.parametrize("name", MODELS)
def test_beside_a_simulation(name, dates):
    exact = gq.price(asian(dates), MODELS[name], greeks=["vega", "theta"]).frame
    assert (exact["engine"] == "fourier").all() and (exact["std_error"] == 0.0).all()
    found = gq.price(
        asian(dates), MODELS[name], engine="monte_carlo", paths=100_000, steps=100,
        greeks=["vega", "theta"], seed=3,
    ).frame  # fmt: skip
    for column, error in (
        ("price", "std_error"), ("vega", "vega_std_error"), ("theta", "theta_std_error"),
    ):  # fmt: skip
        z = (found[column] - exact[column]) / found[error]
        assert (z.abs() < 4.0).all(), (column, z, exact, found)


def test_kernels_say_what_arrays_say(monkeypatch):
    """Of affine models and of those whose moves are independent."""
    for name, model in MODELS.items():
        found = gq.price(asian("listed"), model, greeks=["delta"]).frame
        with monkeypatch.context() as patch:
            patch.setattr(fourier, "_kernel", lambda *given: None)
            arrays = gq.price(asian("listed"), model, greeks=["delta"]).frame
        for column in ("price", "delta"):
            np.testing.assert_allclose(found[column], arrays[column], rtol=1e-9, err_msg=name)
        assert (found["price"] != arrays["price"]).any()  # they are two ways


def test_a_kernel_of_a_mean_compiles_to_ptx_without_a_gpu():
    for model in (models.Heston, models.Merton):
        names = (*domains(model), "option_type", "strike", "maturity", *fourier.OF_MEAN)
        text = fourier_loop.source(fourier._mean_of(model), fourier.Vanilla, names, "cuda")
        matrix = ptx.array("f64", 2)
        given = (matrix, matrix, matrix, "i64", "i64", "f64", matrix)
        assembly = build.ptx(text, given).decode()
        assert ".local" not in assembly and not re.search(r"^\s+call", assembly, re.M)


@pytest.mark.parametrize("dates", DATES)
def test_without_a_variance_of_the_variance_it_is_the_formula(dates):
    """With vol_of_vol at its least the error is of its order squared."""
    still = models.Heston(
        **{**HESTON, "long_variance": 0.04, "vol_of_vol": 1e-3, "correlation": 0.0}
    )
    formula = gq.price(asian(dates), FLAT).price
    np.testing.assert_allclose(gq.price(asian(dates), still).price, formula, atol=2e-6)


@pytest.mark.parametrize("name", MODELS)
def test_one_date_is_a_vanilla(name):
    one = asian("even").replace(fixings=1)
    vanilla = payoffs.European(option_type="call", strike=[90.0, 100.0, 115.0], maturity=1.0)
    expected = gq.price(vanilla, MODELS[name]).price
    np.testing.assert_allclose(gq.price(one, MODELS[name]).price, expected, rtol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_put_and_call_differ_by_the_forward(name):
    """Over strikes the difference is linear: the mean's forward less the strike, discounted."""
    call, put = (
        gq.price(asian("even", option_type=side), MODELS[name]).price for side in ("call", "put")
    )
    slope = np.diff(call - put) / np.array([10.0, 15.0])
    np.testing.assert_allclose(slope, -np.exp(-0.03), rtol=1e-9)


def test_rows_of_different_lists_alone_and_together():
    lists = [[0.5, 1.0], [0.25, 0.5, 0.75, 1.0], [1.0]]
    together = [
        gq.price(
            payoffs.Asian(
                option_type="call", strike=100.0, maturity=1.0, average="geometric",
                fixing_times=[one],
            ),
            MODELS["Heston"],
        ).price
        for one in lists
    ]  # fmt: skip
    rows = pd.DataFrame(
        {
            "product": "asian", "model": "heston", "option_type": "call", "strike": 100.0,
            "maturity": 1.0, "average": "geometric", "fixing_times": lists, **HESTON,
        }
    )  # fmt: skip
    np.testing.assert_array_equal(gq.price(rows).frame["price"], together)


def test_rows_of_different_numbers_of_dates_alone_and_together():
    numbers = [4, 52, 7]
    given = {"option_type": "call", "strike": 100.0, "maturity": 1.0, "average": "geometric"}
    together = gq.price(payoffs.Asian(**given, fixings=numbers), MODELS["Heston"]).price
    for k, number in enumerate(numbers):
        alone = gq.price(payoffs.Asian(**given, fixings=number), MODELS["Heston"]).price
        assert alone == together[k]


def test_it_is_the_control_of_the_arithmetic_mean():
    arithmetic = payoffs.Asian(option_type="call", strike=100.0, maturity=1.0, fixings=52)
    found = gq.price(arithmetic, MODELS["Heston"]).frame
    plain = plainly(arithmetic, MODELS["Heston"], 1, 100_000)[1][0, 0]
    assert "Asian geometric" in found["message"][0]
    assert found["std_error"][0] < plain / 20.0


@pytest.mark.parametrize("name", family.members(Model, "gpuquant.models"))
def test_a_model_of_independent_increments_says_so(name):
    """The characteristic function at 2 t is the square of that at t, for these models alone."""
    cls = family.members(Model, "gpuquant.models")[name]
    if cls.characteristic is Model.characteristic:
        assert not cls.stationary_increments
        return
    z, special = np.array([0.7 - 0.5j]), HOST.special
    with np.errstate(all="ignore"):
        once, twice = (
            cls.characteristic(sample(cls), z, np.array([t]), np, special) for t in (0.5, 1.0)
        )
    assert np.allclose(once * once, twice, rtol=1e-9) == cls.stationary_increments
