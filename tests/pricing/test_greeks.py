"""Greeks by name: formulas beside textbooks, simulations beside formulas."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import gpuquant as gq
from gpuquant.pricing.greeks import GREEKS, NAMES

payoffs, models = gq.payoffs, gq.models
FLAT = models.BlackScholes(spot=100.0, rate=0.03, dividend_yield=0.01, volatility=0.25)
CALL = payoffs.European(option_type="call", strike=105.0, maturity=1.0)
TWO = models.MultiBlackScholes(
    spots=[100.0, 90.0], rate=0.03, volatilities=[0.2, 0.3], correlation=0.4
)
BASKET = payoffs.Basket(option_type="call", strike=100.0, weights=[0.5, 0.5], maturity=1.0)
OF_ASSETS = ("delta1", "delta2", "gamma11", "gamma12", "gamma22", "vega1", "vega2")
HESTON = models.Heston(
    spot=100.0, rate=0.02, v0=0.04, kappa=1.5, long_variance=0.04, vol_of_vol=0.5, correlation=-0.7
)
OF_HESTON = ("d_v0", "d_kappa", "d_long_variance", "d_vol_of_vol", "d_correlation")


def textbook():
    """The Greeks of a call by Black, Scholes and Merton; Haug (2007), chapter 2."""
    s, k, r, q, v = 100.0, 105.0, 0.03, 0.01, 0.25
    d1 = np.log(s / k) / v + (r - q) / v + 0.5 * v
    d2 = d1 - v
    paid, lent = s * np.exp(-q), k * np.exp(-r)
    theta = -paid * norm.pdf(d1) * v / 2.0 - r * lent * norm.cdf(d2) + q * paid * norm.cdf(d1)
    vega = paid * norm.pdf(d1)
    return {
        "delta": paid / s * norm.cdf(d1),
        "gamma": vega / (s * s * v),
        "vega": vega,
        "rho": lent * norm.cdf(d2),
        "theta": theta,
        "theta_per_day": theta / 365.0,
        "dividend_rho": -paid * norm.cdf(d1),
        "vanna": -vega / s * d2 / v,
        "volga": vega * d1 * d2 / v,
        "d_strike": -lent / k * norm.cdf(d2),
        "d_volatility": vega,
    }


@pytest.mark.parametrize("name", textbook())
def test_the_formula(name):
    right = textbook()[name]
    least = 1e-5 if name == "volga" else 1e-8  # rounding over the square of a bump
    found = gq.price(CALL, FLAT, greeks=name)
    assert found.frame[name][0] == pytest.approx(right, rel=least), found.frame.iloc[0]
    assert found.frame[f"{name}_std_error"][0] == 0.0


def test_the_names_are_all_here():
    assert set(GREEKS) <= set(textbook())


@pytest.mark.parametrize(
    ("payoff", "model", "names"),
    [
        (CALL, FLAT, (*GREEKS, "d_strike")),
        (CALL, HESTON, (*GREEKS, *OF_HESTON)),
        (BASKET, TWO, ("rho", "theta", "dividend_rho", *OF_ASSETS)),
    ],
    ids=["Black-Scholes", "Heston", "basket"],
)
def test_simulated_beside_exact(payoff, model, names):
    """The scheme's bias is not in the errors: two hundred steps make it small."""
    exact = gq.price(payoff, model, greeks=names).frame.iloc[0]
    steps = 200 if model is HESTON else None
    found = gq.price(
        payoff, model, greeks=names, engine="monte_carlo", paths=100_000, steps=steps, seed=3
    ).frame.iloc[0]
    assert exact["engine"] != "monte_carlo"
    for name in names:
        error = found[f"{name}_std_error"]
        assert error > 0.0 and abs(found[name] - exact[name]) < 4.0 * error, (name, found, exact)


def test_a_greek_alone_and_among_others():
    asian = payoffs.Asian(option_type="call", strike=100.0, maturity=1.0, fixings=12)
    every = gq.price(asian, HESTON, greeks=True, paths=5000).frame
    for name in NAMES:
        alone = gq.price(asian, HESTON, greeks=name, paths=5000).frame
        for column in ("price", "std_error", name, f"{name}_std_error"):
            assert alone[column][0] == every[column][0], (name, column)


