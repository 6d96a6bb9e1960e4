"""Prices by scrambled Sobol points: without bias, with an error that holds, and smaller ones."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm, t

import gpuquant as gq
from gpuquant.errors import NameUnknown
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.control_variate import controls_of
from gpuquant.pricing.kernels import launch
from gpuquant.pricing.kernels.build import source
from gpuquant.pricing.request import Asked, checked
from gpuquant.pricing.simulation import Simulation, pair_of
from tests import ptx, twin

payoffs, models = gq.payoffs, gq.models
FLAT = models.BlackScholes(spot=100.0, rate=0.03, dividend_yield=0.01, volatility=0.25)
CALL = {"option_type": "call", "strike": 100.0, "maturity": 1.0}
ASIAN = payoffs.Asian(**CALL, fixings=52)
GEOMETRIC = payoffs.Asian(**CALL, fixings=13, average="geometric")
SPOTS = [100.0, 90.0, 110.0, 80.0, 120.0]
FIVE = models.MultiBlackScholes(spots=SPOTS, rate=0.03, volatilities=[0.2], correlation=0.5)
BASKET = payoffs.Basket(**CALL, weights=[0.2] * 5)
CASES = {
    "european": (payoffs.European(**CALL), FLAT, ("delta", "vega", "rho")),
    "digital": (payoffs.Digital(**CALL), FLAT, ()),
    "geometric Asian": (GEOMETRIC, FLAT, ("delta", "vega", "theta")),
    "barrier": (
        payoffs.Barrier(**CALL, barrier_type="down-and-out", barrier=85.0), FLAT, ("delta",),
    ),
    "lookback": (payoffs.Lookback(**CALL), FLAT, ()),
    "exchange": (
        payoffs.Exchange(maturity=1.0),
        models.MultiBlackScholes(
            spots=[100.0, 95.0], rate=0.03, volatilities=[0.3, 0.2], correlation=0.4
        ),
        (),
    ),
}  # fmt: skip
STREAMS = 400


@pytest.mark.parametrize("case", CASES)
def test_intervals_hold_the_exact_values(case):
    """Means of 32 nets: an interval of 1.96 errors holds as often as Student's."""
    payoff, model, greeks = CASES[case]
    exact = gq.price(payoff, model, greeks=greeks).frame.iloc[0]
    many = payoff.replace(maturity=np.full(STREAMS, 1.0))
    found = gq.price(
        many, model, engine="monte_carlo", draws="sobol", paths=8192, greeks=greeks, seed=4,
        progress=False,
    ).frame  # fmt: skip
    assert (found["paths"] == 8192).all()
    share = 2.0 * t.cdf(norm.ppf(0.975), launch.NETS - 1) - 1.0
    for name in ("price", *greeks):
        error = found["std_error" if name == "price" else f"{name}_std_error"]
        z = (found[name] - exact[name]) / error
        inside = (z.abs() < norm.ppf(0.975)).mean()
        most = 3.5 * np.sqrt(share * (1 - share) / STREAMS)
        if name == "price":
            # a net's mean may be skewed, and so is z: it is the mean itself that has no bias
            side = (found[name] - exact[name]).mean() / found[name].std() * np.sqrt(STREAMS)
            assert abs(side) < 3.5 and abs(inside - share) < most, (side, inside)
        else:  # the error has room for what a bump leaves
            assert inside > share - most, (name, inside)


@pytest.mark.parametrize("dates", [13, 64, 150])  # fewer than stretches, as many, more
def test_each_increment_has_its_variance(dates):
    """The mean of squared returns is known under Black-Scholes: a component or a bridge with a
    wrong spread at any place would show.
    """
    drift = 0.03 - 0.01 - 0.5 * 0.25**2
    swap = payoffs.VarianceSwap(strike=0.0, maturity=1.0, monitoring="discrete", observations=dates)
    exact = np.exp(-0.03) * (0.25**2 + drift**2 / dates)
    task = checked(Asked(1, "double", "monte_carlo", 1, None, (), False, "sobol"), None, 1)
    (batch,) = Batch(FLAT, swap, np.arange(1), np.zeros(1, np.int64)).derived()
    found = Simulation.of(batch, task).run(np.array([1 << 17]))
    price, error = found.values[0, 0], found.errors[0, 0]
    assert abs(price - exact) < 4.0 * error and error < 1e-3 * exact, (price, error, exact)


def errors(payoff, model, powers, controlled):
    """Root mean squares over seeds of the errors with 2^power paths."""
    task = checked(Asked(1, "mixed", "monte_carlo", 1, None, (), False, "sobol"), None, 1)
    (batch,) = Batch(model, payoff, np.arange(1), np.zeros(1, np.int64)).derived()
    control = next(controls_of(batch, task))[1] if controlled else None
    out = []
    for power in powers:
        square = 0.0
        for seed in (1, 2, 3):
            one = Simulation.of(batch, replace(task, seed=seed), control)
            one = one.fitted(4096)[0] if controlled else one
            square += one.run(np.array([1 << power])).errors[0, 0] ** 2 / 3.0
        out.append(np.sqrt(square))
    return np.array(out)


