"""Prices: held to the literature, to closed forms, to laws, and to themselves under any
chunking.
"""

import itertools

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant.device import resolve_device
from gpuquant.pricing.batching import batches_of
from gpuquant.pricing.kernels.launch import Launch
from gpuquant.pricing.request import Asked, checked
from gpuquant.pricing.simulation import Simulation
from tests.problems import IMPLIED, PRICES

FLAT = {"spot": 100.0, "rate": 0.03, "dividend_yield": 0.01, "volatility": 0.25}
MODELS = {
    "BlackScholes": FLAT,
    "Heston": {
        "spot": 100.0,
        "rate": 0.03,
        "dividend_yield": 0.01,
        "v0": 0.05,
        "kappa": 1.5,
        "long_variance": 0.04,
        "vol_of_vol": 0.6,
        "correlation": -0.7,
    },
    "Merton": {**FLAT, "intensity": 0.8, "jump_mean": -0.1, "jump_volatility": 0.2},
}


def model(name):
    return getattr(gq.models, name)(**MODELS[name])


@pytest.mark.parametrize(
    "problem",
    [
        # two million paths of ten years
        pytest.param(p, marks=pytest.mark.slow if "Kahl" in p[-1] else ())
        for p in PRICES
    ],
    ids=lambda p: f"{p[0]}-{p[1]}",
)
def test_known_answers(problem, device):
    _, payoff, contract, name, market, expected, tolerance, source = problem
    how = {
        "target_error": max(2e-3 * expected, 5e-4),
        "device": device,
        "engine": "auto" if name == "BlackScholes" else "monte_carlo",
    }
    found = gq.price(
        getattr(gq.payoffs, payoff)(**contract), getattr(gq.models, name)(**market), **how
    )
    allowed = max(3.5 * found.std_error, tolerance)
    assert abs(found.price - expected) <= allowed, (
        f"{found.frame.T}\nexpected {expected} +- {allowed} ({source})"
    )
    assert found.std_error <= max(5e-3 * expected, 1e-3)


@pytest.mark.parametrize("problem", IMPLIED, ids=lambda p: f"{p[0]}-{p[2]:g}-{p[3]:g}")
def test_implied_volatility_of_the_literature(problem):
    option_type, forward, strike, maturity, value, expected, tolerance = problem
    found = gq.implied_volatility(
        price=value,
        option_type=option_type,
        spot=forward,
        strike=strike,
        maturity=maturity,
        rate=0.0,
    )
    assert abs(found - expected) <= max(tolerance, 3e-13 * expected), problem


def test_implied_volatility_inverts_the_price():
    draw = np.random.default_rng(5)
    n = 5000
    columns = {
        "spot": draw.uniform(50, 150, n),
        "rate": draw.uniform(-0.02, 0.08, n),
        "dividend_yield": draw.uniform(0, 0.05, n),
    }
    vol = draw.uniform(0.05, 1.0, n)
    contract = {
        "option_type": np.where(draw.random(n) < 0.5, "call", "put"),
        "strike": columns["spot"] * draw.uniform(0.7, 1.4, n),
        "maturity": draw.uniform(0.05, 3, n),
    }
    priced = gq.price(
        gq.payoffs.European(**contract),
        gq.models.BlackScholes(**columns, volatility=vol),
        greeks=True,
    )
    back = gq.implied_volatility(price=priced.price, **contract, **columns)
    useful = priced.vega > 1e-2
    assert np.nanmax(np.abs(back - vol)[useful]) < 1e-9
    assert np.isnan(
        gq.implied_volatility(
            price=200.0, option_type="call", spot=100.0, strike=100.0, maturity=1.0, rate=0.0
        )
    )
    assert np.isnan(
        gq.implied_volatility(
            price=1.0, option_type="call", spot=100.0, strike=50.0, maturity=1.0, rate=0.0
        )
    )


def z_scores(precision, paths, pairs, device="cpu"):
    """(simulated - closed) / standard error of many contracts with a formula."""
    out = []
    for payoff, contract in pairs:
        made = getattr(gq.payoffs, payoff)(**contract)
        true = gq.price(made, model("BlackScholes")).price
        found = gq.price(
            made,
            model("BlackScholes"),
            engine="monte_carlo",
            paths=paths,
            precision=precision,
            device=device,
        )
        out.append((found.price - true) / found.std_error)
    return np.concatenate(out)


