"""Models against what they become in special cases, and against laws of their own."""

import numpy as np
import pytest
from scipy.stats import norm

import gpuquant as gq
from gpuquant.errors import InputError

STRIKES = [85.0, 100.0, 115.0]


def call(maturity=1.5, strike=STRIKES):
    return gq.payoffs.European(option_type="call", strike=strike, maturity=maturity)


def agree(found, expected, allowed=0.0):
    """Within four standard errors and what a scheme's bias is allowed."""
    wrong = np.abs(found.price - expected) > 4.0 * found.std_error + allowed
    assert not wrong.any(), f"{expected}\n{found.frame.T}"


def test_one_period_is_black_scholes():
    term = gq.models.TermBlackScholes(
        spot=100.0, knots=[1.0], rates=[0.03], dividend_yields=[0.01], volatilities=[0.2]
    )
    flat = gq.models.BlackScholes(spot=100.0, rate=0.03, dividend_yield=0.01, volatility=0.2)
    for payoff in (
        call(),
        gq.payoffs.Barrier(
            option_type="call",
            barrier_type="down-and-out",
            strike=100.0,
            barrier=80.0,
            maturity=1.5,
        ),
    ):
        one, other = gq.price(payoff, term, greeks=True), gq.price(payoff, flat, greeks=True)
        np.testing.assert_allclose(one.price, other.price, rtol=1e-13)
        np.testing.assert_allclose(one.vega, other.vega, rtol=1e-6)
        np.testing.assert_allclose(one.rho, other.rho, rtol=1e-6)


def test_a_term_structure_is_its_averages():
    """And its simulation, which steps from knot to knot, agrees in the price and in every Greek."""
    term = gq.models.TermBlackScholes(
        spot=100.0,
        knots=[0.5, 1.0, 2.0],
        rates=[0.01, 0.03, 0.05],
        dividend_yields=[0.0, 0.01, 0.02],
        volatilities=[0.1, 0.2, 0.3],
    )
    averaged = gq.models.BlackScholes(
        spot=100.0, rate=0.03, dividend_yield=0.01, volatility=np.sqrt((0.01 + 0.04 + 0.09) / 3.0)
    )
    known = gq.price(call(), term, greeks=True)
    np.testing.assert_allclose(known.price, gq.price(call(), averaged).price, rtol=1e-13)
    simulated = gq.price(call(), term, engine="monte_carlo", paths=200_000, greeks=True)
    for name in ("price", "delta", "gamma", "vega", "rho", "theta"):
        error = simulated.columns["std_error" if name == "price" else f"{name}_std_error"]
        bias = 0.0 if name == "price" else 3e-3 * np.abs(known.columns[name]).max()
        assert (np.abs(simulated.columns[name] - known.columns[name]) < 4.0 * error + bias).all(), (
            f"{name}\n{known.frame.T}\n{simulated.frame.T}"
        )


def test_lists_that_do_not_match_are_named():
    with pytest.raises(InputError, match="rates has 1 values where knots has 2"):
        gq.price(
            call(),
            gq.models.TermBlackScholes(
                spot=100.0,
                knots=[0.5, 1.0],
                rates=[0.01],
                dividend_yields=[0.0, 0.0],
                volatilities=[0.2, 0.2],
            ),
        )
    with pytest.raises(
        InputError,
        match=(
            r"knots\[0\] = \[1.0, 1.0\]: each must be finite and > 0, and more than the one "
            r"before it"
        ),
    ):
        gq.price(
            call(),
            gq.models.TermBlackScholes(
                spot=100.0,
                knots=[1.0, 1.0],
                rates=[0.0, 0.0],
                dividend_yields=[0.0, 0.0],
                volatilities=[0.2, 0.2],
            ),
        )
    with pytest.raises(
        InputError, match="has 1 values: must have one for each of 1 surface_times and 2"
    ):
        gq.price(
            call(),
            gq.models.LocalVolatility(
                spot=100.0,
                rate=0.0,
                surface_times=[1.0],
                surface_levels=[-1.0, 1.0],
                surface_volatilities=[0.2],
            ),
        )


class Smile:
    """A smooth surface without arbitrage: SVI in total variance, scaled in time (Gatheral and
    Jacquier, 2014).
    """

    forward, rate = 100.0, 0.02

    def at(self, strike, maturity):
        k = np.log(strike / (self.forward * np.exp(self.rate * maturity)))
        theta = 0.04 * maturity
        phi = 0.8 / np.sqrt(theta + 0.04)
        return np.sqrt(
            0.5
            * theta
            * (1.0 - 0.4 * phi * k + np.sqrt((phi * k - 0.4) ** 2 + 1.0 - 0.16))
            / maturity
        )


