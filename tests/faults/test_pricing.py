"""Pricing faults: errors that hold everything, Greeks, theta, implied volatility, contracts as
people write them.
"""

import datetime

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import gpuquant as gq

payoffs, models = gq.payoffs, gq.models
FLAT = models.BlackScholes(spot=100.0, rate=0.03, dividend_yield=0.0, volatility=0.2)


def heston(vol_of_vol):
    return models.Heston(
        spot=100.0,
        rate=0.02,
        v0=0.04,
        kappa=1.5,
        long_variance=0.04,
        vol_of_vol=vol_of_vol,
        correlation=-0.7,
    )


# Right values by QuantLib 1.44's FdHestonBarrierEngine, 400 log prices and 80 variances; the time
# steps, 400 and 800, extrapolated to none. The last number is how far they may be off: in the third
# row 100, 200, 400 and 800 steps say 3.635, 3.624, 3.619 and 3.615.
BARRIERS = (
    ("down-and-out", 95.0, 0.3, 4.5377, 1e-4),
    ("up-and-out", 110.0, 0.5, 0.5192, 6e-4),
    ("up-and-out", 120.0, 0.5, 3.6116, 2e-3),
    ("down-and-out", 95.0, 0.5, 4.4012, 1e-4),
)


@pytest.mark.parametrize("engine", ["finite_difference", "monte_carlo"])
@pytest.mark.parametrize(("kind", "level", "vol_of_vol", "right", "off"), BARRIERS)
def test_a_continuous_barrier_under_heston(kind, level, vol_of_vol, right, off, engine):
    barrier = payoffs.Barrier(
        option_type="call", barrier_type=kind, strike=100.0, barrier=level, maturity=1.0
    )
    found = gq.price(barrier, heston(vol_of_vol), paths=400_000, engine=engine)
    assert abs(found.price - right) < 4.0 * found.std_error + off, found.frame.iloc[0]


def test_greeks_of_a_barrier_half_a_percent_away():
    near = payoffs.Barrier(
        option_type="call", barrier_type="down-and-out", strike=100.0, barrier=99.5, maturity=1.0
    )
    exact = gq.price(near, FLAT, greeks=True)
    found = gq.price(near, FLAT, greeks=True, engine="monte_carlo").frame.iloc[0]
    for greek in ("delta", "gamma"):
        assert abs(found[greek] - exact.frame[greek][0]) < 4.0 * found[f"{greek}_std_error"], found


def test_delta_of_a_digital_at_the_money_of_one_day():
    one_day = payoffs.Digital(option_type="call", strike=100.0, maturity=1 / 365, cash=1.0)
    found = gq.price(one_day, FLAT, greeks=True, engine="monte_carlo").frame.iloc[0]
    assert (
        abs(found.delta - gq.price(one_day, FLAT, greeks=True).frame.delta[0])
        < 4.0 * found.delta_std_error
    ), found


DAYS = (
    (pd.bdate_range("2025-01-03", "2026-01-02") - pd.Timestamp("2025-01-02")).days / 365
).tolist()
DAILY = pd.DataFrame(
    [
        {
            "product": "asian",
            "option_type": "call",
            "strike": 100.0,
            "maturity": DAYS[-1],
            "fixing_times": DAYS,
            "spot": 100.0,
            "rate": 0.03,
            "volatility": 0.2,
        }
    ]
)


@pytest.mark.parametrize("greeks", [False, True])
def test_an_asian_of_261_business_days(greeks):
    assert np.isfinite(gq.price(DAILY, greeks=greeks, paths=5000).frame.price[0])


def geometric(times, shift):
    t = np.asarray(times) - shift
    mean, variance = (
        np.log(100.0) + (0.03 - 0.02) * t.mean(),
        0.04 * np.minimum.outer(t, t).sum() / len(t) ** 2,
    )
    d = (mean - np.log(100.0) + variance) / np.sqrt(variance)
    return np.exp(-0.03 * t[-1]) * (
        np.exp(mean + variance / 2) * norm.cdf(d) - 100.0 * norm.cdf(d - np.sqrt(variance))
    )


@pytest.mark.parametrize(
    "dates", [{"fixing_times": [[0.25, 0.5, 0.75, 1.0]]}, {"fixings": 4}], ids=["listed", "even"]
)
def test_theta_of_a_geometric_asian(dates):
    asian = payoffs.Asian(
        option_type="call", strike=100.0, maturity=1.0, average="geometric", **dates
    )
    right = (
        geometric([0.25, 0.5, 0.75, 1.0], 1e-5) - geometric([0.25, 0.5, 0.75, 1.0], -1e-5)
    ) / 2e-5
    assert gq.price(asian, FLAT, greeks=True).frame.theta[0] == pytest.approx(right, rel=1e-3)


