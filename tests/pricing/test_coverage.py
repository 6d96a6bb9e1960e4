"""Errors that hold: intervals of simulated prices and Greeks contain the exact values as often as
stated, and the errors have no side.
"""

import numpy as np
import pytest
from scipy.stats import norm

import gpuquant as gq
from gpuquant.pricing import monte_carlo
from gpuquant.pricing.control_variate import Control

payoffs, models = gq.payoffs, gq.models
FLAT = models.BlackScholes(spot=100.0, rate=0.03, dividend_yield=0.01, volatility=0.25)
TWO = models.MultiBlackScholes(spots=[60.0, 50.0], rate=0.03, volatilities=[0.2, 0.4])
CALL = {"option_type": "call", "strike": 100.0, "maturity": 1.0}
DAY = {"option_type": "call", "strike": 100.0, "maturity": 1.0 / 365.0}
OUT = {"barrier_type": "down-and-out", **CALL}
CASES = {
    "european": (payoffs.European(**CALL), FLAT),
    "european of a day": (payoffs.European(**DAY), FLAT),
    "digital": (payoffs.Digital(**CALL, cash=5.0), FLAT),
    "digital of a day": (payoffs.Digital(**DAY, cash=5.0), FLAT),
    "geometric Asian": (payoffs.Asian(**CALL, fixings=12, average="geometric"), FLAT),
    "barrier": (payoffs.Barrier(**OUT, barrier=85.0), FLAT),
    "near barrier": (payoffs.Barrier(**OUT, barrier=99.5), FLAT),
    "double barrier": (
        payoffs.DoubleBarrier(**CALL, barrier_type="knock-out", lower=80.0, upper=130.0),
        FLAT,
    ),
    "one touch": (payoffs.OneTouch(barrier=90.0, direction="down", maturity=1.0, cash=10.0), FLAT),
    "lookback": (payoffs.Lookback(**{**CALL, "strike": 103.0}), FLAT),
    "lookback at the money": (payoffs.Lookback(**CALL), FLAT),
    "basket": (payoffs.Basket(**{**CALL, "strike": 110.0}, weights=[1.0, 1.0]), TWO),
}
STREAMS = 400
COLUMNS = ("price", "delta", "gamma", "vega", "rho", "theta")


def scores(case, paths=4000):
    """How many standard errors each result lies from its exact value, shape (streams, columns)."""
    payoff, model = CASES[case]
    exact = gq.price(payoff, model, greeks=True).frame.iloc[0]
    many = payoff.replace(maturity=np.full(STREAMS, payoff.maturity[0]))
    found = gq.price(
        many, model, engine="monte_carlo", greeks=True, paths=paths, seed=5, progress=False
    ).frame
    names = [name for name in COLUMNS if np.isfinite(exact[name]) and found[name].notna().all()]
    errors = ["std_error" if name == "price" else f"{name}_std_error" for name in names]
    ok = ~found["message"].str.contains("jump within").to_numpy()
    z = (found[names].to_numpy() - exact[names].to_numpy(float)) / found[errors].to_numpy()
    return names, z, ok


def most(share, n):
    """Three standard errors of a share of n."""
    return 3.0 * np.sqrt(share * (1.0 - share) / n)


# A digital's vega, rho and theta rest on few paths that jump within a bump, and its rows say so.
JUMPS = {name: {"price", "delta", "gamma"} for name in ("digital", "digital of a day")}
ONLY = {"basket": {"price", "rho", "theta"}, "lookback at the money": set(COLUMNS) - {"gamma"}}


@pytest.mark.parametrize("case", CASES)
def test_intervals_hold_the_exact_values(case):
    names, z, ok = scores(case)
    assert set(names) == ONLY.get(case, set(COLUMNS))
    assert ok.all() == (case not in JUMPS)
    for name, column in zip(names, z.T, strict=True):
        if name not in JUMPS.get(case, names):
            continue
        inside = (np.abs(column) < norm.ppf(0.975)).mean()
        assert abs(inside - 0.95) < most(0.95, STREAMS), (case, name, inside)
        side = column.mean() * np.sqrt(STREAMS)
        assert abs(side) < 3.5, (case, name, side)


def test_a_small_bias_would_be_seen():
    """A mutant: a fifth of a standard error is added to each price."""
    _, z, _ = scores("barrier")
    assert (z[:, 0] + 0.2).mean() * np.sqrt(STREAMS) > 3.0


def test_a_control_with_a_wrong_mean_would_be_seen(monkeypatch):
    """A mutant: the control's exact price is a thousandth too high."""
    plain = monte_carlo.controls_of

    def wrong(batch, task):
        for rows, control in plain(batch, task):
            yield (
                rows,
                control
                and Control(
                    control.payoff, 1.001 * control.expected, control.betas, control.reduction
                ),
            )

    monkeypatch.setattr(monte_carlo, "controls_of", wrong)
    _, z, _ = scores("barrier", paths=20_000)
    assert abs(z[:, 0].mean()) * np.sqrt(STREAMS) > 3.5


RARE = {
    "barrier far away": (
        payoffs.Barrier(
            option_type="put", barrier_type="down-and-out", strike=100.0, barrier=50.0,
            maturity=1.0, monitoring="discrete", observations=4,
        ),
        0.01,
    ),
    "Asian far out of the money": (
        payoffs.Asian(option_type="call", strike=150.0, maturity=1.0, fixings=4), 1e-3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RARE)
def test_what_no_path_of_a_pilot_saw_is_in_the_error(name):
    """A control variate pays what the payoff does, but on rare paths: no row that is ok may have an
    error of zero, and the intervals hold the price, which a long simulation tells.
    """
    payoff, target = RARE[name]
    flat = models.BlackScholes(spot=100.0, rate=0.02, volatility=0.2)
    long = gq.price(payoff, flat, paths=1 << 26, seed=9, progress=False)
    right, error = float(long.price), float(long.std_error)
    many = payoff.replace(maturity=np.full(100, 1.0))
    found = gq.price(many, flat, target_error=target, progress=False).frame
    assert not ((found["std_error"] == 0.0) & (found["status"] == "ok")).any(), found
    inside = (found["price"] - right).abs() < 1.96 * np.hypot(found["std_error"], error)
    assert inside.mean() > 0.95 - most(0.95, 100), (right, error, found)