def test_the_columns_are_those_asked_for():
    found = gq.price(CALL, FLAT, greeks=["vanna", "delta"]).frame
    names = [name for name in found if name in GREEKS]
    assert names == ["vanna", "delta"]
    assert "gamma" not in found


def test_desk_units():
    raw = gq.price(CALL, FLAT, greeks=list(GREEKS)).frame.iloc[0]
    desk = gq.price(CALL, FLAT, greeks=list(GREEKS), units="desk").frame.iloc[0]
    for name, factor in {
        "delta": 1.0, "vega": 0.01, "rho": 0.01, "dividend_rho": 0.01, "theta": 1 / 365.0,
        "theta_per_day": 1.0, "vanna": 0.01, "volga": 1e-4,
    }.items():  # fmt: skip
        assert desk[name] == pytest.approx(raw[name] * factor, rel=1e-15)


@pytest.mark.parametrize(
    ("payoff", "model", "name"),
    [
        (CALL, FLAT, "delta2"),
        (BASKET, TWO, "delta"),
        (BASKET, TWO, "delta3"),
        (BASKET, TWO, "d_correlation"),  # only a derived column depends on it
        (CALL, FLAT, "d_option_type"),
    ],
)
def test_what_a_row_has_not_is_no_number(payoff, model, name):
    for engine in ("auto", "monte_carlo"):
        found = gq.price(payoff, model, greeks=["rho", name], engine=engine).frame.iloc[0]
        assert np.isnan(found[name]) and np.isfinite(found["rho"])
        assert found["status"] == "warning" and f"{name} undefined" in found["message"]


@pytest.mark.parametrize("wrong", ["detla", ["delta", "gama"], 3, ["delta", 3], "gamma0"])
def test_a_name_that_is_none(wrong):
    with pytest.raises(gq.errors.InputError, match=r"must be|unknown Greek"):
        gq.price(CALL, FLAT, greeks=wrong)


def test_a_column_that_no_row_has():
    with pytest.raises(gq.errors.NameUnknown, match="did you mean 'volatility'"):
        gq.price(CALL, FLAT, greeks="d_volatilty")
    both = pd.DataFrame(
        {
            "product": "european", "model": ["black_scholes", "heston"], "option_type": "call",
            "strike": 100.0, "maturity": 1.0, "spot": 100.0, "rate": 0.02, "volatility": 0.2,
            "v0": 0.04, "kappa": 1.5, "long_variance": 0.04, "vol_of_vol": 0.5, "correlation": 0.0,
        }
    )  # fmt: skip
    found = gq.price(both, greeks="d_kappa").frame
    assert found["d_kappa"].notna().tolist() == [False, True]


def test_a_book_gives_them_by_position():
    book = gq.Portfolio(
        {
            "options": gq.Contracts.from_frame(
                pd.DataFrame(
                    {
                        "product": ["european"],
                        "underlying": ["A"],
                        "option_type": ["call"],
                        "strike": [105.0],
                        "maturity": [1.0],
                        "quantity": [10.0],
                    }
                )
            ),
            "shares": {"A": 5.0},
        }
    )  # fmt: skip
    market = gq.Market(
        {"rate": 0.03, "A": {"spot": 100.0, "volatility": 0.25, "dividend_yield": 0.01}}
    )
    found = book.greeks(market, ["delta", "vanna"]).frame
    right = textbook()
    assert found["delta"].tolist() == pytest.approx([10.0 * right["delta"], 5.0])
    assert found["vanna"].tolist() == pytest.approx([10.0 * right["vanna"], 0.0])


