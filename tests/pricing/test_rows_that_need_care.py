"""Rows at the edge of their domains: what is wrong is named, what is merely surprising is priced
and said.
"""

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant.errors import InputError
from tests.contracts.test_members import PAYOFFS
from tests.pricing.books import payoff

FLAT = {"spot": 100.0, "rate": 0.03, "dividend_yield": 0.01, "volatility": 0.2}
TWO = {"spots": [100.0, 90.0, 110.0], "rate": 0.03, "volatilities": [0.2, 0.3, 0.25]}
BASKET = gq.payoffs.Basket(option_type="call", strike=100.0, weights=[0.3, 0.3, 0.4], maturity=1.0)
IMPOSSIBLE = [1.0, 0.9, -0.9, 0.9, 1.0, 0.9, -0.9, 0.9, 1.0]


def test_an_impossible_correlation_is_named_and_repaired_on_request():
    with pytest.raises(InputError, match=r"smallest eigenvalue -0\.8.*repair=True"):
        gq.price(BASKET, gq.models.MultiBlackScholes(**TWO, correlations=IMPOSSIBLE))
    repaired = gq.price(
        BASKET,
        gq.models.MultiBlackScholes(**TWO, correlations=IMPOSSIBLE, repair=True),
        paths=4096,
    )
    assert repaired.std_error > 0.0
    with pytest.raises(InputError, match="symmetric"):
        gq.price(
            BASKET,
            gq.models.MultiBlackScholes(
                **TWO, correlations=[1.0, 0.5, 0.1, 0.4, 1.0, 0.1, 0.1, 0.1, 1.0]
            ),
        )


def test_a_bad_matrix_does_not_harm_the_row_beside_it():
    frame = pd.DataFrame(
        {
            "product": "basket",
            "model": "multi_black_scholes",
            "option_type": "call",
            "strike": 100.0,
            "maturity": 1.0,
            "rate": 0.03,
        }
        | {
            "spots": [[100.0, 90.0, 110.0]] * 3,
            "volatilities": [[0.2, 0.3, 0.25]] * 3,
            "weights": [[0.3, 0.3, 0.4], [0.3, 0.3, 0.4], [0.5, 0.5]],
        }
        | {"correlations": [np.eye(3).ravel().tolist(), IMPOSSIBLE, np.eye(3).ravel().tolist()]}
    )
    priced = gq.price(frame, paths=4096).frame
    assert priced["status"].tolist() == ["ok", "failed", "failed"], priced.T
    assert (
        "eigenvalue" in priced["message"][1]
        and "weights has 2 values where the model has 3 assets" in priced["message"][2]
    )
    assert gq.price(frame.iloc[:1], paths=4096).price[0] == priced["price"][0]


def test_weights_go_with_assets():
    with pytest.raises(InputError, match="weights has 2 values where the model has 3 assets"):
        gq.price(
            gq.payoffs.Basket(option_type="call", strike=1.0, weights=[0.5, 0.5], maturity=1.0),
            gq.models.MultiBlackScholes(**TWO),
        )
    with pytest.raises(InputError, match="European is on 1 asset, MultiBlackScholes has 3"):
        gq.price(
            gq.payoffs.European(option_type="call", strike=1.0, maturity=1.0),
            gq.models.MultiBlackScholes(**TWO),
        )


def test_past_fixings_need_their_values():
    with pytest.raises(InputError, match="past_average is missing"):
        gq.price(
            gq.payoffs.Asian(
                option_type="call", strike=100.0, maturity=1.0, fixings=4, past_fixings=2
            ),
            gq.models.BlackScholes(**FLAT),
        )
    sure = gq.price(
        gq.payoffs.Asian(
            option_type="call",
            strike=1.0,
            maturity=1.0,
            fixings=1,
            past_fixings=10**6,
            past_average=90.0,
        ),
        gq.models.BlackScholes(**FLAT),
        paths=4096,
    )
    assert sure.price == pytest.approx(89.0 * np.exp(-0.03), rel=1e-4)


def test_a_barrier_behind_the_spot_is_priced_and_said():
    out = gq.price(
        gq.payoffs.Barrier(
            option_type="call",
            barrier_type="down-and-out",
            strike=100.0,
            barrier=105.0,
            maturity=1.0,
            rebate=2.0,
            rebate_timing="hit",
        ),
        gq.models.BlackScholes(**FLAT),
    ).frame
    assert (
        out["price"][0] == 2.0
        and out["status"][0] == "warning"
        and "touched already" in out["message"][0]
    )


def test_windows_lie_within_the_life():
    with pytest.raises(InputError, match="reset_time >= maturity"):
        gq.price(
            gq.payoffs.ForwardStart(option_type="call", reset_time=1.0, maturity=1.0),
            gq.models.BlackScholes(**FLAT),
        )
    with pytest.raises(InputError, match="lower >= upper"):
        gq.price(
            gq.payoffs.DoubleBarrier(
                option_type="call",
                barrier_type="knock-out",
                strike=100.0,
                lower=120.0,
                upper=80.0,
                maturity=1.0,
            ),
            gq.models.BlackScholes(**FLAT),
        )


def test_a_pair_without_an_engine_says_so():
    right = gq.payoffs.Compound(
        option_type="call",
        strike=5.0,
        exercise_time=0.5,
        underlying_type="call",
        underlying_strike=100.0,
        maturity=1.0,
    )
    heston = gq.models.Heston(
        spot=100.0,
        rate=0.0,
        v0=0.04,
        kappa=1.0,
        long_variance=0.04,
        vol_of_vol=0.5,
        correlation=0.0,
    )
    assert "no engine prices Compound under Heston" in gq.price(right, heston).frame["message"][0]
    tempered = gq.models.CGMY(
        spot=100.0, rate=0.0, activity=1.0, left_decay=5.0, right_decay=5.0, fineness=0.5
    )
    asian = gq.payoffs.Asian(option_type="call", strike=100.0, maturity=1.0, fixings=4)
    assert "has no simulation" in gq.price(asian, tempered).frame["message"][0]


