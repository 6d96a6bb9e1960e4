"""Arrays of other libraries: what they hold is understood, and what lies on a GPU stays there."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

import gpuquant as gq
from gpuquant.backtesting.signals import _source
from gpuquant.compiler import build
from gpuquant.device import gpu_of, on_host, ranges, transfer_log
from gpuquant.errors import InputError
from tests import ptx, twin

STRIKES = np.array([90.0, 100.0, 110.0])
FEES = gq.costs.Proportional(rate=0.001)
CROSS = gq.rules.MovingAverageCross(fast=2, slow=5)
MODEL = {"spot": 100.0, "rate": 0.01}


class Lent:
    """An array that speaks DLPack and nothing else."""

    def __init__(self, values):
        self.values = np.ascontiguousarray(values)

    def __dlpack__(self, **how):
        return self.values.__dlpack__(**how)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


def targets(panel, kind):
    draw = np.random.default_rng(12).choice(
        [1.0, 0.0, -1.0, np.nan], panel.close.shape, p=[0.1, 0.1, 0.1, 0.7]
    )
    return draw * {"signals": 1.0, "weights": 0.1, "amounts": 5.0}[kind]


CALLS = {
    "signals": lambda panel, f, device: (
        gq.backtest(panel, signals=f(targets(panel, "signals")), device=device).frame
    ),
    "weights": lambda panel, f, device: (
        gq.backtest(panel, weights=f(targets(panel, "weights")), device=device).frame
    ),
    "amounts": lambda panel, f, device: (
        gq.backtest(panel, amounts=f(targets(panel, "amounts")), device=device).frame
    ),
    "a benchmark": lambda panel, f, device: (
        gq.backtest(panel, CROSS, benchmark=f(panel.close[:, 0].copy()), device=device).frame
    ),
    "a grid": lambda panel, f, device: (
        gq.backtest(
            panel, gq.rules.MovingAverageCross(fast=f(np.array([2.0, 3.0])), slow=9), device=device
        ).frame
    ),
    "a panel": lambda panel, f, device: gq.Panel(
        f(panel.close), panel.dates, panel.assets, volume=f(panel.close * 10.0)
    ).to_frame(),
    "a model and a payoff": lambda panel, f, device: (
        gq.price(
            gq.payoffs.European(option_type="call", strike=f(STRIKES), maturity=1.0),
            gq.models.BlackScholes(**MODEL, volatility=f(STRIKES / 500.0)),
            device=device,
        ).price
    ),
    "lists": lambda panel, f, device: (
        gq.models.MultiBlackScholes(
            spots=f(STRIKES), rate=0.0, volatilities=f(STRIKES / 500.0)
        ).spots
    ),
    "implied volatility": lambda panel, f, device: gq.implied_volatility(
        price=f(np.array([14.0, 8.0, 4.0])),
        option_type="call",
        strike=f(STRIKES),
        maturity=1.0,
        **MODEL,
        device=device,
    ),
    "measures": lambda panel, f, device: gq.measures.sharpe(
        f(np.diff(np.log(panel.close), axis=0))
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("of", [torch.from_numpy, Lent], ids=["torch", "dlpack"])
def test_an_array_of_another_library_is_what_numpys_would_be(call, of, walk_panel):
    found, same = call(walk_panel, of, "cpu"), call(walk_panel, lambda x: x, "cpu")
    np.testing.assert_array_equal(np.asarray(found, object), np.asarray(same, object))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("of", "words"),
    [
        (lambda x: torch.tensor(x).requires_grad_(), "requires grad"),
        (lambda x: torch.tensor(x).bfloat16(), "BFloat16"),
    ],
    ids=["a gradient", "bfloat16"],
)
def test_an_array_that_cannot_be_handed_over_is_named(call, of, words, walk_panel):
    with pytest.raises(InputError, match=rf"\w+, of type torch.Tensor, cannot be read: .*{words}"):
        call(walk_panel, of, "cpu")


def test_what_is_no_array_is_given_back():
    for value in ("call", 1.0, [1.0], None, {"a": 1}):
        assert on_host(value, "x") is value and gpu_of(value) is None


@pytest.mark.parametrize("kind", ["signals", "weights", "amounts"])
def test_targets_on_a_gpu_stay_there(kind, walk_panel, monkeypatch):
    panel = walk_panel.between("2015-01-01", walk_panel.dates[90])
    given = targets(panel, kind)
    expected = gq.backtest(panel, **{kind: given}, device="cpu", costs=FEES)
    twin.stand_in(monkeypatch)
    there = given.copy().view(twin.OnGPU)
    with transfer_log() as log:
        found = gq.backtest(panel, **{kind: there}, costs=FEES)
    assert found.meta["device"] == "cuda:0" and "inputs lie on" in found.meta["device_reason"]
    assert not log.times(kind) and not log.times("targets") and not log.times(kind, "down")
    seen = [name for name, values in found.sums.items() if not np.isnan(values).all()]
    assert len(seen) > 30
    for name in seen:
        np.testing.assert_allclose(
            found.sums[name], expected.sums[name], rtol=1e-12, atol=1e-15, err_msg=name
        )  # a GPU adds bar by bar, a CPU eight partial sums
    there[:] = 0.0
    np.testing.assert_array_equal(found.equity().to_numpy(), expected.equity().to_numpy())


def test_a_wrong_signal_on_a_gpu_is_named(walk_panel, monkeypatch):
    twin.stand_in(monkeypatch)
    given = targets(walk_panel, "signals").view(twin.OnGPU)
    given[7, 2] = 0.5
    with pytest.raises(InputError, match=r"signals\[.*\] = 0.5: must be 1, 0, -1 or NaN"):
        gq.backtest(walk_panel, signals=given)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_elsewhere_they_come_down_and_the_log_says_so(call, walk_panel, monkeypatch):
    twin.stand_in(monkeypatch)
    reads, handed = [], []

    def there(values):
        array = values.copy().view(twin.OnGPU)
        array.reads = reads
        handed.append(array.shape)
        return array

    with transfer_log() as log:
        found = call(walk_panel, there, "cpu")
    expected = call(walk_panel, lambda x: x, "cpu")
    np.testing.assert_array_equal(np.asarray(found, object), np.asarray(expected, object))
    assert handed and reads == handed  # each once
    assert len(log.down) >= len(reads)


def test_implied_volatilities_of_prices_on_a_gpu_stay_there(monkeypatch):
    quotes = {"option_type": "call", "strike": 100.0, "maturity": 1.0, **MODEL}
    prices = np.linspace(2.0, 30.0, 50)
    expected = gq.implied_volatility(price=prices, **quotes)
    twin.stand_in(monkeypatch)
    with transfer_log() as log:
        found = gq.implied_volatility(price=prices.view(twin.OnGPU), **quotes)
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert not log.down and not log.times("price")
    prices[3] = -1.0
    found = gq.implied_volatility(price=prices.view(twin.OnGPU), **quotes)
    assert np.flatnonzero(np.isnan(found)).tolist() == [3]


@pytest.mark.parametrize("turned", [False, True])
def test_the_codes_of_signals_compile_for_a_gpu(turned):
    arrays = ptx.array("f64", 2), ptx.array("u64", 2), ptx.array("i64", 2)
    assert ".entry" in build.ptx(_source(turned, "cuda"), ("i64", "i64", *arrays)).decode()


def test_a_profiler_sees_each_launch_by_name(walk_panel, monkeypatch):
    seen = []

    def annotate(name, domain):
        seen.append((domain, name))
        return nullcontext()

    monkeypatch.setattr(ranges, "_annotate", lambda: annotate)
    gq.backtest(walk_panel, CROSS)
    gq.price(
        gq.payoffs.Asian(option_type="call", strike=100.0, maturity=1.0, fixings=3),
        gq.models.BlackScholes(**MODEL, volatility=0.2),
        paths=100,
        engine="monte_carlo",
    )
    assert seen == [
        ("gpuquant", "back-test MovingAverageCross"),
        *[("gpuquant", "price BlackScholes Asian")] * 2,  # the first is the pilot
    ]