def test_the_implied_volatility_beside_the_price():
    calls = CALL.replace(strike=[80.0, 100.0, 130.0])
    found = gq.price(calls, FLAT, greeks=["implied_vol", "delta"]).frame
    np.testing.assert_allclose(found["implied_vol"], 0.25, rtol=1e-10)
    assert (found["implied_vol_std_error"] == 0.0).all() and found["delta"].notna().all()
    smile = gq.price(calls, HESTON, greeks="implied_vol").frame
    simulated = gq.price(
        calls, HESTON, greeks="implied_vol", engine="monte_carlo", steps=200, seed=2
    ).frame
    z = (simulated["implied_vol"] - smile["implied_vol"]) / simulated["implied_vol_std_error"]
    assert (z.abs() < 4.0).all() and smile["implied_vol"].is_monotonic_decreasing


def test_what_is_no_vanilla_has_no_implied_volatility():
    asian = payoffs.Asian(option_type="call", strike=100.0, maturity=1.0, fixings=12)
    for payoff, model in ((asian, FLAT), (BASKET, TWO)):
        found = gq.price(payoff, model, greeks="implied_vol", paths=2000).frame
        assert np.isnan(found["implied_vol"][0]) and found["price"][0] > 0.0


def test_without_variance_there_is_no_gamma_of_the_bump():
    """The mean of a price that grows along its forwards is one per cent in the money."""
    still = models.BlackScholes(spot=100.0, rate=0.03, volatility=0.0)
    asian = payoffs.Asian(option_type="call", strike=100.0, maturity=1.0, fixings=12)
    found = gq.price(asian, still, greeks=["delta", "gamma"]).frame.iloc[0]
    mean = np.exp(0.03 * np.arange(1, 13) / 12).mean()
    assert found["delta"] == pytest.approx(np.exp(-0.03) * mean, rel=1e-3)
    assert np.isnan(found["gamma"]) and "gamma undefined" in found["message"]


def test_a_variance_that_does_not_move_gives_the_greeks_of_black_and_scholes():
    """Volga is a second derivative to the volatility, also where a model has its square."""
    still = models.Heston(
        spot=100.0, rate=0.03, dividend_yield=0.01, v0=0.0625, kappa=1e-6, long_variance=0.0625,
        vol_of_vol=1e-3, correlation=0.0,
    )  # fmt: skip
    flat, found = (gq.price(CALL, m, greeks=list(GREEKS)).frame.iloc[0] for m in (FLAT, still))
    for name in GREEKS:
        assert found[name] == pytest.approx(flat[name], rel=1e-3, abs=1e-3), name


@pytest.mark.parametrize("spot", [0.05, 5.0, 5000.0])
def test_the_bump_of_a_column_follows_its_value(spot):
    model = models.BlackScholes(spot=spot, rate=0.03, volatility=0.2)
    barrier = payoffs.Barrier(
        option_type="call", barrier_type="down-and-out", strike=spot, barrier=0.9 * spot,
        maturity=1.0,
    )  # fmt: skip
    names = ["delta", "d_spot", "d_strike", "d_barrier", "d_volatility"]
    exact, found = (
        gq.price(barrier, model, greeks=names, engine=engine, paths=200_000).frame.iloc[0]
        for engine in ("auto", "monte_carlo")
    )
    assert exact["d_spot"] == pytest.approx(exact["delta"], rel=1e-12)
    for name in names:
        assert abs(found[name] - exact[name]) < 4.5 * found[f"{name}_std_error"], (name, found)


def test_a_bump_beyond_a_domain_harms_its_own_greek_alone():
    edge = models.Heston(
        spot=100.0, rate=0.02, v0=0.04, kappa=1.5, long_variance=0.04, vol_of_vol=0.5,
        correlation=-1.0,
    )  # fmt: skip
    found = gq.price(
        CALL, edge, greeks=["delta", "d_correlation"], engine="monte_carlo", paths=5000
    ).frame.iloc[0]
    assert np.isfinite(found["price"]) and np.isfinite(found["delta"])
    assert np.isnan(found["d_correlation"]) and "d_correlation undefined" in found["message"]


def test_a_maturity_is_no_column_of_a_greek():
    """The dates of a payoff follow its maturity: theta is the derivative to time."""
    found = gq.price(CALL, FLAT, greeks=["d_maturity"]).frame
    assert np.isnan(found["d_maturity"][0])
