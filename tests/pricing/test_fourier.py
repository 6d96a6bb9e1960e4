"""The Fourier engine: kernels say what arrays say, and the integral does not depend on the way
it is taken.
"""

import re

import numpy as np
import pytest

import gpuquant as gq
from gpuquant import family
from gpuquant.compiler import build
from gpuquant.data.columns import domains
from gpuquant.device import resolve_device
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing import closed_form, fourier
from gpuquant.pricing.greeks import NAMES as GREEKS
from gpuquant.pricing.kernels import fourier_loop
from tests import ptx, twin

HERE = {
    "maturity": (0.1, 3.0),
    "strike": (70.0, 130.0),
    "trigger": (70.0, 130.0),
    "spot": (80.0, 120.0),
}
WIDE = {
    "volatility": (0.1, 0.4),
    "v0": (0.01, 0.1),
    "kappa": (0.5, 4.0),
    "long_variance": (0.01, 0.1),
    "vol_of_vol": (0.1, 0.9),
    "correlation": (-0.9, 0.2),
    "intensity": (0.1, 2.0),
    "jump_mean": (-0.2, 0.1),
    "jump_volatility": (0.05, 0.3),
    "up_probability": (0.2, 0.7),
    "up_decay": (5.0, 40.0),
    "down_decay": (3.0, 40.0),
    "variance_rate": (0.05, 0.3),
    "drift": (-0.3, 0.1),
    "rate": (0.0, 0.05),
    "dividend_yield": (0.0, 0.03),
    "activity": (0.2, 2.0),
    "left_decay": (2.0, 20.0),
    "right_decay": (3.0, 20.0),
    "fineness": (0.2, 0.9),
    "hurst": (0.1, 0.4),
}
MODELS = [
    m
    for m in family.members(Model, "gpuquant.models").values()
    if m.characteristic is not Model.characteristic
]
PAYOFFS = [
    p
    for p in family.members(Payoff, "gpuquant.payoffs").values()
    if p.transform is not Payoff.transform
]
COMPILED = {
    "Heston",
    "Bates",
    "Merton",
    "Kou",
    "VarianceGamma",
    "CIR",
}  # Gamma functions and equations solved step by step are the arrays'


def book(model, payoff, n=40):
    """Columns of a model and a payoff with `n` rows, drawn at random."""
    draw = np.random.default_rng(4)
    columns = {}
    for name, domain in {**domains(model), **domains(payoff)}.items():
        low, high = {**WIDE, **HERE}.get(name, (domain.sample, domain.sample))
        columns[name] = draw.choice(domain.codes, n) if domain.words else draw.uniform(low, high, n)
    return columns


def on_arrays(patch):
    """Integrands of arrays, as of a formula that no kernel can run."""
    patch.setattr(fourier, "_kernel", lambda *given: None)


WAYS = [lambda patch: None, on_arrays]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_a_kernel_says_what_arrays_say(model, monkeypatch, device):
    for payoff in PAYOFFS:
        columns, device = book(model, payoff), resolve_device(device)
        assert bool(fourier._kernel(model, payoff, tuple(columns), device)) == (
            model.__name__ in COMPILED
        )
        if model.__name__ not in COMPILED:
            continue
        kernel = fourier.values(model, payoff, columns, device)
        with monkeypatch.context() as patch:
            on_arrays(patch)
            arrays = fourier.values(model, payoff, columns, device)
        assert np.isfinite(arrays).mean() > 0.9
        np.testing.assert_allclose(
            kernel, arrays, rtol=0, atol=1e-11, err_msg=f"{model.__name__} {payoff.__name__}"
        )


@pytest.mark.parametrize(
    "model", [m for m in MODELS if m.__name__ != "RoughHeston"], ids=lambda m: m.__name__
)
def test_the_way_does_not_matter(model, monkeypatch):
    """Another bend, a finer rule and a further end give the same price: what is left out is
    small, not only called so.
    """
    columns, device = book(model, PAYOFFS[0]), resolve_device("cpu")
    price = fourier.values(model, PAYOFFS[0], columns, device)
    for name, value in (("ENOUGH", 1e-12), ("LEAST", 1e-17), ("FINEST", 12)):
        monkeypatch.setattr(fourier, name, value)
    monkeypatch.setattr(Model, "analyticity_angle", staticmethod(lambda m, xp: 0.1))
    again = fourier.values(model, PAYOFFS[0], columns, device)
    both = np.isfinite(price) & np.isfinite(again)
    assert both.mean() > 0.9
    np.testing.assert_allclose(price[both], again[both], rtol=0, atol=2e-9)


@pytest.mark.parametrize("way", WAYS, ids=["kernel", "arrays"])
def test_far_from_the_money(way, monkeypatch):
    """Up to 250 standard deviations away, where the wave turns fast, a price is the intrinsic
    value, and not what coarse nodes make of it.
    """
    way(monkeypatch)
    model = gq.models.Heston(
        spot=100.0,
        rate=0.0,
        v0=0.0004,
        kappa=1.5,
        long_variance=0.0004,
        vol_of_vol=0.01,
        correlation=-0.5,
    )
    strikes = 100.0 * np.exp(
        0.02 * np.array([-250.0, -100.0, -40.0, -15.0, -9.0, 9.0, 15.0, 40.0, 100.0, 250.0])
    )
    found = gq.price(gq.payoffs.European(option_type="call", strike=strikes, maturity=1.0), model)
    assert (
        np.abs(found.price - np.maximum(100.0 - strikes, 0.0)) < 1e-9 * np.sqrt(100.0 * strikes)
    ).all(), found.frame


