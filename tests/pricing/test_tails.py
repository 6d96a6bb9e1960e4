"""Tails tell: where a simulated price rests on few paths its row says so, and where none does a
bound of 95 or 99 % holds.
"""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import gpuquant as gq
from gpuquant.models import Heston
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.request import Asked, checked
from gpuquant.pricing.simulation import Simulation


def simulated(payoff, model, paths, seed, **how):
    """A row for each of many streams of the same contract."""
    return gq.price(
        payoff,
        model,
        engine="monte_carlo",
        paths=paths,
        device="cpu:2",
        seed=seed,
        progress=False,
        **how,
    ).frame


def lower_misses(frame, exact, z):
    """How many rows with status ok have the exact price beyond their one-sided bound, and how
    many are ok.
    """
    fine = frame["status"] == "ok"
    return int(((exact - frame["price"]) / frame["std_error"] > z)[fine].sum()), int(fine.sum())


def most(n, share):
    """The most of `n` that a share explains in all but one of 10,000 cases, twice the share
    being allowed to a tail: bounds of so few errors are no normal's.
    """
    wide = 2.0 * share
    return n * wide + norm.isf(1e-4) * np.sqrt(n * wide * (1.0 - wide)) + 1.0


CASES = [  # deviations of the log price, and how many of them the strike lies out
    *((spread, 0.0) for spread in (0.2, 1.0, 2.0, 3.0, 4.5, 6.0)),
    *((0.2, away) for away in (3.0, 4.0, 5.0, 6.0)),
    *((1.0, away) for away in (1.0, 3.0)),
]


@pytest.mark.parametrize("rows", [400, pytest.param(20_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("spread", "away"), CASES)
def test_one_sided_bounds_hold_where_the_status_is_ok(spread, away, rows):
    strike = 100.0 * np.exp(away * spread - 0.5 * spread * spread)
    call = gq.payoffs.European(option_type="call", strike=strike, maturity=1.0)
    flat = gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=np.full(rows, spread))
    exact = gq.price(call, gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=spread)).price
    frame = simulated(call, flat, 20_000, seed=11)
    for z, share in ((1.645, 0.05), (2.326, 0.01)):
        missed, fine = lower_misses(frame, exact, z)
        assert missed <= most(fine, share), (spread, away, z, missed, fine)
    if spread <= 1.0 and away == 0.0:
        assert (frame["status"] == "ok").mean() > 0.95, "what is sampled well is not warned of"
    if spread >= 2.0 or away >= 4.0:
        assert (frame["status"] != "ok").all(), frame["status"].value_counts()
        assert frame["message"].str.contains("rests on few|no path").all()


def test_without_the_warning_the_bounds_would_not_hold():
    """A mutant: the same rows, with every status taken for ok."""
    flat = gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=np.full(400, 3.0))
    call = gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0)
    frame = simulated(call, flat, 20_000, seed=11).assign(status="ok")
    missed, fine = lower_misses(
        frame,
        gq.price(call, gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=3.0)).price,
        2.326,
    )
    assert missed > most(fine, 0.01)


@pytest.mark.parametrize(
    "payoff",
    [
        gq.payoffs.European(option_type="put", strike=100.0, maturity=1.0),
        gq.payoffs.Digital(option_type="call", strike=100.0, maturity=1.0),
    ],
)
def test_what_is_bounded_rests_on_all(payoff):
    frame = simulated(
        payoff, gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=[1.0, 2.0]), 20_000, seed=1
    )
    assert (frame["status"] == "ok").all(), frame


def test_a_row_that_no_path_paid_is_never_ok():
    call = gq.payoffs.European(option_type="call", strike=[150.0, 1000.0, 1e6], maturity=0.1)
    frame = simulated(
        call, gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=0.2), 5_000, seed=1
    )
    assert (frame["price"] == 0.0).any() and (frame["status"] == "warning").all()
    assert (frame["std_error"] > 0.0).all()


