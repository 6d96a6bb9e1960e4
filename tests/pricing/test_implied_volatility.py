"""Implied volatility inverts its formula, tells why a row has none, and harms no other row."""

import re

import numpy as np
import pytest
from scipy import special
from scipy.stats import norm

import gpuquant as gq
from gpuquant.compiler import build
from gpuquant.errors import InputError, NameUnknown
from gpuquant.pricing import inversion
from tests import ptx, twin

DRAW = np.random.default_rng(11)
ROWS = 20_000
RANGES = {
    "usual": (DRAW.normal(0.0, 0.3, ROWS), DRAW.uniform(0.02, 0.8, ROWS)),
    "wide": (DRAW.normal(0.0, 1.0, ROWS), 10.0 ** DRAW.uniform(-3.0, 0.7, ROWS)),
    "near": (10.0 ** DRAW.uniform(-8.0, -1.0, ROWS), 10.0 ** DRAW.uniform(-4.0, 0.5, ROWS)),
    "deep": (10.0 ** DRAW.uniform(-2.0, 1.0, ROWS), 10.0 ** DRAW.uniform(-2.0, 0.9, ROWS)),
    "at the money": (np.zeros(ROWS), 10.0 ** DRAW.uniform(-6.0, 0.9, ROWS)),
}


def ratio(y):
    """The normal distribution over its density."""
    return np.sqrt(0.5 * np.pi) * special.erfcx(-y / np.sqrt(2.0))


def black(x, s):
    """The price of an option out of the money, in units of sqrt(forward strike), and its elasticity
    to s: of the difference of two ratios or, where that cancels, of the integral of their slope.
    """
    h, t = x / s, 0.5 * s
    nodes, weights = np.polynomial.legendre.leggauss(12)
    y = h + t * nodes[:, None]
    narrow = t * (weights @ (1.0 + y * ratio(y)))
    width = np.where(t < 0.3, narrow, ratio(h + t) - ratio(h - t))
    return norm.pdf(h) * np.exp(-0.5 * t * t) * width, s / width


def bachelier(x, s):
    """The same under Bachelier, in currency units."""
    h = x / s
    width = s * (1.0 + h * ratio(h))
    return norm.pdf(h) * width, s / width


@pytest.mark.parametrize("formula", [black, bachelier])
@pytest.mark.parametrize("name", RANGES)
def test_an_inverse(formula, name):
    """Within what rounding of the value, or of the formula, moves the deviation by."""
    x, s = RANGES[name]
    x = -np.abs(x)
    value, elasticity = formula(x, s)
    seen = (x / s > -36.0) & (elasticity < 1e3 if formula is bachelier else elasticity > 1e-9)
    x, s, value, elasticity = (one[seen] for one in (x, s, value, elasticity))
    lognormal = formula is black
    forward, strike = (np.exp(0.5 * x), np.exp(-0.5 * x)) if lognormal else (x, np.zeros_like(x))
    found = gq.implied_volatility(
        price=value,
        option_type="call",
        spot=forward,
        strike=strike,
        maturity=1.0,
        rate=0.0,
        model=formula.__name__,
    )
    known = np.isfinite(found)
    moved = 3e-16 * ratio(x / s) / s if lognormal else 0.0  # forward and strike are rounded, too
    bound = 5e-14 + 6e-15 / elasticity + moved
    np.testing.assert_array_less(np.abs(found / s - 1.0)[known], bound[known])
    assert known[elasticity > 1e-11].all()


def test_the_oracle_is_blacks():
    """By the normal distribution, where this loses no digits; and its slope by a difference."""
    x, s = -np.abs(DRAW.normal(0.0, 0.3, 500)), DRAW.uniform(0.3, 2.0, 500)
    plain = np.exp(x / 2) * norm.cdf(x / s + s / 2) - np.exp(-x / 2) * norm.cdf(x / s - s / 2)
    value, elasticity = black(x, s)
    np.testing.assert_allclose(value, plain, rtol=1e-11)
    up, down = (black(x, s + d)[0] for d in (1e-4, -1e-4))
    np.testing.assert_allclose((up - down) / 2e-4, value * elasticity / s, rtol=1e-6)


@pytest.mark.parametrize("device", ["python", "cuda"])
@pytest.mark.parametrize("model", ["black", "bachelier"])
def test_python_and_a_gpus_threads_say_the_same(model, device, monkeypatch):
    """Of rows near the money and far from it, and of rows that have no volatility."""
    twin.stand_in(monkeypatch)
    strikes = [60.0, 100.0, 130.0, 200.0, 100.0, 100.0]
    prices = [41.0, 4.0, 1.5, 1e-9, 500.0, 0.5]
    quotes = {"option_type": "call", "spot": 100.0, "strike": strikes, "maturity": 0.5}
    found, host = (
        gq.implied_volatility(
            price=prices, rate=0.02, model=model, reasons=True, device=where, **quotes
        )
        for where in (device, "cpu")
    )
    np.testing.assert_allclose(found[0], host[0], rtol=1e-12)
    assert found[1].tolist() == host[1].tolist() and host[1][-1]


@pytest.mark.parametrize("model", ["black", "bachelier"])
def test_the_kernel_compiles_to_ptx_without_a_gpu(model):
    matrix = ptx.array("f64", 2)
    text = inversion._kernel(model)("cuda")
    assembly = build.ptx(text, (matrix, matrix, matrix)).decode()
    assert ".local" not in assembly and not re.search(r"^\s+call", assembly, re.M)