@pytest.mark.parametrize("way", WAYS, ids=["kernel", "arrays"])
def test_jumps_of_one_size(way, monkeypatch):
    """On a bent path their characteristic function grows without bound; the price is the sum
    over the number of jumps (Merton, 1976).
    """
    way(monkeypatch)
    draw = np.random.default_rng(2)
    n = 60
    volatility, intensity, jump = (
        draw.uniform(0.05, 0.2, n),
        draw.uniform(0.5, 4.0, n),
        draw.uniform(-0.6, 0.9, n),
    )
    t, strike = draw.uniform(0.1, 2.0, n), 100.0 * np.exp(draw.normal(0.0, 0.3, n))
    model = gq.models.Merton(
        spot=100.0,
        rate=0.02,
        volatility=volatility,
        intensity=intensity,
        jump_mean=jump,
        jump_volatility=0.0,
    )
    expected = np.zeros((2, n))
    chance = np.exp(-intensity * t)
    for k in range(60):
        spot = 100.0 * np.exp(k * jump - intensity * t * np.expm1(jump))
        part = gq.models.BlackScholes(spot=spot, rate=0.02, volatility=volatility)
        for row, payoff in enumerate((gq.payoffs.European, gq.payoffs.Digital)):
            expected[row] += (
                chance * gq.price(payoff(option_type="call", strike=strike, maturity=t), part).price
            )
        chance = chance * intensity * t / (k + 1.0)
    for row, (payoff, unit) in enumerate(((gq.payoffs.European, 1e-6), (gq.payoffs.Digital, 1e-8))):
        found = fourier.values(
            gq.models.Merton,
            payoff,
            {**model.columns(), **payoff(option_type="call", strike=strike, maturity=t).columns()},
            resolve_device("cpu"),
        )
        assert np.isfinite(found).mean() > 0.8
        np.testing.assert_allclose(
            found[np.isfinite(found)], expected[row][np.isfinite(found)], rtol=0, atol=unit
        )


def test_what_is_at_stake_is_the_measure():
    """A digital that pays 1 on a price of 10,000 is as exact as on a price of 1."""
    heston = {
        "rate": 0.0,
        "v0": 0.02,
        "kappa": 0.5,
        "long_variance": 0.02,
        "vol_of_vol": 1.5,
        "correlation": -0.9,
    }
    prices = [
        gq.price(
            gq.payoffs.Digital(option_type="call", strike=1.1 * level, maturity=0.1),
            gq.models.Heston(spot=level, **heston),
        ).price
        for level in (1.0, 1e2, 1e4)
    ]
    np.testing.assert_allclose(prices, prices[0], rtol=0, atol=1e-9)


def test_rows_that_do_not_settle_are_left_to_others(monkeypatch):
    monkeypatch.setattr(fourier, "FINEST", 1)
    columns = book(MODELS[0], PAYOFFS[0])
    columns["maturity"][:] = 1e-4
    found = fourier.values(MODELS[0], PAYOFFS[0], columns, resolve_device("cpu"))
    assert np.isnan(found).any()


def test_a_row_has_the_same_bits_alone_and_beside_others():
    """In a part, too, that another thread prices, with its Greeks, and beside bad ones."""
    model = gq.models.Heston(
        spot=100.0,
        rate=0.02,
        v0=np.linspace(0.01, 0.2, 300),
        kappa=1.5,
        long_variance=0.04,
        vol_of_vol=0.5,
        correlation=-0.7,
    )
    call = gq.payoffs.European(option_type="call", strike=np.linspace(60, 140, 300), maturity=1.0)
    together = gq.price(call, model, greeks=True).frame
    assert (together["engine"] == "fourier").all()
    for row in (0, 150, 299):
        alone = gq.price(call.take(np.array([row])), model.take(np.array([row])), greeks=True)
        for name in ("price", *GREEKS):
            assert together[name][row] == alone.frame[name][0], (row, name)


def test_the_kernel_compiles_to_ptx_without_a_gpu():
    columns = book(gq.models.Heston, gq.payoffs.European)
    text, matrix = (
        fourier_loop.source(gq.models.Heston, gq.payoffs.European, tuple(columns), "cuda"),
        ptx.array("f64", 2),
    )
    assembly = build.ptx(text, (matrix, "i64", "f64", matrix)).decode()
    assert ".local" not in assembly and not re.search(r"^\s+call", assembly, re.M)


def test_python_and_a_gpus_threads_say_the_same(monkeypatch):
    twin.stand_in(monkeypatch)
    model = gq.models.Heston(
        spot=100.0,
        rate=0.02,
        v0=0.04,
        kappa=1.5,
        long_variance=0.04,
        vol_of_vol=0.5,
        correlation=-0.7,
    )
    call = gq.payoffs.European(option_type="call", strike=[90.0, 110.0], maturity=1.0)
    cpu, python, cuda = (
        gq.price(call, model, device=device).price for device in ("cpu", "python", "cuda")
    )
    np.testing.assert_allclose(python, cpu, rtol=1e-12)
    np.testing.assert_allclose(cuda, cpu, rtol=1e-12)


def test_a_formula_that_a_kernel_cannot_run_is_no_error():
    """Closed forms and arrays have words that kernels do not: such a model is priced by arrays,
    in any number.
    """
    model = gq.models.CGMY(
        spot=100.0, rate=0.02, activity=1.0, left_decay=5.0, right_decay=5.0, fineness=0.5
    )
    call = gq.payoffs.European(option_type="call", strike=np.linspace(80, 120, 300), maturity=1.0)
    assert (gq.price(call, model).frame["engine"] == "fourier").all()
    assert (
        closed_form.values(
            type(model), type(call), {**model.columns(), **call.columns()}, resolve_device("cpu")
        )
        is None
    )