def test_theta_of_one_trade_in_a_book_of_two_and_alone():
    start = {
        "product": "forward_start",
        "option_type": "call",
        "moneyness": 1.0,
        "spot": 100.0,
        "rate": 0.02,
        "model": "heston",
        "v0": 0.04,
        "kappa": 1.5,
        "long_variance": 0.04,
        "vol_of_vol": 0.5,
        "correlation": -0.5,
    }
    pair = pd.DataFrame(
        [
            {**start, "id": "x", "reset_time": 0.5, "maturity": 1.0},
            {**start, "id": "y", "reset_time": 0.001, "maturity": 0.01},
        ]
    )
    together, alone = (
        gq.price(rows, paths=20000, greeks=True).frame.iloc[0].theta
        for rows in (pair, pair.iloc[[0]])
    )
    assert together == alone


def test_a_digital_on_a_smile_and_the_call_spread(tmp_path):
    points = [(k, t, v) for k, v in ((80, 0.3), (100, 0.2), (120, 0.25)) for t in (0.25, 0.5)]
    pd.DataFrame(points, columns=["strike", "maturity", "volatility"]).to_csv(
        tmp_path / "s.csv", index=False
    )
    (tmp_path / "m.toml").write_text(
        'asof=2025-01-02\nrate=0.02\n[A]\nspot=100.0\nvolatility="s.csv"\n'
    )
    book = pd.DataFrame(
        [
            {
                "product": "digital",
                "underlying": "A",
                "option_type": "call",
                "strike": 110.0,
                "maturity": 0.25,
                "cash": 1.0,
            },
            *(
                {
                    "product": "european",
                    "underlying": "A",
                    "option_type": "call",
                    "strike": k,
                    "maturity": 0.25,
                }
                for k in (109.9, 110.1)
            ),
        ]
    )
    found = gq.price(book, market=tmp_path / "m.toml").frame
    spread = (found.price[1] - found.price[2]) / 0.2
    assert found.status[0] == "warning" or abs(found.price[0] - spread) < 1e-3, found


MARKET = gq.Market(
    {"rate": 0.02, "A": {"spot": 100.0, "volatility": 0.2, "dividend_yield": 0.0}},
    datetime.datetime(2025, 1, 2, 10),
)
BASE = {"product": "european", "underlying": "A", "option_type": "call", "strike": 100.0}


def test_an_option_at_the_money_that_ends_in_six_hours():
    today = pd.DataFrame([{**BASE, "expiry": pd.Timestamp("2025-01-02 16:00")}])
    assert gq.price(today, market=MARKET).frame.price[0] == pytest.approx(0.21, abs=0.01)


def test_implied_volatility_of_a_chain_with_one_missing():
    found = gq.implied_volatility(
        price=np.array([9.0, np.nan, 12.0]),
        option_type="call",
        spot=100.0,
        strike=100.0,
        maturity=1.0,
        rate=0.02,
    )
    assert np.isnan(found).tolist() == [False, True, False]


YEAR = {**BASE, "expiry": "2026-01-02"}
SPELLINGS = {
    "C for call": {"option_type": "C"},
    "put with a space": {"option_type": "put "},
    "1,000.00": {"strike": "1,000.00"},
    "an ISO date with time": {"expiry": "2026-01-02T16:00:00"},
    "yyyymmdd": {"expiry": 20260102},
    "a long whole-number id": {"id": 20250102123456789},
    "a note": {"note": "roll"},
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_contracts_as_people_write_them(name):
    row = pd.DataFrame([{**YEAR, **SPELLINGS[name]}])
    found = gq.price(row, market=MARKET).frame
    assert found.status[0] == "ok", found.iloc[0]
    plain = {
        "C for call": {},
        "put with a space": {"option_type": "put"},
        "1,000.00": {"strike": 1000.0},
        "an ISO date with time": {"expiry": pd.Timestamp("2026-01-02 16:00")},
    }.get(name, {})
    assert (
        found.price[0] == gq.price(pd.DataFrame([{**YEAR, **plain}]), market=MARKET).frame.price[0]
    )


def test_a_market_of_numpy_numbers():
    market = gq.Market(
        {"rate": 0.02, "A": {"spot": np.int64(100), "volatility": np.float32(0.2)}},
        datetime.date(2025, 1, 2),
    )
    assert gq.price(pd.DataFrame([YEAR]), market=market).frame.status[0] == "ok"


def test_gamma_at_the_money_with_no_volatility_left():
    found = gq.price(
        payoffs.European(option_type="call", strike=100.0, maturity=0.0), FLAT, greeks=True
    ).frame.iloc[0]
    assert found.gamma == 0.0 or (np.isnan(found.gamma) and found.message)


def test_a_volatility_of_20():
    model = models.BlackScholes(spot=100.0, rate=0.0, volatility=20.0)
    assert (
        gq.price(
            payoffs.European(option_type="call", strike=100.0, maturity=1.0), model
        ).frame.status[0]
        == "warning"
    )
