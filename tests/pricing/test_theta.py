"""Theta: a day passes, and all dates stay where they are."""

import numpy as np
import pytest

import gpuquant as gq
from gpuquant.pricing.batching import batches_of
from gpuquant.pricing.bumps import first_dates
from gpuquant.pricing.time_grid import Grid

MODEL = gq.models.BlackScholes(spot=100.0, rate=0.03, volatility=0.2)
CALL = {"option_type": "call", "strike": 100.0, "maturity": 1.0}
CUBE = {"maturity": 1.0, "periods": 4, "local_floor": 0.0, "local_cap": 0.05}
BOTH = {
    "a European": gq.payoffs.European(**CALL),
    "a geometric Asian": gq.payoffs.Asian(**CALL, fixings=4, average="geometric"),
    "of listed dates": gq.payoffs.Asian(
        **CALL, fixing_times=[[0.1, 0.4, 0.8]], average="geometric"
    ),
    "a cliquet": gq.payoffs.Cliquet(**CUBE),
    "a forward start": gq.payoffs.ForwardStart(
        option_type="call", moneyness=1.0, reset_time=0.5, maturity=1.0
    ),
    "a barrier": gq.payoffs.Barrier(**CALL, barrier_type="down-and-out", barrier=90.0),
}


@pytest.mark.parametrize("name", BOTH)
def test_simulated_and_exact_are_one(name):
    exact = gq.price(BOTH[name], MODEL, greeks=True)
    found = gq.price(BOTH[name], MODEL, greeks=True, engine="monte_carlo", paths=200_000)
    error = found.columns["theta_std_error"][0]
    assert abs(found.theta - exact.theta) < 4.0 * error + 0.002 * abs(exact.theta), (
        found.theta,
        error,
        exact.theta,
    )


@pytest.mark.parametrize("engine", ["closed_form", "monte_carlo"])
def test_dates_by_their_number_are_the_same_dates(engine):
    """T k/n today is not T k/n tomorrow: with these dates theta is what it is with their list."""
    how = {"average": "geometric", **CALL}
    each = [
        gq.price(
            gq.payoffs.Asian(**how, **dates), MODEL, greeks=True, engine=engine, paths=20_000
        ).theta
        for dates in ({"fixings": 12}, {"fixing_times": [np.arange(1, 13) / 12]})
    ]
    assert each[0] == pytest.approx(each[1], rel=1e-7)


def test_first_dates():
    asian = gq.payoffs.Asian(
        option_type="call", strike=100.0, maturity=[1.0, 2.0, 1.0], fixings=[4, 4, 2],
        fixing_times=[[np.nan, np.nan], [np.nan, np.nan], [0.0, 0.3]],
    )  # fmt: skip
    assert first_dates(MODEL, asian).tolist() == [0.25, 0.5, 0.3]
    assert first_dates(MODEL, gq.payoffs.European(**CALL)).tolist() == [1.0]
    watched = gq.payoffs.Barrier(**CALL, barrier_type="down-and-out", barrier=90.0)
    assert first_dates(MODEL, watched).tolist() == [1.0]
    curve = gq.models.TermBlackScholes(
        spot=100.0,
        rates=[[0.02, 0.03]],
        dividend_yields=[[0.0, 0.0]],
        volatilities=[[0.2, 0.3]],
        knots=[[0.1, 2.0]],
    )
    assert first_dates(curve, asian).tolist() == [0.1, 0.1, 0.1]
    for payoff, model in ((asian, MODEL), (watched, MODEL), (asian, curve)):
        for batch in batches_of(payoff, model, None)[1]:
            expected = first_dates(batch.model, batch.payoff)
            np.testing.assert_allclose(Grid.of(batch, None).first, expected)


def test_many_dates_have_greeks():
    """A day of 252 is all that may pass before the first date."""
    daily = gq.payoffs.Asian(**CALL, fixings=252)
    found = gq.price(daily, MODEL, greeks=True, paths=20_000)
    assert found.frame.status[0] == "ok" and np.isfinite(found.theta)
    assert 0.0 < found.columns["theta_std_error"][0] < 2.0