STRIKES = list(np.linspace(80.0, 125.0, 10))
PAIRS = (
    ("European", {"option_type": "call", "strike": STRIKES, "maturity": 1.0}),
    ("European", {"option_type": "put", "strike": STRIKES, "maturity": 0.5}),
    (
        "Asian",
        {
            "option_type": "call",
            "strike": STRIKES,
            "maturity": 1.0,
            "fixings": 12,
            "average": "geometric",
        },
    ),
    (
        "Barrier",
        {
            "option_type": "call",
            "barrier_type": "down-and-out",
            "strike": STRIKES,
            "barrier": 75.0,
            "maturity": 1.0,
            "rebate": 2.0,
        },
    ),
    (
        "Barrier",
        {
            "option_type": "put",
            "barrier_type": "up-and-in",
            "strike": STRIKES,
            "barrier": 130.0,
            "maturity": 1.0,
        },
    ),
)


@pytest.mark.parametrize("precision", ["single", "mixed", "double"])
def test_each_precision_is_unbiased(precision, device):
    """z-scores against closed forms: mean within four standard errors of zero, none beyond five,
    spread about one.
    """
    z = z_scores(precision, 400_000, PAIRS, device)
    assert np.abs(z).max() < 5.0, z
    assert abs(z.mean()) < 4.0 / np.sqrt(len(z)), z
    assert 0.6 < z.std() < 1.4, z


def test_a_planted_bias_is_caught(monkeypatch):
    """The mutant: three standard errors added to every simulated price must fail the law above."""
    true = gq.price

    def biased(*arguments, **named):
        found = true(*arguments, **named)
        if named.get("engine") == "monte_carlo":
            found.columns["price"] = found.columns["price"] + 3.0 * found.columns["std_error"]
        return found

    monkeypatch.setattr(gq, "price", biased)
    with pytest.raises(AssertionError):
        test_each_precision_is_unbiased("single", "cpu")


@pytest.mark.parametrize("precision", ["single", "mixed"])
def test_bias_of_a_precision_on_the_same_draws(precision):
    """The same draws in double differ by rounding alone: far below any standard error."""
    contract = gq.payoffs.Asian(option_type="call", strike=STRIKES, maturity=1.0, fixings=252)
    exact = gq.price(
        contract,
        model("BlackScholes"),
        engine="monte_carlo",
        paths=50_000,
        precision="double",
        common_random_numbers=True,
    )
    found = gq.price(
        contract,
        model("BlackScholes"),
        engine="monte_carlo",
        paths=50_000,
        precision=precision,
        common_random_numbers=True,
    )
    bound = 2e-5 if precision == "single" else 2e-6
    assert (np.abs(found.price - exact.price) / exact.price).max() < bound, found.frame


@pytest.mark.parametrize("name", MODELS)
def test_discounted_spot_is_a_martingale(name, device):
    """A call struck at nearly nothing is worth the forward, discounted."""
    call = gq.payoffs.European(option_type="call", strike=1e-6, maturity=[0.25, 1.0, 3.0])
    found = gq.price(
        call, model(name), engine="monte_carlo", paths=200_000, precision="double", device=device
    )
    expected = 100.0 * np.exp(-0.01 * np.array([0.25, 1.0, 3.0]))
    assert (np.abs(found.price - expected) <= 3.5 * found.std_error).all(), found.frame


@pytest.mark.parametrize(
    ("name", "monitoring"),
    [
        ("BlackScholes", "continuous"),
        ("BlackScholes", "discrete"),
        ("Heston", "continuous"),
        ("Merton", "discrete"),
    ],
)
def test_in_plus_out_is_vanilla(name, monitoring):
    """On the same draws the two barriers add up to the vanilla path by path, and the vanilla is
    the control variate of both: their sum is its exact price.
    """
    common = {"option_type": "put", "strike": 100.0, "maturity": 1.0}
    how = {
        "engine": "monte_carlo",
        "paths": 1 << 16,  # so that the pilot knows both betas
        "steps": 52,
        "common_random_numbers": True,
        "precision": "double",
    }
    watched = {"barrier": 88.0, "monitoring": monitoring, "observations": 52}
    parts = [
        gq.price(
            gq.payoffs.Barrier(barrier_type=f"down-and-{side}", **common, **watched),
            model(name),
            **how,
        ).price
        for side in ("in", "out")
    ]
    assert sum(parts) == pytest.approx(
        gq.price(gq.payoffs.European(**common), model(name)).price, rel=1e-9
    )