def test_local_volatility_gives_the_smile_back():
    smile, times = Smile(), np.arange(1, 13) / 8.0
    local = gq.models.LocalVolatility.from_implied(smile, spot=100.0, rate=smile.rate, times=times)
    strikes = np.array([75.0, 90.0, 100.0, 110.0, 130.0])
    found = gq.price(call(strike=strikes), local, paths=200_000, steps=150)
    quoted = gq.models.BlackScholes(spot=100.0, rate=smile.rate, volatility=smile.at(strikes, 1.5))
    vega = gq.price(call(strike=strikes), quoted, greeks=True).vega
    agree(
        found, gq.price(call(strike=strikes), quoted).price, 0.002 * vega
    )  # a fifth of a point of volatility, for the table


def test_flat_local_volatility_is_black_scholes():
    flat = gq.models.LocalVolatility(
        spot=100.0,
        rate=0.02,
        surface_times=[0.5, 2.0],
        surface_levels=[-0.5, 0.0, 0.5],
        surface_volatilities=[0.25] * 6,
    )
    agree(
        gq.price(call(), flat, paths=50_000),
        gq.price(call(), gq.models.BlackScholes(spot=100.0, rate=0.02, volatility=0.25)).price,
    )


def test_sabr_in_its_corners():
    lognormal = gq.models.SABR(
        spot=100.0, rate=0.03, alpha=0.2, beta=1.0, vol_of_vol=0.0, correlation=0.0
    )
    agree(
        gq.price(call(), lognormal, paths=50_000, steps=100),
        gq.price(call(), gq.models.BlackScholes(spot=100.0, rate=0.03, volatility=0.2)).price,
        0.05,
    )
    # beta = 0: a Brownian motion absorbed at zero, whose calls are those of the free one less their
    # image
    normal = gq.models.SABR(
        spot=30.0, rate=0.0, alpha=25.0, beta=0.0, vol_of_vol=0.0, correlation=0.0
    )
    strikes = np.array([15.0, 30.0, 60.0])

    def bachelier(spot):
        d = (spot - strikes) / 25.0
        return (spot - strikes) * norm.cdf(d) + 25.0 * norm.pdf(d)

    agree(
        gq.price(call(1.0, strikes), normal, paths=100_000, steps=8),
        bachelier(30.0) - bachelier(-30.0),
    )


def test_variance_gamma_simulated_is_its_transform():
    model = gq.models.VarianceGamma(
        spot=100.0, rate=0.02, volatility=0.2, variance_rate=[0.05, 0.3, 1.0], drift=-0.15
    )
    agree(
        gq.price(call(), model, engine="monte_carlo", paths=200_000), gq.price(call(), model).price
    )


RATES = {
    "Vasicek": gq.models.Vasicek(
        short_rate=0.03, kappa=0.5, long_rate=0.05, rate_volatility=0.015, bond_maturities=[3.0]
    ),
    "HullWhite": gq.models.HullWhite(
        rate=0.04, kappa=0.1, rate_volatility=0.01, bond_maturities=[3.0]
    ),
    "CIR": gq.models.CIR(
        short_rate=0.03, kappa=0.5, long_rate=0.05, rate_volatility=0.1, bond_maturities=[3.0]
    ),
}


@pytest.mark.parametrize("name", list(RATES))
def test_options_on_a_bond(name):
    """The simulation, with rates that discount their own path, agrees with the formula; and
    deflated bonds are martingales.
    """
    option, model = (
        gq.payoffs.European(option_type="put", strike=[0.85, 0.9, 0.94], maturity=1.0),
        RATES[name],
    )
    known = gq.price(option, model)
    assert (known.frame["engine"] == ("fourier" if name == "CIR" else "closed_form")).all()
    agree(gq.price(option, model, engine="monte_carlo", paths=100_000), known.price)
    whole = gq.price(
        gq.payoffs.European(option_type="call", strike=1e-9, maturity=1.0),
        model,
        engine="monte_carlo",
        paths=100_000,
        precision="double",
    )
    settled = model.with_derived_columns()
    assert (
        abs(whole.price - settled.discount_factor(settled, np.full(1, 3.0), np)[0])
        < 3.0 * whole.std_error
    )