@pytest.mark.parametrize(("payoff", "model", "bound"), [(ASIAN, FLAT, -0.8), (BASKET, FIVE, -0.6)])
def test_the_error_falls_faster_than_that_of_random_draws(payoff, model, bound):
    powers = np.array([13, 15, 17])
    found = errors(payoff, model, powers, controlled=False)
    slope = np.polyfit(powers, np.log2(found), 1)[0]
    assert slope < bound, (slope, found)
    plain = gq.price(payoff, model, paths=1 << 17)
    with_control = errors(payoff, model, [17], controlled=True)[0]
    assert with_control < 0.5 * plain.std_error, (with_control, plain.std_error)


def test_a_row_alone_and_beside_longer_ones():
    many = payoffs.Asian(
        option_type="call", strike=[90.0, 100.0, 110.0], maturity=1.0, fixings=[4, 13, 100]
    )
    settings = {"draws": "sobol", "paths": 8192, "greeks": True, "common_random_numbers": True}
    found = gq.price(many, FLAT, **settings).frame
    for k, (strike, fixings) in enumerate(((90.0, 4), (100.0, 13), (110.0, 100))):
        one = payoffs.Asian(option_type="call", strike=strike, maturity=1.0, fixings=fixings)
        alone = gq.price(one, FLAT, **settings).frame
        for name in ("price", "std_error", "delta", "gamma", "theta"):
            assert alone[name][0] == found[name][k], (name, k, alone, found)


def test_the_same_bits_for_any_threads():
    one, two = (
        gq.price(ASIAN, FLAT, draws="sobol", paths=1 << 15, greeks=True, device=f"cpu:{n}").frame
        for n in (1, 2)
    )
    for name in ("price", "std_error", "delta", "vega"):
        assert one[name][0] == two[name][0]


def test_a_target_is_reached():
    found = gq.price(
        ASIAN.replace(strike=[90.0, 100.0, 130.0]), FLAT, draws="sobol", target_error=2e-4
    ).frame
    assert (found["std_error"] < 1.1 * 2e-4).all() and (found["status"] == "ok").all(), found
    random = gq.price(ASIAN, FLAT, target_error=2e-4)
    assert found["paths"][1] < 0.25 * random.frame["paths"][0]


def test_python_and_a_gpus_threads_say_the_same(monkeypatch):
    """At tiny size: two nets."""
    monkeypatch.setattr(launch, "NETS", 2)
    three = GEOMETRIC.replace(fixings=3)
    settings = {"draws": "sobol", "paths": 512, "engine": "monte_carlo", "precision": "double"}
    cpu = gq.price(three, FLAT, **settings)
    python = gq.price(three, FLAT, device="python", **settings)
    twin.stand_in(monkeypatch)
    gpu = gq.price(three, FLAT, device="cuda", **settings)
    for other in (python, gpu):
        assert other.price == pytest.approx(cpu.price, rel=1e-12)
        assert other.std_error == pytest.approx(cpu.std_error, rel=1e-9)


@pytest.mark.parametrize(("payoff", "model"), [(ASIAN, FLAT), (BASKET, FIVE)])
def test_it_compiles_to_ptx(payoff, model):
    (batch,) = Batch(model, payoff, np.arange(1), np.zeros(1, np.int64)).derived()
    which = replace(pair_of(batch, "single"), sobol=True)
    assembly = ptx.of_pair(which)
    assert ".entry" in assembly and ".approx" not in assembly
    assert source(which, "cuda") != source(replace(which, sobol=False), "cuda")


def test_wrong_calls_are_named():
    with pytest.raises(NameUnknown, match="'sobel'; did you mean 'sobol'"):
        gq.price(ASIAN, FLAT, draws="sobel")
    long = gq.price(
        ASIAN.replace(
            fixings=[52, 40_000]
        ),
        FLAT, draws="sobol", paths=1,
    ).frame  # fmt: skip
    assert long["status"].tolist() == ["ok", "failed"]
    assert 'must be at most 16384 with draws="sobol"' in long["message"][1]


def test_a_small_error_is_no_control_that_pays_the_same():
    """A calm price: the means of nets differ by less than a ten-millionth, the paths do not."""
    calm = models.BlackScholes(spot=100.0, rate=0.03, volatility=0.01)
    found = gq.price(ASIAN, calm, draws="sobol", paths=1 << 17).frame.iloc[0]
    assert found["status"] == "ok" and found["std_error"] < 1e-6, found


def test_few_paths_at_a_jump_are_counted_as_paths():
    digital = payoffs.Digital(option_type="call", strike=105.0, maturity=1.0)
    found = gq.price(
        digital, FLAT, engine="monte_carlo", greeks=["delta"], draws="sobol", paths=1 << 16
    ).frame.iloc[0]
    assert found["status"] == "ok", found["message"]