def test_put_call_parity_of_the_formula():
    strikes = np.linspace(60, 160, 101)
    call, put = (
        gq.price(
            gq.payoffs.European(option_type=kind, strike=strikes, maturity=2.0),
            model("BlackScholes"),
        ).price
        for kind in ("call", "put")
    )
    np.testing.assert_allclose(
        call - put, 100 * np.exp(-0.02) - strikes * np.exp(-0.06), rtol=0, atol=1e-12
    )


def test_zero_volatility_is_intrinsic_and_certain(device):
    still = gq.models.BlackScholes(spot=100.0, rate=0.05, volatility=0.0)
    call = gq.payoffs.European(option_type="call", strike=[90.0, 120.0], maturity=1.0)
    expected = np.maximum(100.0 - np.array([90.0, 120.0]) * np.exp(-0.05), 0.0)
    formula, simulated = (
        gq.price(call, still, device=device),
        gq.price(call, still, engine="monte_carlo", precision="double", device=device),
    )
    np.testing.assert_allclose(formula.price, expected, rtol=1e-14)
    np.testing.assert_allclose(simulated.price, expected, rtol=1e-13)
    assert (simulated.std_error == 0.0).all()
    knocked = gq.payoffs.Barrier(
        option_type="call",
        barrier_type="up-and-out",
        strike=90.0,
        barrier=[102.0, 110.0],
        maturity=1.0,
        rebate=1.0,
    )
    np.testing.assert_allclose(
        gq.price(knocked, still).price, [np.exp(-0.05), expected[0]], rtol=1e-13
    )


def test_the_same_bits_for_any_threads_and_chunks():
    """One thread, two, three, and six ways to cut the work: every result column equal to the
    last bit.
    """
    asian = gq.payoffs.Asian(option_type="call", strike=STRIKES, maturity=1.0, fixings=13)
    _, batches, _, _ = batches_of(asian, model("Heston"), None)
    task = checked(Asked(9, "single", "monte_carlo", 10_001, None, True), None, len(STRIKES))
    paths = np.full(len(STRIKES), 10_001)
    results = []
    for device, chunk in itertools.product(("cpu:1", "cpu:2", "cpu:3"), (1, 2, 3, 7, 50, 10_000)):
        plan = Launch.run
        Launch.run = lambda self, *given, chunk=chunk, plan=plan: plan(self, *given, chunk=chunk)
        try:
            results.append(
                Simulation.of(
                    batches[0], type(task)(**{**vars(task), "device": resolve_device(device)})
                ).run(paths)
            )
        finally:
            Launch.run = plan
    for one in results[1:]:
        np.testing.assert_array_equal(one.values, results[0].values)
        np.testing.assert_array_equal(one.errors, results[0].errors)


def test_a_row_keeps_its_bits_in_any_company():
    """Adding, removing and reordering other rows, and one bad row among them, moves no other
    price.
    """
    n = 40
    frame = pd.DataFrame(
        {
            "id": np.arange(n) + 100,
            "product": "asian",
            "option_type": "call",
            "strike": np.linspace(80, 120, n),
            "maturity": 1.0,
            "fixings": 12,
            **FLAT,
        }
    )
    whole = gq.price(frame, paths=1000).frame.set_index("id")
    some = gq.price(frame.sample(frac=0.4, random_state=1), paths=1000).frame.set_index("id")
    assert (some["price"] == whole["price"].loc[some.index]).all()
    broken = frame.copy()
    broken.loc[7, "volatility"] = -0.2
    after = gq.price(broken, paths=1000).frame.set_index("id")
    assert after["status"].loc[107] == "failed"
    assert "volatility[7] = -0.2: must be finite and >= 0" in after["message"].loc[107]
    assert (after["price"].drop(107) == whole["price"].drop(107)).all()