def test_cir_prices_bond_options_as_the_chi_square_does():
    """Cox, Ingersoll and Ross (1985), equation 32."""
    from scipy.stats import ncx2

    model = RATES["CIR"].with_derived_columns()
    k, theta, sigma, r = 0.5, 0.05, 0.1, 0.03
    strikes, t, s = np.array([0.8, 0.9, 0.93]), 1.0, 3.0
    h = np.sqrt(k * k + 2.0 * sigma * sigma)
    rho, psi = 2.0 * h / (sigma**2 * (np.exp(h * t) - 1.0)), (k + h) / sigma**2
    level, b = model.price(model, np.full(1, s - t), np)
    critical = (level - np.log(strikes)) / b
    first = ncx2.cdf(
        2.0 * critical * (rho + psi + b),
        4.0 * k * theta / sigma**2,
        2.0 * rho**2 * r * np.exp(h * t) / (rho + psi + b),
    )
    second = ncx2.cdf(
        2.0 * critical * (rho + psi),
        4.0 * k * theta / sigma**2,
        2.0 * rho**2 * r * np.exp(h * t) / (rho + psi),
    )
    expected = (
        model.discount_factor(model, np.full(1, s), np) * first
        - strikes * model.discount_factor(model, np.full(1, t), np) * second
    )
    found = gq.price(
        gq.payoffs.European(option_type="call", strike=strikes, maturity=t), RATES["CIR"]
    )
    np.testing.assert_allclose(found.price, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["Vasicek", "HullWhite"])
def test_slow_reversion_is_none(name):
    """As kappa vanishes the rate is a Brownian motion: V = volatility^2 t^3 / 3; prices go on
    smoothly, and so does the simulation.
    """
    kappas = np.array([1e-12, 1e-9, 1e-6, 1e-3])
    model = RATES[name].replace(kappa=kappas, rate_volatility=0.01)
    option = gq.payoffs.European(option_type="call", strike=0.9, maturity=1.0)
    known = gq.price(option, model)
    assert np.ptp(known.price[:3]) < 1e-6 and abs(known.price[3] - known.price[0]) < 1e-3
    agree(gq.price(option, model, engine="monte_carlo", paths=50_000), known.price)


def test_theta_moves_every_date():
    """Bonds, knots and dividends come nearer as time passes: a day later is the same contract
    with every date a day nearer.
    """
    day = 1.0 / 365.0
    option, bond = (
        gq.payoffs.European(option_type="call", strike=0.92, maturity=1.0),
        RATES["HullWhite"],
    )
    theta = gq.price(option, bond, greeks=True).theta
    later = gq.price(
        option.replace(maturity=1.0 - day), bond.replace(bond_maturities=[3.0 - day])
    ).price
    assert theta * day == pytest.approx(later - gq.price(option, bond).price, rel=5e-3)
    term = gq.models.TermBlackScholes(
        spot=100.0,
        knots=[0.5, 1.0, 2.0],
        rates=[0.01, 0.03, 0.05],
        dividend_yields=[0.0] * 3,
        volatilities=[0.1, 0.2, 0.3],
    )
    known = gq.price(call(), term, greeks=True)
    simulated = gq.price(call(), term, engine="monte_carlo", paths=100_000, steps=30, greeks=True)
    assert (
        np.abs(simulated.theta - known.theta) < 4.0 * simulated.columns["theta_std_error"] + 0.02
    ).all(), (simulated.theta, known.theta)


@pytest.mark.parametrize("name", ["Vasicek", "HullWhite"])
def test_swaptions(name):
    """Jamshidian's sum of options agrees with the simulation, and payer less receiver is the
    swap.
    """
    model = RATES[name].replace(bond_maturities=[[2.0, 3.0, 4.0]])
    swap = gq.payoffs.Swaption(
        swap=["payer", "receiver"],
        strike=0.045,
        maturity=1.0,
        accruals=[[1.0, 1.0, 1.0]],
        notional=100.0,
    )
    known = gq.price(swap, model)
    agree(
        gq.price(swap, model, engine="monte_carlo", paths=100_000, precision="double"), known.price
    )
    bonds = [model.discount_factor(model, np.full(1, t), np)[0] for t in (1.0, 2.0, 3.0, 4.0)]
    assert known.price[0] - known.price[1] == pytest.approx(
        100.0 * (bonds[0] - bonds[3] - 0.045 * sum(bonds[1:])), rel=1e-10
    )


def test_what_makes_no_sense_under_random_rates_is_a_status():
    late = gq.payoffs.European(option_type="call", strike=0.9, maturity=4.0)
    with pytest.raises(InputError, match="bond_maturities has 3: must not lie before maturity, 4"):
        gq.price(late, RATES["HullWhite"])
    early = gq.payoffs.Autocallable(maturity=1.0, initial=0.9, observations=2)
    found = gq.price(early, RATES["HullWhite"]).frame
    assert (found["status"] == "failed").all() and found["message"].str.contains("pays early").all()


