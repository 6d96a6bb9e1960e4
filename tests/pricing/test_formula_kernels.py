"""Closed forms as kernels: what the formulas say on arrays, the same bits in any company, on every
target.
"""

import re

import numpy as np
import pytest

import gpuquant as gq
from gpuquant.compiler import build
from gpuquant.device import resolve_device
from gpuquant.device.device import HOST
from gpuquant.pricing import closed_form
from gpuquant.pricing.greeks import NAMES
from gpuquant.pricing.pairs import every, sample_batch
from tests import ptx, twin

models, payoffs = gq.models, gq.payoffs
LEVEL = 2.0
N = 9000  # rows: more than one part


def book(n=N, seed=0):
    """Calls and puts of all sorts, some without volatility."""
    draw = np.random.default_rng(seed)
    volatility = draw.uniform(0.02, 0.9, n)
    volatility[::50] = 0.0
    model = models.BlackScholes(
        spot=draw.uniform(50.0, 150.0, n),
        rate=draw.uniform(-0.02, 0.1, n),
        dividend_yield=draw.uniform(0.0, 0.1, n),
        volatility=volatility,
    )
    how = {"option_type": draw.choice(["call", "put"], n), "maturity": draw.uniform(0.003, 10.0, n)}
    return payoffs.European(**how, strike=draw.uniform(50.0, 150.0, n)), model


def kernel_of(model, payoff, columns, greeks=()):
    """The kernel that is taken for these columns, or None."""
    pair = closed_form.Pair(model, payoff, greeks)
    names = (*columns, *(["_first"] if greeks else []))
    return closed_form._kernel(pair, (), names, closed_form._functions(pair))


def both(batch, greeks):
    """What a kernel and what arrays tell of a batch; None where there is no kernel."""
    found = []
    for kernels in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            made = []

            def kernel(*given, real=closed_form._kernel, kernels=kernels, made=made):
                made.append(real(*given))
                return made[-1] if kernels else None

            patch.setattr(closed_form, "_kernel", kernel)
            with np.errstate(all="ignore"):
                found.append(closed_form.price(batch.model, batch.payoff, HOST, greeks))
    return None if not made or made[0] is None else found


KERNELS = {  # of the pairs that are tried here, under Black-Scholes: of prices, and of Greeks
    **dict.fromkeys(("European", "Digital", "Gap", "ForwardStart", "PowerOption"), 2),
    **dict.fromkeys(("BarrierDigital", "Lookback", "FloatingLookback", "NoTouch", "OneTouch"), 1),
    "VarianceSwap": 2,
}
PAIRS = [
    (model, payoff)
    for model, payoff in every()
    if model in (models.BlackScholes, models.Heston) and payoff not in (payoffs.Barrier,)
]


@pytest.mark.parametrize(
    ("model", "payoff"), PAIRS, ids=[f"{m.__name__}-{p.__name__}" for m, p in PAIRS]
)
def test_a_kernel_says_what_arrays_say(model, payoff):
    """At a carry of 0.03, where no formula is a difference of large numbers."""
    batch = next(sample_batch(model, payoff).derived())
    columns = {**batch.model.columns(), "rate": np.full(1, 0.08)}
    batch = type(batch)(model.from_columns(columns), batch.payoff, batch.rows, batch.streams)
    seen = 0
    for greeks in ((), NAMES):
        if (found := both(batch, greeks)) is not None:
            seen += 1
            kernel, arrays = found
            if arrays is None:
                assert kernel is None
                continue
            np.testing.assert_allclose(kernel, arrays, rtol=1e-11, atol=1e-11)
    if model is models.BlackScholes:
        assert seen == KERNELS.get(payoff.__name__, 0), "of the price, and of its Greeks"


def test_of_many_rows():
    """Those without volatility among them."""
    options, model = book()
    batch = sample_batch(models.BlackScholes, payoffs.European)
    batch = type(batch)(model, options, np.arange(N), np.arange(N))
    for greeks in ((), NAMES):
        kernel, arrays = both(batch, greeks)
        scale = np.maximum(np.abs(arrays), model.spot[:, None])
        wrong = ~(np.abs(kernel - arrays) <= 2e-14 * scale) & ~(np.isnan(kernel) & np.isnan(arrays))
        assert not wrong.any(), (np.argwhere(wrong)[:5], kernel[wrong][:5], arrays[wrong][:5])


def test_a_row_has_the_same_bits_alone_and_in_any_batch():
    options, model = book()
    for greeks in (False, True):
        whole = gq.price(options, model, greeks=greeks, device="cpu:2").columns
        for rows in ([0], [N - 1], [8191, 8192], range(100, 400)):
            some = np.array(rows)
            parts = options.take(some), model.take(some)
            alone = gq.price(*parts, greeks=greeks, device="cpu:1").columns
            for name in ("price", *(NAMES if greeks else ())):
                np.testing.assert_array_equal(alone[name], whole[name][some], err_msg=name)


def test_a_price_has_the_same_bits_whatever_greeks_are_asked_for():
    options, model = book()
    alone = gq.price(options, model)
    every = gq.price(options, model, greeks=True)
    for greeks in (("delta",), ("theta", "vega"), "gamma"):
        some = gq.price(options, model, greeks=greeks).columns
        np.testing.assert_array_equal(some["price"], alone.price)
        for name in (greeks,) if isinstance(greeks, str) else greeks:
            np.testing.assert_array_equal(some[name], every.columns[name], err_msg=name)


def test_the_kernel_compiles_to_ptx_without_a_gpu():
    options, model = book(4)
    columns = {**model.columns(), **options.columns()}
    for greeks in ((), NAMES):
        text = kernel_of(type(model), type(options), columns, greeks)("cuda")
        assembly = build.ptx(text, (ptx.array("f64", 2),) * 2).decode()
        assert ".local" not in assembly and not re.search(r"^\s+call", assembly, re.M)


def test_python_and_a_gpus_threads_say_the_same(monkeypatch):
    twin.stand_in(monkeypatch)
    options, model = book(60)
    cpu, python, cuda = (
        gq.price(options, model, greeks=True, device=device).columns
        for device in ("cpu", "python", "cuda")
    )
    for name in ("price", *NAMES):
        np.testing.assert_allclose(python[name], cpu[name], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(cuda[name], cpu[name], rtol=1e-12, atol=1e-14)


class Shy(payoffs.European):
    """Its formula decides by its rows, which no trace can do."""

    abstract = True

    @classmethod
    def closed(cls, p, law, xp, special):
        price = super().closed(p, law, xp, special)
        return price if float(price.sum()) >= 0.0 else 0.0 * price


def test_a_formula_that_no_trace_can_hold_runs_on_arrays():
    options, model = book(300)
    shy = Shy.from_columns(options.columns())
    columns = {**model.columns(), **options.columns()}
    assert kernel_of(type(model), Shy, columns) is None
    found, right = (
        closed_form.values(type(model), type(one), columns, resolve_device("cpu"))
        for one in (shy, options)
    )
    np.testing.assert_allclose(found, right, rtol=1e-13, atol=1e-13)


def test_another_formula_is_another_kernel(monkeypatch):
    """In one process, too."""
    options, model = book(3)
    before = gq.price(options, model).price
    real = payoffs.European.closed
    doubled = staticmethod(lambda *given: LEVEL * real(*given))
    monkeypatch.setattr(payoffs.European, "closed", doubled)
    np.testing.assert_array_equal(gq.price(options, model).price, 2.0 * before)
    monkeypatch.setitem(globals(), "LEVEL", 4.0)  # a number that it reads
    np.testing.assert_array_equal(gq.price(options, model).price, 4.0 * before)
