"""What only a GPU can show: the same prices as the CPU's on the same draws, back-tests with the
same orders, a story end to end.
"""

from dataclasses import replace

import numpy as np
import pytest

import gpuquant as gq
from gpuquant.device import available, resolve_device, transfer_log
from gpuquant.pricing.pairs import every, sample_batch
from gpuquant.pricing.request import Asked, checked
from gpuquant.pricing.simulation import Simulation

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def present():
    if "cuda" not in available():
        pytest.skip("no GPU here")


def priced(model, payoff, precision, paths):
    """The price, its error and its skewness of a sample row, on the CPU and on the GPU."""
    found = []
    for device in ("cpu", "cuda"):
        task = checked(Asked(3, precision, "monte_carlo", paths), None, 1)
        task = replace(task, device=resolve_device(device))
        values = Simulation.of(sample_batch(model, payoff), task).run(np.array([paths]))
        found.append(np.array([value[0, 0] for value in values]))
    return found


def test_ten_kernels_give_the_cpus_numbers():
    """First of all: what was compiled without a GPU loads, launches, and prices as the CPU does."""
    pairs = every()
    for k in range(10):
        model, payoff = pairs[k * (len(pairs) - 1) // 9]
        cpu, gpu = priced(model, payoff, "double", 5000)
        np.testing.assert_allclose(
            gpu, cpu, rtol=1e-12, atol=1e-14, err_msg=f"{model.__name__}-{payoff.__name__}"
        )


@pytest.mark.parametrize("precision", ["single", "double"])
def test_every_pair_gives_the_cpus_prices(precision):
    apart = {}
    for model, payoff in every():
        cpu, gpu = priced(model, payoff, precision, 3000)
        if not np.isclose(
            gpu[0], cpu[0], rtol=1e-12 if precision == "double" else 2e-5, atol=1e-12
        ):
            apart[f"{model.__name__}-{payoff.__name__}"] = (cpu[0], gpu[0])
    assert not apart


MODELS = {
    "BlackScholes": gq.models.BlackScholes(spot=100.0, rate=0.03, volatility=0.25),
    "Heston": gq.models.Heston(
        spot=100.0,
        rate=0.03,
        v0=0.05,
        kappa=1.5,
        long_variance=0.04,
        vol_of_vol=0.6,
        correlation=-0.7,
    ),
    "Merton": gq.models.Merton(
        spot=100.0, rate=0.03, volatility=0.2, intensity=0.8, jump_mean=-0.1, jump_volatility=0.2
    ),
}
PAYOFFS = {
    "European": gq.payoffs.European(option_type="put", strike=[90.0, 110.0], maturity=1.0),
    "Asian": gq.payoffs.Asian(option_type="call", strike=[90.0, 110.0], maturity=1.0, fixings=12),
    "Barrier": gq.payoffs.Barrier(
        option_type="call",
        barrier_type="up-and-out",
        strike=100.0,
        barrier=[120.0, 140.0],
        maturity=1.0,
        monitoring="discrete",
        observations=12,
    ),
}


@pytest.mark.parametrize("precision", ["single", "mixed", "double"])
@pytest.mark.parametrize("payoff", PAYOFFS)
@pytest.mark.parametrize("model", MODELS)
def test_the_same_prices_as_the_cpu(model, payoff, precision):
    how = {"engine": "monte_carlo", "paths": 20_000, "precision": precision, "greeks": True}
    cpu, gpu = (gq.price(PAYOFFS[payoff], MODELS[model], device=d, **how) for d in ("cpu", "cuda"))
    bound = {"single": 1e-5, "mixed": 1e-6, "double": 1e-12}[precision]
    np.testing.assert_allclose(gpu.price, cpu.price, rtol=bound)
    np.testing.assert_allclose(gpu.std_error, cpu.std_error, rtol=1e3 * bound)


def test_closed_forms_on_the_gpu():
    call = gq.payoffs.European(option_type="call", strike=np.linspace(50, 150, 1000), maturity=1.0)
    cpu, gpu = (
        gq.price(call, MODELS["BlackScholes"], device=d, greeks=True) for d in ("cpu", "cuda")
    )
    np.testing.assert_allclose(gpu.price, cpu.price, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(gpu.delta, cpu.delta, rtol=1e-6)


def test_the_same_orders(walk_panel):
    rule = gq.rules.MovingAverageCross(fast=range(2, 12), slow=range(15, 35))
    fees = gq.costs.Proportional(rate=0.001)
    cpu, gpu = (gq.backtest(walk_panel, rule, costs=fees, device=d) for d in ("cpu", "cuda"))
    np.testing.assert_array_equal(gpu.measures["orders"], cpu.measures["orders"])
    np.testing.assert_allclose(
        gpu.measures["total_return"], cpu.measures["total_return"], rtol=1e-9, atol=1e-12
    )
    weights = np.random.default_rng(0).dirichlet(np.ones(6), 900)
    cpu, gpu = (
        gq.backtest(walk_panel, weights=weights, costs=fees, device=d) for d in ("cpu", "cuda")
    )
    np.testing.assert_allclose(
        gpu.measures["total_return"], cpu.measures["total_return"], rtol=1e-9
    )


@pytest.mark.parametrize(
    "name",
    [
        "grid",
        "weights",
        "stops",
        "trails",
        "targets at every bar",
        "brackets",
        "orders",
        "halts",
        "margin",
        "locked",
        "benchmark",
        "paths",
        "resampled",
        "priced",
    ],
)
def test_every_kind_of_account_is_the_cpus(name):
    from tests.backtesting.accounts import accounts, agree

    prices, terms = accounts()[name]
    agree(name, *(gq.backtest(prices, device=device, **terms).sums for device in ("cpu", "cuda")))


def test_a_panel_goes_up_once(walk_panel):
    walk_panel._on.clear()
    with transfer_log() as book:
        for fast in (2, 3, 4):
            gq.backtest(walk_panel, gq.rules.MovingAverageCross(fast=fast, slow=9), device="cuda")
    assert book.times("close") == 1 and book.times("sums") == 1


@pytest.mark.parametrize("library", ["cupy", "torch"])
@pytest.mark.parametrize("kind", ["signals", "weights", "amounts"])
def test_targets_on_the_gpu_stay_there(library, kind, walk_panel):
    """The caller's stream is current: what it writes is read after it, with no other wait."""
    draw = np.random.default_rng(1).choice([1.0, 0.0, -1.0, np.nan], walk_panel.close.shape)
    given = draw * {"signals": 1.0, "weights": 0.1, "amounts": 5.0}[kind]
    expected = gq.backtest(walk_panel, **{kind: given}, device="cpu")
    if library == "cupy":
        import cupy

        with cupy.cuda.Stream(non_blocking=True), transfer_log() as log:
            found = gq.backtest(walk_panel, **{kind: cupy.asarray(given) + 0.0})
    else:
        import torch

        with torch.cuda.stream(torch.cuda.Stream()), transfer_log() as log:
            found = gq.backtest(walk_panel, **{kind: torch.from_numpy(given).cuda() + 0.0})
    assert found.meta["device"].startswith("cuda") and not log.times("targets")
    np.testing.assert_allclose(found.equity(), expected.equity(), rtol=1e-12)


def test_implied_volatilities_on_the_gpu_stay_there():
    import cupy

    quotes = {"option_type": "call", "spot": 100.0, "strike": 100.0, "maturity": 1.0, "rate": 0.0}
    prices = np.linspace(1.0, 30.0, 1000)
    found = gq.implied_volatility(price=cupy.asarray(prices), **quotes)
    expected = gq.implied_volatility(price=prices, **quotes)
    assert isinstance(found, cupy.ndarray)
    np.testing.assert_allclose(found.get(), expected, rtol=1e-11)


def test_story_a_on_the_device(us20, tmp_path, monkeypatch):
    from tests.test_stories import BLOCKS

    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(BLOCKS[0], "<story a>", "exec"), names)
    assert names["result"].returns.notna().all()


@pytest.mark.parametrize("engine", ["sequential", "vmap", "cuda_graph"])
def test_training_learns_what_the_cpu_learns(engine):
    """On the same batches, up to rounding; and a recorded step is the step."""
    from gpuquant import learn

    draw = np.random.default_rng(0)
    features = draw.normal(size=(400, 6, 4))
    samples = learn.Samples(features, features[..., 0] + draw.normal(size=(400, 6)))
    folds = [np.arange(200), np.arange(100, 300)]

    def losses(engine, device):
        config = learn.TrainingConfig(steps=12, batch_windows=100, engine=engine)
        learner = learn.Learner(learn.networks.MLP(hidden=8), ensemble=3, training=config)
        fitted = learner.fit_folds(samples, folds, device=device)
        return np.stack([one.history.loss for one in fitted])

    np.testing.assert_allclose(losses(engine, "cuda:0"), losses("vmap", "cpu"), rtol=2e-3)


def test_auto_measures_both_devices():
    from gpuquant import learn

    draw = np.random.default_rng(0)
    samples = learn.Samples(draw.normal(size=(400, 6, 4)), draw.normal(size=(400, 6)))
    learner = learn.Learner(
        learn.networks.MLP(), ensemble=2, training=learn.TrainingConfig(steps=5)
    )
    history = learner.fit(samples, np.arange(300), device="auto").history
    assert "cpu " in history.reason and "cuda:0 " in history.reason
    assert history.device in ("cpu", "cuda:0")