def test_autocallables():
    """One date is digitals; never called and without coupon it is a bond less a knock-in put."""
    flat = gq.models.BlackScholes(spot=100.0, rate=0.03, dividend_yield=0.01, volatility=0.25)

    def digital(side, strike, pays="cash"):
        return gq.price(
            gq.payoffs.Digital(option_type=side, strike=strike, maturity=1.0, pays=pays), flat
        ).price

    once = gq.payoffs.Autocallable(maturity=1.0, observations=1, initial=100.0, coupon=0.08)
    expected = (
        1.08 * digital("call", 100.0)
        + digital("put", 100.0)
        - digital("put", 70.0)
        + digital("put", 70.0, "asset") / 100.0
    )
    agree(gq.price(once, flat, paths=100_000), expected)
    never = gq.payoffs.Autocallable(
        maturity=1.0,
        observations=4,
        initial=100.0,
        autocall=1e6,
        coupon=0.0,
        protection_monitoring="continuous",
    )
    put = gq.payoffs.Barrier(
        option_type="put", barrier_type="down-and-in", strike=100.0, barrier=70.0, maturity=1.0
    )
    agree(
        gq.price(never, flat, paths=100_000, steps=16),
        np.exp(-0.03) - gq.price(put, flat).price / 100.0,
    )
    often = gq.payoffs.Autocallable(maturity=2.0, observations=4, initial=100.0, coupon=0.04)
    draw = np.random.default_rng(0).normal(size=(200_000, 4))
    spots = 100.0 * np.exp(np.cumsum((0.02 - 0.03125) * 0.5 + 0.25 * np.sqrt(0.5) * draw, axis=1))
    called = np.where((spots >= 100.0).any(axis=1), (spots >= 100.0).argmax(axis=1), 4)
    paid = np.where(
        called < 4,
        (1.0 + 0.04 * (called + 1)) * np.exp(-0.015 * (called + 1)),
        np.exp(-0.06) * np.where(spots[:, 3] < 70.0, spots[:, 3] / 100.0, 1.0),
    )
    found = gq.price(often, flat, paths=200_000)
    assert abs(found.price - paid.mean()) < 4.0 * np.hypot(
        found.std_error, paid.std() / 200_000**0.5
    )


def test_a_scenario_that_does_not_reach_a_model_is_a_status():
    """A term structure's volatilities are lists: a change of one number would leave its price
    where it was, and look right.
    """
    import pandas as pd

    from gpuquant.data.market import Market

    lists = {
        "knots": [[1.0], None],
        "rates": [[0.02], None],
        "dividend_yields": [[0.0], None],
        "volatilities": [[0.2], None],
    }
    frame = pd.DataFrame(
        {
            "product": "european",
            "model": ["term_black_scholes", "black_scholes"],
            "option_type": "call",
            "strike": 100.0,
            "maturity": 1.0,
            **lists,
        }
    )
    calm = Market({"spot": 100.0, "rate": 0.02, "volatility": 0.2})
    before, after = (
        gq.price(frame, market=market, partial=True).frame
        for market in (calm, calm.shocked_by({"volatility": (0.0, 0.05)}))
    )
    assert (before["status"] == "ok").all()
    assert (
        after["status"].tolist() == ["failed", "ok"]
        and "the scenario moves volatility" in after["message"][0]
    )
    assert after["price"][1] > before["price"][1]


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
def test_the_first_normal_moves_the_mean_and_the_others_do_not(correlation):
    """Imai and Tan (2006). The correlation matrix stays."""
    spots, volatilities = [100.0, 50.0, 70.0, 80.0], [0.2, 0.1, 0.4, 0.3]
    still = gq.models.MultiBlackScholes(
        spots=spots, rate=0.0, volatilities=0.0, correlation=correlation
    )
    moving = gq.models.MultiBlackScholes(
        spots=spots, rate=0.0, volatilities=volatilities, correlation=correlation
    )
    matrix = correlation + (1.0 - correlation) * np.eye(4)
    for model in (moving, still):
        factor = model.with_derived_columns().factor.reshape(4, 4)
        np.testing.assert_allclose(factor @ factor.T, matrix, atol=1e-15)
    factor = moving.with_derived_columns().factor.reshape(4, 4)
    whole = np.sqrt(matrix.sum())
    np.testing.assert_allclose(factor.sum(axis=0), [whole, 0.0, 0.0, 0.0], atol=1e-13 * whole)