def test_the_skewness_of_a_mean_is_merged_exactly():
    """From units of any length, against all values at once."""
    from gpuquant.pricing.kernels.launch import merge

    draw = np.random.default_rng(0)
    values, cuts = draw.lognormal(0.0, 1.0, 10_000), np.array([0, 3, 700, 4096, 9999, 10_000])
    units = [values[a:b] for a, b in itertools.pairwise(cuts)]
    out = np.array(
        [
            [[len(u), u.mean(), ((u - u.mean()) ** 2).sum(), ((u - u.mean()) ** 3).sum()]]
            for u in units
        ]
    )
    mean, error, skewness = merge(out, np.array([0]), np.zeros(len(units), int))
    d = values - values.mean()
    np.testing.assert_allclose(
        [mean[0, 0], error[0, 0]], [values.mean(), values.std(ddof=1) / 100.0], rtol=1e-12
    )
    assert skewness[0, 0] == pytest.approx((d**3).sum() / (d**2).sum() ** 1.5, rel=1e-10)


def test_the_kernel_sums_cubes():
    """The skewness of a digital's mean is that of a coin."""
    digital = gq.payoffs.Digital(
        option_type="call", strike=[80.0, 100.0, 120.0], cash=7.0, maturity=1.0
    )
    model = gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=0.2)
    task = checked(Asked(2, "mixed", "monte_carlo"), None, 3)
    batch = Batch(model, digital, np.arange(3), np.arange(3))
    found = Simulation.of(batch, task).run(np.full(3, 12_345))
    p = found.values / 7.0
    np.testing.assert_allclose(
        found.skewness, (1.0 - 2.0 * p) / np.sqrt(p * (1.0 - p)) / np.sqrt(12_345), rtol=1e-9
    )


@pytest.mark.parametrize(
    ("order", "correlation", "kappa", "vol_of_vol"),
    [
        (2.0, -0.5, 1.0, 1.0),
        (2.0, 0.7, 0.5, 1.5),
        (4.0, 0.9, 3.0, 0.8),
        (-2.0, -0.9, 1.0, 1.5),
        (6.0, 0.3, 2.0, 0.6),
    ],
)
def test_hestons_moments_explode_when_its_riccati_equation_does(
    order, correlation, kappa, vol_of_vol
):
    heston = Heston(
        spot=1.0,
        rate=0.0,
        v0=0.04,
        kappa=kappa,
        long_variance=0.04,
        vol_of_vol=vol_of_vol,
        correlation=correlation,
    )
    a, b, c = (
        0.5 * vol_of_vol**2,
        correlation * vol_of_vol * order - kappa,
        0.5 * order * (order - 1.0),
    )
    found = float(Heston.explosion(heston, np.array([order]))[0])
    if b * b - 4 * a * c >= 0.0 and b <= 0.0:
        assert found == np.inf
    else:
        assert found == pytest.approx(
            quad(lambda y: 1.0 / (a * y * y + b * y + c), 0.0, np.inf)[0], rel=1e-6
        )


def test_an_infinite_price_is_no_price():
    row = {
        "product": "power_option",
        "model": "heston",
        "option_type": "call",
        "strike": 10_000.0,
        "power": 2.0,
        "spot": 100.0,
        "rate": 0.0,
        "v0": 0.04,
        "kappa": 0.5,
        "long_variance": 0.04,
        "vol_of_vol": 1.5,
        "correlation": 0.5,
    }
    frame = gq.price(
        pd.DataFrame(
            [
                {**row, "maturity": 0.1},
                {**row, "maturity": 5.0},
                {**row, "maturity": 5.0, "option_type": "put"},
            ]
        ),
        paths=500,
        steps=20,
    ).frame
    assert (
        frame["status"].tolist()[1] == "failed"
        and "the price is infinite: the mean of S^2 is" in frame["message"][1]
    )
    assert frame["status"][0] != "failed" and frame["status"][2] != "failed"


def test_a_sabr_says_where_it_is_no_martingale():
    call = gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0)
    sabr = gq.models.SABR(
        spot=100.0,
        rate=0.0,
        alpha=0.5,
        beta=[1.0, 1.0, 0.9, 1.0],
        vol_of_vol=[0.5, 0.5, 0.5, 0.0],
        correlation=[0.5, -0.5, 0.5, 0.5],
    )
    said = gq.price(call, sabr, paths=2000).frame["message"]
    assert said.str.contains("no martingale").tolist() == [True, False, False, False]
