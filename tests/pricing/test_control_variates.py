"""Control variates: less error for the same paths, and the same price."""

from dataclasses import dataclass

import numpy as np
import pytest

import gpuquant as gq
from gpuquant.pricing.batching import batches_of
from gpuquant.pricing.control_variate import controls_of
from gpuquant.pricing.pairs import every, sample_batch
from gpuquant.pricing.request import Asked, checked
from gpuquant.pricing.simulation import Simulation

payoffs, models = gq.payoffs, gq.models
FLAT = models.BlackScholes(spot=100.0, rate=0.03, volatility=0.2)
HESTON = models.Heston(
    spot=100.0, rate=0.02, v0=0.04, kappa=1.5, long_variance=0.04, vol_of_vol=0.5, correlation=-0.7
)
ASIAN = payoffs.Asian(option_type="call", strike=[90.0, 100.0, 120.0], maturity=1.0, fixings=52)


def task_of(rows=1, paths=4000, greeks=False):
    return checked(Asked(1, "mixed", "monte_carlo", paths, None, greeks), None, rows)


def plainly(payoff, model, rows, paths):
    """Prices without a control, their errors and skewness."""
    _, (batch,), _, _ = batches_of(payoff, model, None)
    return Simulation.of(batch, task_of(rows)).run(np.full(rows, paths))


CONTROLLED = [
    (m, p) for m, p in every() if next(controls_of(sample_batch(m, p), task_of()))[1] is not None
]


def test_there_are_many():
    assert len(CONTROLLED) > 60


@pytest.mark.parametrize(
    ("model", "payoff"),
    CONTROLLED[::5],
    ids=[f"{m.__name__}-{p.__name__}" for m, p in CONTROLLED[::5]],
)
def test_the_price_is_that_of_the_plain_mean(model, payoff):
    batch = sample_batch(model, payoff)
    plain = Simulation.of(batch, task_of()).run(np.array([20_000]))
    price, error = plain.values[0, 0], plain.errors[0, 0]
    found = gq.price(batch.payoff, batch.model, engine="monte_carlo", paths=20_000, seed=2)
    both = np.hypot(error, found.std_error) + 1e-9 * abs(price)
    assert abs(found.price - price) < 4.0 * both, (found.frame.iloc[0], price, error)


@pytest.mark.parametrize(
    ("model", "payoff"),
    CONTROLLED[::4],
    ids=[f"{m.__name__}-{p.__name__}" for m, p in CONTROLLED[::4]],
)
def test_the_mean_of_a_control_is_its_price(model, payoff):
    """Of the control itself, Y + Z less Y on the same paths; a scheme has a bias of its own."""
    task, paths = task_of(), np.array([50_000])
    _, control = next(controls_of(sample_batch(model, payoff), task))
    simulation = Simulation.of(sample_batch(model, payoff), task, control)
    mean, error, *_ = simulation.launch.run(paths, np.array([[0.0, 1.0, -1.0]]))
    found = 0.5 * (mean[0, 2] - mean[0, 1])
    spread = np.sqrt(max(0.5 * (error[0, 1] ** 2 + error[0, 2] ** 2) - error[0, 0] ** 2, 0.0))
    bias = 2e-3 * abs(found) if np.isfinite(model.weak_order) else 0.0
    right = float(control.expected[0, 0])
    assert abs(found - right) < 4.5 * spread + bias + 1e-6 * abs(right), (found, spread, right)


@pytest.mark.parametrize("model", [FLAT, HESTON], ids=["Black-Scholes", "Heston"])
def test_a_row_alone_and_in_a_batch(model):
    found = gq.price(ASIAN, model, paths=5000, greeks=True, common_random_numbers=True).frame
    for k in range(3):
        alone = payoffs.Asian(option_type="call", strike=ASIAN.strike[k], maturity=1.0, fixings=52)
        row = gq.price(alone, model, paths=5000, greeks=True, common_random_numbers=True).frame
        for name in ("price", "std_error", "delta", "gamma", "vega", "rho", "theta"):
            assert row[name][0] == found[name][k], (k, name, row, found)


def test_an_arithmetic_asian_beside_the_geometric():
    """Kemna and Vorst (1990): the geometric mean takes all but a thousandth of the variance."""
    found = gq.price(ASIAN, FLAT).frame
    assert found["message"].str.contains("control variate Asian geometric: variance / ").all()
    plain = plainly(ASIAN, FLAT, 3, 100_000)[1][:, 0]
    ratio = (plain / found["std_error"]) ** 2
    assert (ratio > np.array([600.0, 1000.0, 150.0])).all(), ratio
    told = found["message"].str.extract(r"variance / ([\d,.]+)")[0].str.replace(",", "")
    np.testing.assert_allclose(told.astype(float), ratio, rtol=0.25)