@pytest.mark.parametrize(
    "name", [name for name, cls in PAYOFFS.items() if cls.assets == 1 and cls.simulated()]
)
def test_no_volatility_is_exact(name):
    """Every path is the forward curve: no error, and the formula's price where there is one."""
    rows = payoff(PAYOFFS[name], 6, np.random.default_rng(3))
    still = gq.models.BlackScholes(**{**FLAT, "volatility": 0.0})
    found = gq.price(rows, still, engine="monte_carlo", paths=256, steps=64, precision="double")
    assert np.isfinite(found.price).all() and (found.std_error == 0.0).all(), found.frame
    known = gq.price(rows, still, engine="closed_form").price
    late = 0.03 * 1.5 / 64  # what is paid at a touch is paid within a step of it
    assert (
        np.nanmax(np.abs(known - found.price) / np.maximum(np.abs(found.price), 1.0), initial=0.0)
        < late
    ), found.frame.assign(known=known)


HESTON = {
    "spot": 100.0,
    "rate": 0.03,
    "v0": 0.04,
    "kappa": 1.0,
    "long_variance": 0.04,
    "vol_of_vol": 0.5,
    "correlation": -0.5,
}
LATER = {
    "Chooser",
    "ForwardStart",
    "PartialBarrier",
    "PartialFloatingLookback",
    "PartialLookback",
    "VarianceOption",
    "VarianceSwap",
}


@pytest.mark.parametrize(
    "name", [name for name, cls in PAYOFFS.items() if cls.assets == 1 and cls.simulated()]
)
def test_no_time_is_exact(name):
    """What matures today is worth what it pays, under any model; what needs a time before its
    end is refused.
    """
    rows = payoff(PAYOFFS[name], 6, np.random.default_rng(3)).replace(maturity=np.zeros(6))
    heston = gq.models.Heston(**HESTON)
    if name in LATER:
        with pytest.raises(InputError, match=r"maturity|window_time"):
            gq.price(rows, heston)
        return
    found = gq.price(rows, heston)
    assert (found.std_error == 0.0).all() and np.isfinite(found.price).all(), found.frame
    simulated = gq.price(rows, heston, engine="monte_carlo", paths=256, precision="double")
    assert (simulated.std_error == 0.0).all()
    np.testing.assert_allclose(
        found.price, simulated.price, rtol=1e-12, atol=1e-10, err_msg=str(found.frame)
    )


def test_intrinsic_values_are_exact():
    strikes = np.array([90.0, 100.0, 110.0])
    models = [
        gq.models.BlackScholes(**FLAT),
        gq.models.Heston(**HESTON),
        gq.models.CGMY(
            spot=100.0, rate=0.0, activity=1.0, left_decay=5.0, right_decay=5.0, fineness=0.5
        ),
    ]
    for model in models:
        found = gq.price(
            gq.payoffs.European(option_type="call", strike=strikes, maturity=0.0),
            model,
            greeks=True,
        ).frame
        assert (
            found["price"].tolist() == [10.0, 0.0, 0.0] and found["std_error"].tolist() == [0.0] * 3
        ), found.T
        assert found["delta"][[0, 2]].tolist() == pytest.approx(
            [1.0, 0.0], abs=1e-9
        )  # at the money is a kink, which has no slope
        assert found["vega"].isna().all() and found["message"].str.contains("vega").all()
    two = gq.models.MultiBlackScholes(
        spots=[100.0, 90.0], rate=0.03, volatilities=0.2, correlation=0.5
    )
    best = gq.price(
        gq.payoffs.Rainbow(option_type="call", strike=95.0, best="highest", maturity=[0.0, 1.0]),
        two,
    )
    assert (
        best.price[0] == pytest.approx(5.0, rel=1e-13)
        and best.std_error[0] == 0.0
        and best.price[1] > 5.0
    )
    bonds = gq.models.Vasicek(
        short_rate=0.03, kappa=0.3, long_rate=0.04, rate_volatility=0.01, bond_maturities=[2.0]
    )
    call = gq.price(gq.payoffs.European(option_type="call", strike=0.5, maturity=0.0), bonds)
    assert call.price == pytest.approx(
        bonds.discount_factor(bonds, np.array([2.0]), np)[0] - 0.5, rel=1e-12
    )


def test_describe_names_the_engine_that_would_price():
    heston = gq.models.Heston(
        spot=100.0,
        rate=0.0,
        v0=0.04,
        kappa=1.0,
        long_variance=0.04,
        vol_of_vol=0.5,
        correlation=0.0,
    )
    tempered = gq.models.CGMY(
        spot=100.0, rate=0.0, activity=1.0, left_decay=5.0, right_decay=5.0, fineness=0.5
    )
    call = gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0)
    asian = gq.payoffs.Asian(option_type="call", strike=100.0, maturity=1.0, fixings=4)
    assert gq.describe(call, heston).frame["engine"].tolist() == ["fourier"]
    assert gq.describe(call, gq.models.BlackScholes(**FLAT)).frame["engine"].tolist() == [
        "closed_form"
    ]
    assert gq.describe(asian, tempered).frame["engine"].tolist() == ["none"]
