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


@pytest.mark.parametrize("case", CASES)
def test_intervals_hold_the_exact_values(case):
    names, z, ok = scores(case)
    for name, column in zip(names, z.T, strict=True):
        if name != "price" and not ok.all():
            assert (np.abs(column[ok]) < 6.0).all(), (case, name, column[ok])
            continue  # the row says that the error of a Greek may be too small
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