def test_a_basket_beside_the_geometric():
    model = models.MultiBlackScholes(
        spots=[100.0, 90.0, 250.0], rate=0.03, volatilities=[0.2, 0.3, 0.25], correlation=0.4
    )
    basket = payoffs.Basket(
        option_type="call", strike=100.0, weights=[0.3, 0.4, 0.15], maturity=1.0
    )
    found = gq.price(basket, model)
    plain = plainly(basket, model, 1, 100_000)
    assert "GeometricBasket" in found.frame["message"][0]
    assert abs(found.price - plain[0][0, 0]) < 4.0 * np.hypot(found.std_error, plain[1][0, 0])
    assert found.std_error < 0.2 * plain[1][0, 0]


def test_a_short_position_has_no_geometric_control():
    model = models.MultiBlackScholes(
        spots=[100.0, 90.0, 80.0], rate=0.03, volatilities=[0.2, 0.3, 0.25], correlation=0.4
    )
    spread = payoffs.Basket(option_type="call", strike=5.0, weights=[1.0, -0.5, -0.5], maturity=1.0)
    found = gq.price(spread, model).frame
    assert np.isfinite(found["price"][0]) and "control" not in found["message"][0]


def test_a_control_is_not_the_payoff_itself():
    call = payoffs.European(option_type="call", strike=100.0, maturity=1.0)
    mean = payoffs.Asian(option_type="call", strike=100.0, maturity=1.0, average="geometric")
    for payoff in (call, mean):
        found = gq.price(payoff, FLAT, engine="monte_carlo")
        assert found.std_error > 1e-3, found.frame


def test_a_row_without_a_formula_has_no_control():
    """A floating strike has no strike of its own: its row is simulated as it is."""
    asian = payoffs.Asian(option_type="call", strike=np.nan, maturity=1.0, strike_type="floating")
    found = gq.price(asian, FLAT).frame
    assert np.isfinite(found["price"][0]) and "control" not in found["message"][0]


@dataclass(frozen=True)
class Capped(payoffs.Asian):
    """A payoff of the caller's, with the controls of its base."""

    @staticmethod
    def finish(p, i, acc, log_spots):
        return min(max(p.option_type[i] * (acc[0] / p.fixings[i] - p.strike[i]), 0.0), 20.0)


@dataclass(frozen=True)
class Plain(payoffs.Asian):
    """The same without one."""

    @classmethod
    def controls(cls, fixed):
        return ()


def test_a_payoff_of_the_callers():
    contract = {"option_type": "call", "strike": 100.0, "maturity": 1.0, "fixings": 12}
    capped = gq.price(Capped(**contract), FLAT).frame
    assert "control variate" in capped["message"][0]
    plain = gq.price(Plain(**contract), FLAT).frame
    assert "control variate" not in plain["message"][0]
    assert capped["price"][0] < plain["price"][0]


def test_the_target_error_counts_the_control():
    few = gq.price(ASIAN, FLAT, target_error=1e-3).frame
    many = gq.price(Plain(**ASIAN.columns()), FLAT, target_error=1e-2).frame
    assert (few["std_error"] < 1.1e-3).all() and (many["std_error"] < 1.1e-2).all()
    assert (few["paths"] < many["paths"]).all(), (few, many)


def test_in_each_precision():
    exact = gq.price(ASIAN, FLAT, paths=400_000, precision="double")
    for precision in ("single", "mixed"):
        found = gq.price(ASIAN, FLAT, paths=400_000, precision=precision)
        both = np.hypot(exact.std_error, found.std_error)
        assert (np.abs(found.price - exact.price) < 4.0 * both).all(), (precision, found.frame)


def test_a_description_tells_the_paths_of_a_target():
    """As `gpuquant describe --target-error` does, before the run."""
    many = payoffs.Asian(
        option_type="call", strike=np.linspace(80.0, 120.0, 41), maturity=1.0, fixings=12
    )
    told = gq.describe(many, HESTON, target_error=0.01).frame.iloc[0]
    taken = gq.price(many, HESTON, target_error=0.01).frame["paths"].sum()
    assert told["engine"] == "monte_carlo"
    # 12 dates, 50 steps a year; rows whose mean is skewed run again with more paths than told
    assert 0.5 < told["path_steps"] / (taken * 60) < 2.0, (told, taken)


def test_without_variance_the_price_is_exact():
    """A control that pays the same on every path widens no error where no price moves."""
    still = models.BlackScholes(spot=100.0, rate=0.03, volatility=[0.0, 0.2])
    found = gq.price(payoffs.Asian(option_type="call", strike=95.0, maturity=1.0), still).frame
    assert found["std_error"][0] == 0.0 and found["status"][0] == "ok", found.iloc[0]
    assert found["std_error"][1] > 0.0


def test_what_always_pays_as_its_control_says_so():
    """A down-and-in put whose barrier lies above its strike is the put itself, on every path."""
    put = payoffs.Barrier(
        option_type="put", barrier_type="down-and-in", strike=92.0, barrier=95.0, maturity=1.0
    )
    found = gq.price(put, HESTON, engine="monte_carlo").frame.iloc[0]
    assert found["status"] == "warning" and "paid what its control variate" in found["message"]
    assert found["std_error"] == pytest.approx(3.0 / 100_000 * 100.0)
