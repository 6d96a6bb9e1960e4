"""Exact Greeks of formulas, by dual numbers, beside central differences of the same formulas."""

import numpy as np
import pytest
from scipy import special as sp
from scipy.integrate import quad

import gpuquant as gq
from gpuquant import family
from gpuquant.device.device import HOST
from gpuquant.math.dual_functions import Functions, Special
from gpuquant.math.duals import Dual
from gpuquant.payoffs import reflection
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing import closed_form
from gpuquant.pricing.differences import extrapolated
from gpuquant.pricing.greeks import GREEKS
from gpuquant.pricing.pairs import sample_batch

NAMES = (*GREEKS, "delta1", "delta2", "gamma12", "vega2")


def own(base, package):
    found = family.members(base, package).values()
    return [cls for cls in found if cls.__module__.startswith("gpuquant.")]


def off_its_kinks(model, payoff):
    """A sample row of a pair, its spot moved; None where there is no such pair."""
    try:
        batch = next(sample_batch(model, payoff).derived())
    except (AttributeError, IndexError, StopIteration, ValueError):
        return None
    columns = batch.model.columns()
    for name in ("spot", "spots"):
        if name in columns:
            columns[name] = 1.03 * columns[name]
    return model.from_columns(columns), batch.payoff


def has_formula(model, payoff):
    """Whether the sample row of a pair has a price in closed form."""
    row = off_its_kinks(model, payoff)
    if row is None:
        return False
    try:
        with np.errstate(all="ignore"):
            found = closed_form.price(*row, HOST)
    except (AttributeError, IndexError, ValueError):
        return False
    return found is not None and bool(np.isfinite(found).all())


# One model of each kind of law: one price, several, bonds, and a variance alone.
MODELS = (
    gq.models.BlackScholes,
    gq.models.MultiBlackScholes,
    gq.models.Vasicek,
    gq.models.Heston,
)
PAIRS = [
    (model, payoff)
    for model in MODELS
    for payoff in own(Payoff, "gpuquant.payoffs")
    if has_formula(model, payoff)
]
SOME = [pair for k, pair in enumerate(PAIRS) if k % 4 == 1]


def test_there_are_many():
    assert len(PAIRS) > 25


@pytest.mark.parametrize(
    ("model", "payoff"),
    [pair if pair in SOME else pytest.param(*pair, marks=pytest.mark.slow) for pair in PAIRS],
    ids=[f"{m.__name__}-{p.__name__}" for m, p in PAIRS],
)
def test_exact_beside_differences(model, payoff):
    """Differences are good to 1e-4 of a second derivative, and to rounding over the bump."""
    row = off_its_kinks(model, payoff)
    with np.errstate(all="ignore"):
        exact = closed_form.price(*row, HOST, NAMES)[0]
        near = extrapolated(*row, HOST, NAMES, closed_form.values)[0]
    for o, name in enumerate(NAMES, start=1):
        if np.isnan(near[o]):
            assert np.isnan(exact[o]) or name == "gamma", (name, exact, near)
            continue
        room = 2e-4 * abs(near[o]) + 1e-5 * max(abs(exact[0]), 1e-4)
        assert abs(exact[o] - near[o]) < room, (name, exact[o], near[o])