def test_one_bad_row_of_a_million():
    n = 1_000_000
    columns = {
        "product": "european",
        "option_type": "call",
        "strike": np.linspace(50, 150, n),
        "maturity": 1.0,
        **FLAT,
    }
    good = gq.price(pd.DataFrame(columns))
    bad = pd.DataFrame(columns)
    bad.loc[123_456, "spot"] = 0.0
    found = gq.price(bad)
    assert list(found.failed) == [123_456]
    assert np.isnan(found.total) and np.isfinite(good.total)
    assert np.isfinite(gq.price(bad, partial=True).total)
    others = np.arange(n) != 123_456
    np.testing.assert_array_equal(found.price[others], good.price[others])


def test_target_error_is_met():
    asian = gq.payoffs.Asian(
        option_type="call", strike=[90.0, 100.0, 110.0, 160.0], maturity=1.0, fixings=12
    )
    found = gq.price(asian, model("BlackScholes"), target_error=1e-3)
    assert (found.std_error < 1.1e-3).all(), found.frame
    assert found.frame["paths"].nunique() > 1  # each row as many as it needs
    targets = np.array([0.01, 5e-3, 1e-3, 5e-4])
    each = gq.price(asian, model("BlackScholes"), target_error=targets)
    assert (each.std_error < 1.1 * targets).all(), each.frame


GREEKS = ("delta", "gamma", "vega", "rho", "theta")


def test_greeks_of_the_formula():
    """Against Black and Scholes' own derivatives."""
    from scipy.stats import norm

    s, r, q, v, t = 100.0, 0.03, 0.01, 0.25, 1.0
    k = np.array(STRIKES)
    d1 = (np.log(s / k) + (r - q + v * v / 2) * t) / (v * np.sqrt(t))
    d2 = d1 - v * np.sqrt(t)
    expected = {
        "delta": np.exp(-q * t) * norm.cdf(d1),
        "gamma": np.exp(-q * t) * norm.pdf(d1) / (s * v * np.sqrt(t)),
        "vega": s * np.exp(-q * t) * norm.pdf(d1) * np.sqrt(t),
        "rho": k * t * np.exp(-r * t) * norm.cdf(d2),
        "theta": -s * np.exp(-q * t) * norm.pdf(d1) * v / (2 * np.sqrt(t))
        - r * k * np.exp(-r * t) * norm.cdf(d2)
        + q * s * np.exp(-q * t) * norm.cdf(d1),
    }
    found = gq.price(
        gq.payoffs.European(option_type="call", strike=STRIKES, maturity=1.0),
        model("BlackScholes"),
        greeks=True,
    )
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(found, name), values, rtol=2e-6, err_msg=name)
    desk = gq.price(
        gq.payoffs.European(option_type="call", strike=STRIKES, maturity=1.0),
        model("BlackScholes"),
        greeks=True,
        units="desk",
    )
    np.testing.assert_allclose(desk.vega, found.vega / 100)
    np.testing.assert_allclose(desk.theta, found.theta / 365)


@pytest.mark.parametrize("payoff", [1, 2], ids=["put", "geometric-asian"])
def test_simulated_greeks_agree_with_the_formula(payoff):
    name, contract = PAIRS[payoff]
    made = getattr(gq.payoffs, name)(**contract)
    formula, simulated = (
        gq.price(made, model("BlackScholes"), greeks=True),
        gq.price(made, model("BlackScholes"), engine="monte_carlo", paths=200_000, greeks=True),
    )
    for greek in GREEKS:
        error = simulated.columns[f"{greek}_std_error"]
        bias = 2e-3 * np.abs(formula.columns[greek]).max()  # of the bump's own size
        wrong = np.abs(simulated.columns[greek] - formula.columns[greek]) > 4.5 * error + bias
        assert not wrong.any(), f"{greek}\n{simulated.frame[wrong].T}"


def test_heston_without_vol_of_vol_is_black_scholes():
    calm = gq.models.Heston(
        spot=100.0,
        rate=0.03,
        dividend_yield=0.01,
        v0=0.0625,
        kappa=1e-3,
        long_variance=0.0625,
        vol_of_vol=1e-3,
        correlation=0.0,
    )
    call = gq.payoffs.European(option_type="call", strike=STRIKES, maturity=1.0)
    known = gq.price(call, calm, engine="fourier")
    assert (np.abs(known.price - gq.price(call, model("BlackScholes")).price) < 1e-5).all()
    found = gq.price(call, calm, paths=200_000, greeks=True, engine="monte_carlo")
    true = gq.price(call, model("BlackScholes"), greeks=True)
    assert (np.abs(found.price - true.price) < 4 * found.std_error).all()
    assert (
        np.abs(found.vega - true.vega) < 4.5 * found.columns["vega_std_error"] + 0.2
    ).all()  # vega is per volatility there too