def test_the_formula_is_bacheliers():
    forward, strike = DRAW.uniform(-2.0, 5.0, (2, 400))
    years, rate, true = DRAW.uniform(0.05, 4.0, 400), 0.03, DRAW.uniform(0.5, 3.0, 400)
    sign = np.where(DRAW.random(400) < 0.5, 1.0, -1.0)
    s = true * np.sqrt(years)
    d = sign * (forward - strike) / s
    price = np.exp(-rate * years) * s * (d * norm.cdf(d) + norm.pdf(d))
    spot = forward * np.exp(-rate * years)
    how = {"option_type": sign, "spot": spot, "strike": strike, "maturity": years, "rate": rate}
    found = gq.implied_volatility(price=price, model="bachelier", **how)
    few = price * np.exp(rate * years) - np.maximum(sign * (forward - strike), 0.0) < 1e-6
    np.testing.assert_allclose(found[~few], true[~few], rtol=1e-8)


def test_a_shift_moves_forward_and_strike():
    quotes = {"option_type": "put", "maturity": 2.0, "rate": 0.0}
    plain = gq.implied_volatility(price=0.004, spot=0.03, strike=0.025, **quotes)
    moved = gq.implied_volatility(price=0.004, spot=0.01, strike=0.005, shift=0.02, **quotes)
    assert moved == pytest.approx(plain, rel=1e-12)
    below = {"spot": 0.01, "strike": -0.005, "shift": [0.02, 0.001], **quotes}
    found, why = gq.implied_volatility(price=0.004, reasons=True, **below)
    assert np.isfinite(found).tolist() == [True, False]
    assert why.tolist() == ["", "forward + shift = 0.011 and strike + shift = -0.004: must be > 0"]


QUOTES = {"spot": 100.0, "maturity": 1.0}
ROW = {"price": 9.0, "strike": 100.0, "option_type": "call", "rate": 0.02}
WRONG = {
    "a price that is missing": ({"price": np.nan}, "price = nan: must be finite and >= 0"),
    "a negative price": ({"price": -3.0}, "price = -3.0: must be finite and >= 0"),
    "a strike of nothing": ({"strike": 0.0}, "strike = 0.0: must be finite and > 0"),
    "more than the asset": ({"price": 120.0}, "price 120.0 is not below its bound, 100"),
    "less than intrinsic": ({"price": 1.0}, "price 1.0 is below its bound, 1.98013266932"),
    "no price": (
        {"price": 0.0, "strike": 130.0},
        "price 0.0 carries no volatility: rounding of it moves the volatility by more than 1 %",
    ),
    "a price of no digits": (
        {"price": 5e-324, "strike": 150.0},
        "price 5e-324 carries no volatility: rounding of it moves the volatility by more than 1 %",
    ),
    "all of the asset but its last digit": (
        {"price": 100.0 - 1e-13},
        f"price {100.0 - 1e-13!r} carries no volatility: rounding of it moves the volatility by "
        "more than 1 %",
    ),
    "a word that is none": (
        {"option_type": "cal"},
        "option_type = 'cal': must be one of call, put",
    ),
    "interest beyond numbers": (
        {"rate": 1e4},
        "price 9.0 carries no volatility: rounding of it moves the volatility by more than 1 %",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_row_without_a_volatility_says_why_and_harms_no_other(name):
    change, text = WRONG[name]
    rows = [ROW, {**ROW, **change}, {**ROW, "price": 10.0}]
    columns = {key: np.array([row[key] for row in rows]) for key in ROW}
    found, why = gq.implied_volatility(reasons=True, **columns, **QUOTES)
    assert why.tolist() == ["", text, ""], why
    alone = [gq.implied_volatility(**rows[k], **QUOTES) for k in (0, 2)]
    assert found[[0, 2]].tolist() == alone and np.isnan(found[1])
    np.testing.assert_array_equal(found, gq.implied_volatility(**columns, **QUOTES))


def test_an_argument_that_is_wrong_for_all_rows_raises():
    both = {**ROW, **QUOTES}
    with pytest.raises(InputError, match=r"price\[0\] = nan: must be finite and >= 0"):
        gq.implied_volatility(**{**both, "price": np.nan})
    with pytest.raises(InputError, match=r"strike\[0\] = 0.0: must be finite and > 0"):
        gq.implied_volatility(**{**both, "price": [9.0, 8.0], "strike": 0.0})
    with pytest.raises(NameUnknown, match="blck"):
        gq.implied_volatility(**both, model="blck")
    assert np.isnan(gq.implied_volatility(**{**both, "price": np.array([np.nan])})).tolist() == [
        True
    ]


def test_a_list_of_one_that_is_wrong_is_wrong_for_all_rows():
    quotes = {"option_type": "call", "spot": 100.0, "strike": 100.0, "rate": 0.02}
    found = gq.implied_volatility(price=[9.0, 10.0], maturity=[0.0], **quotes)
    assert np.isnan(found).all()


def test_a_price_in_the_money_loses_what_its_intrinsic_value_takes():
    """Either the volatility is right to one part in a hundred, or there is none and a reason."""
    strikes, true = np.linspace(40.0, 99.0, 60), 0.061
    how = {"option_type": "call", "strike": strikes, "maturity": 0.5}
    model = {"spot": 100.0, "rate": 0.02}
    priced = gq.price(
        gq.payoffs.European(**how), gq.models.BlackScholes(volatility=true, **model)
    ).price
    found, why = gq.implied_volatility(price=priced, reasons=True, **how, **model)
    known = np.isfinite(found)
    assert known.any() and not known.all()
    np.testing.assert_allclose(found[known], true, rtol=1e-2)
    assert all("carries no volatility" in text or "below" in text for text in why[~known])
    assert all(text == "" for text in why[known])