X, Y = np.array([0.3, 1.7, 2.4]), np.array([1.1, 0.4, 3.0])
DIRECTIONS = (("x",), ("y",), ("x", "x"), ("x", "y"))
xp, special = Functions(np), Special(HOST.special, np)
FORMULAS = {
    "products": lambda x, y: x * y * x - y / x + 3.0 / y - (2.0 - x) * y,
    "powers": lambda x, y: x**3.0 * xp.sqrt(y) + abs(x - 2.0) * y,
    "functions": lambda x, y: xp.exp(x * y) + xp.log(x + y) + xp.expm1(x) * xp.log1p(y),
    "normal": lambda x, y: special.ndtr(x - y) * special.ndtr(y),
    "branches": lambda x, y: (
        xp.where(x > 1.0, x * y, y * y) + xp.maximum(x, y) * xp.minimum(x, 2.0)
    ),
    "bounds": lambda x, y: xp.clip(x * y, 0.5, 5.0) * x,
    "parts": lambda x, y: xp.sort(xp.stack([x * y, y, x * x]), axis=0)[1] + (x * y)[::-1][::-1],
    "sums": lambda x, y: (xp.stack([x * y, x + y], axis=1) ** 2.0).sum(axis=1),
    "gamma": lambda x, y: special.gamma(x) * y,
    "matrices": lambda x, y: xp.einsum(
        "nj,nj->n", xp.stack([x, y], axis=1), xp.stack([x * y, y], axis=1)
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_the_rules(name):
    """Beside differences of the same formula of arrays."""
    pairs = tuple(one for one in DIRECTIONS if len(one) == 2)
    one = np.ones(3)
    found = FORMULAS[name](Dual(X, {("x",): one}, pairs), Dual(Y, {("y",): one}, pairs))

    def at(a, b):
        return FORMULAS[name](X + a, Y + b)

    h = 1e-4
    near = {
        ("x",): (at(h, 0) - at(-h, 0)) / (2 * h),
        ("y",): (at(0, h) - at(0, -h)) / (2 * h),
        ("x", "x"): (at(h, 0) - 2 * at(0, 0) + at(-h, 0)) / h**2,
        ("x", "y"): (at(h, h) - at(h, -h) - at(-h, h) + at(-h, -h)) / (4 * h * h),
    }
    np.testing.assert_array_equal(found.value, at(0.0, 0.0))
    for key, right in near.items():
        got = np.broadcast_to(found.slopes.get(key, 0.0), 3)
        np.testing.assert_allclose(got, right, rtol=2e-6, atol=2e-6, err_msg=f"{name} {key}")


def test_a_formula_of_the_callers_with_functions_of_its_own():
    """It takes functions that duals do not know: its Greeks are differences then."""

    class Sine(gq.payoffs.European):
        abstract = True

        @staticmethod
        def closed(p, law, xp, special):
            return xp.sin(law.forward / 100.0) * law.discount

    sine = Sine(option_type="call", strike=100.0, maturity=1.0)
    flat = gq.models.BlackScholes(spot=100.0, rate=0.02, volatility=0.2)
    growth = np.exp(0.02)
    found = gq.price(sine, flat, greeks="delta").frame["delta"][0]
    assert found == pytest.approx(np.cos(growth) * growth / 100.0 / growth, rel=1e-8)


@pytest.mark.parametrize("payoff", [gq.payoffs.Lookback, gq.payoffs.FloatingLookback])
@pytest.mark.parametrize("option_type", ["call", "put"])
def test_a_lookback_is_smooth_where_its_carry_vanishes(payoff, option_type):
    """Price and Greeks: there two terms of the textbook's formula cancel, over the carry."""
    carry = np.linspace(-1e-3, 1e-3, 401)
    model = gq.models.BlackScholes(
        spot=103.0, rate=0.05, dividend_yield=0.05 - carry, volatility=0.2
    )
    how = {"strike": 100.0} if payoff is gq.payoffs.Lookback else {}
    seen = 98.0 if (payoff is gq.payoffs.Lookback) == (option_type == "put") else 105.0
    asked = payoff(option_type=option_type, maturity=1.0, running_extreme=seen, **how)
    found = gq.price(asked, model, greeks=tuple(GREEKS)).columns
    for name in ("price", *GREEKS):
        values = found[name]
        fit = np.polynomial.Polynomial.fit(carry, values, 8)
        wrong = np.abs(values - fit(carry)).max() / np.abs(values).max()
        assert wrong < 2e-13, (name, wrong)


def test_a_lookback_by_the_form_of_small_carries_alone_is_found_out(monkeypatch):
    """The mutant."""
    monkeypatch.setattr(reflection, "NEAR", 1e9)
    with pytest.raises(AssertionError):
        test_a_lookback_is_the_integral_of_the_chances_of_its_extreme("call")


@pytest.mark.parametrize("option_type", ["call", "put"])
def test_a_lookback_is_the_integral_of_the_chances_of_its_extreme(option_type):
    """Without the formula: P(M > y) by reflection, in logs, also with a carry of many deviations.
    The discounted payment on the extreme so far is added.
    """
    draw = np.random.default_rng(5)
    side = 1.0 if option_type == "call" else -1.0
    for _ in range(40):
        rate, dividend = draw.uniform(-0.05, 0.12), draw.uniform(-0.02, 0.1)
        volatility, years = np.exp(draw.uniform(np.log([0.01, 0.05]), np.log([0.6, 5.0])))
        spread, carry = volatility * np.sqrt(years), (rate - dividend) * years
        strike = 100.0 * np.exp(side * draw.uniform(-0.5, 1.0) * (spread + abs(carry)))

        def chance(y, spread=spread, drift=side * (carry - 0.5 * spread**2)):
            far = side * np.log(y / 100.0)
            passed = sp.ndtr((drift - far) / spread)
            turned = sp.log_ndtr((-far - drift) / spread) + 2.0 * drift * far / spread**2
            return passed + np.exp(turned)

        level = side * max(side * strike, side * 100.0)
        ends = (level, level * np.exp(side * (9.0 * spread + abs(carry))))
        points = level * np.exp(np.linspace(0.0, np.log(ends[1] / level), 20)[1:-1])
        worth = abs(quad(chance, *ends, points=points, epsabs=1e-12, limit=400)[0])
        worth = np.exp(-rate * years) * (worth + max(side * (100.0 - strike), 0.0))
        found = gq.price(
            gq.payoffs.Lookback(option_type=option_type, maturity=years, strike=strike),
            gq.models.BlackScholes(
                spot=100.0, rate=rate, dividend_yield=dividend, volatility=volatility
            ),
            engine="closed_form",
        ).price
        row = (strike, rate, dividend, volatility, years)
        assert found == pytest.approx(worth, rel=1e-9, abs=1e-9), row