def test_rough_heston_of_a_half_is_heston():
    shared = {
        "spot": 100.0,
        "rate": 0.03,
        "dividend_yield": 0.01,
        "v0": 0.04,
        "kappa": 1.5,
        "long_variance": 0.06,
        "vol_of_vol": 0.5,
        "correlation": -0.6,
    }
    call = gq.payoffs.European(option_type="call", strike=STRIKES, maturity=1.0)
    rough = gq.price(call, gq.models.RoughHeston(**shared, hurst=0.5)).price
    assert (np.abs(rough - gq.price(call, gq.models.Heston(**shared)).price) < 1e-4).all(), rough


def test_the_bridge_does_not_depend_on_the_correlation():
    """With almost no vol-of-vol Heston is Black and Scholes, whatever the correlation, for a
    barrier too.
    """
    barrier = gq.payoffs.Barrier(
        option_type="call", barrier_type="down-and-out", strike=100.0, barrier=95.0, maturity=1.0
    )
    true = gq.price(barrier, gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=0.2)).price
    for rho in (0.0, -0.7, 0.95):
        calm = gq.models.Heston(
            spot=100.0,
            rate=0.0,
            v0=0.04,
            kappa=1.0,
            long_variance=0.04,
            vol_of_vol=0.001,
            correlation=rho,
        )
        found = gq.price(barrier, calm, paths=100_000, steps=16, engine="monte_carlo")
        assert abs(found.price - true) < 4 * found.std_error, found.frame.T


def test_many_jumps_are_all_counted():
    busy = gq.models.Merton(
        spot=100.0, rate=0.0, volatility=0.1, intensity=50.0, jump_mean=0.0, jump_volatility=0.02
    )
    found = gq.price(
        gq.payoffs.European(option_type="call", strike=1e-6, maturity=1.0),
        busy,
        paths=100_000,
        steps=1,
        precision="double",
        engine="monte_carlo",
    )
    assert abs(found.price - 100.0) < 4 * found.std_error, found.frame.T


def test_statuses_say_what_happened():
    feller = gq.models.Heston(
        spot=100.0,
        rate=0.0,
        v0=0.04,
        kappa=0.5,
        long_variance=0.04,
        vol_of_vol=1.0,
        correlation=-0.5,
    )
    found = gq.price(
        gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0),
        feller,
        paths=1000,
        engine="monte_carlo",
    ).frame
    assert (
        found["status"][0] == "warning"
        and "Feller" in found["message"][0]
        and "bias of 50 steps, removed" in found["message"][0]
    )
    far = gq.price(
        gq.payoffs.Asian(option_type="call", strike=1000.0, maturity=0.1, fixings=4),
        model("BlackScholes"),
        paths=1000,
    ).frame
    assert far["status"][0] == "warning" and "no path of 1000 paid" in far["message"][0]
    none = gq.price(
        gq.payoffs.Asian(option_type="call", strike=100.0, maturity=1.0, fixings=4),
        model("BlackScholes"),
        engine="closed_form",
    ).frame
    assert (
        none["status"][0] == "failed"
        and "no closed form" in none["message"][0]
        and np.isnan(none["price"][0])
    )
    jumps = gq.price(
        gq.payoffs.Barrier(
            option_type="call", barrier_type="up-and-out", strike=100.0, barrier=120.0, maturity=1.0
        ),
        model("Merton"),
        paths=256,
    ).frame
    assert jumps["status"][0] == "failed" and "no bridge" in jumps["message"][0]


def test_meta_says_what_was_used():
    meta = gq.price(
        gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0),
        model("BlackScholes"),
        seed=5,
    ).meta
    assert {
        "device",
        "device_reason",
        "precision",
        "seed",
        "paths",
        "seconds",
        "joules",
        "joules_source",
        "version",
    } <= set(meta)
    assert meta["seed"] == 5
