"""What every model and payoff must satisfy. A new file is tested by existing."""

import dataclasses
import re

import numpy as np
import pytest

import gpuquant as gq
from gpuquant import family
from gpuquant.compiler import build, llvm
from gpuquant.compiler.targets import AMD
from gpuquant.data.columns import offered
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.bumps import SIMULATED as SIMULATED_BUMPS
from gpuquant.pricing.bumps import without_gamma
from gpuquant.pricing.greeks import units
from gpuquant.pricing.kernels.build import sample, source
from gpuquant.pricing.pairs import every, pair, sample_batch
from gpuquant.pricing.request import Asked, checked
from gpuquant.pricing.simulation import Simulation
from gpuquant.pricing.time_grid import Grid
from tests import ptx, twin

MODELS = {
    k: v
    for k, v in sorted(family.members(Model, "gpuquant.models").items())
    if v.__module__.startswith("gpuquant.")
}
PAYOFFS = {
    k: v
    for k, v in sorted(family.members(Payoff, "gpuquant.payoffs").items())
    if v.__module__.startswith("gpuquant.")
}


PLAIN_FIRST = sorted(MODELS.values(), key=lambda model: model is not MODELS["BlackScholes"])
EVERY = every()
FIRST = {
    m: next(p for n, p in EVERY if n is m and (p is PAYOFFS["European"] or m.assets != 1))
    for m, _ in EVERY
}  # each member once
COVER = list(FIRST.items()) + [
    next(pair for pair in EVERY if pair[1] is p)
    for p in {p: None for _, p in EVERY}
    if p not in FIRST.values()
]


def names(pairs):
    return [f"{m.__name__}-{p.__name__}" for m, p in pairs]


@pytest.mark.parametrize(("model", "payoff"), COVER, ids=names(COVER))
def test_it_prices_a_sample_row(model, payoff, device):
    task = checked(Asked(0, "double", "monte_carlo", 2000, None, False), None, 1)
    found = Simulation.of(
        sample_batch(model, payoff),
        type(task)(**{**vars(task), "device": gq.device.resolve_device(device)}),
    ).run(np.array([2000]))
    assert np.isfinite(found.values).all() and (found.errors >= 0).all()


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.simulated()])
def test_state_functions_run_in_plain_python(name):
    model = MODELS[name]
    which = pair(model, FIRST[model])
    constants, state = offered(model.begin, sample(model), 0, 0.1, 0.0)
    moved = model.step(
        constants,
        state,
        (0.3,) * which.number(model.normals),
        (0.4,) * which.number(model.uniforms),
        0.0,
    )
    assert len(moved) == len(state) and all(np.isfinite(moved))
    assert 0 < model.discount(sample(model), 0, 1.0) <= 1.5


SINGLE = [m for m in PLAIN_FIRST if m.simulated() and m.assets == 1]


@pytest.mark.parametrize("model", SINGLE, ids=lambda m: m.__name__)
def test_the_discounted_spot_is_a_martingale(model):
    """A call struck at next to nothing is worth the spot, less what it pays out."""
    one = sample(model)
    call = PAYOFFS["European"](option_type="call", strike=1e-6, maturity=1.0)
    found = gq.price(call, one, engine="monte_carlo", paths=100_000, precision="double", seed=2)
    paid_out = one.growth(one, np.ones(1), np) * one.discount_factor(one, np.ones(1), np)
    dividends = (
        (one.dividends * np.exp(-one.rate[:, None] * one.dividend_times)).sum()
        if hasattr(one, "dividends")
        else 0.0
    )
    expected = (one.spot[0] - dividends) * paid_out[0]
    assert abs(found.price[0] - expected) <= 3.0 * found.std_error[0], (found.frame.T, expected)


def check_kernel(which, accumulator):
    """No local memory, no call, nothing rounded loosely; and in a float32 kernel no float64
    arithmetic beyond the accumulator's, and no register spilt.
    """
    assembly = ptx.of_pair(which)
    assert ".local" not in assembly and not re.search(r"^\s+call", assembly, re.M), which
    assert not re.search(r"\.(approx|full|ftz)\b", assembly), which
    if which.precision == "single":
        assert ptx.double_arithmetic(assembly) == accumulator, which
        assert ptx.registers(assembly)[1] == 0, which


@pytest.fixture(scope="module")
def accumulator():
    """Float64 instructions of the statistics alone, which no member can change."""
    return ptx.double_arithmetic(ptx.of_pair(pair(MODELS["BlackScholes"], PAYOFFS["European"])))


@pytest.mark.parametrize("model", [m for m in FIRST if np.isfinite(m.weak_order)])
def test_coupled_paths_compile_to_ptx(model, accumulator):
    check_kernel(
        dataclasses.replace(pair(model, FIRST[model]), coupled=True, variants=2), accumulator
    )


TEN = [COVER[k * (len(COVER) - 1) // 9] for k in range(10)]


@pytest.mark.parametrize(("model", "payoff"), TEN, ids=names(TEN))
def test_it_compiles_to_ptx_without_a_gpu(model, payoff, accumulator):
    check_kernel(pair(model, payoff), accumulator)


@pytest.mark.parametrize(("model", "payoff"), TEN, ids=names(TEN))
def test_its_derivatives_compile_to_ptx(model, payoff):
    assembly = ptx.of_pair(pair(model, payoff, greeks=True))
    assert not re.search(r"^\s+call", assembly, re.M), (model, payoff)
    assert not re.search(r"\.(approx|full|ftz)\b", assembly), (model, payoff)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed", "double"])
@pytest.mark.parametrize(("model", "payoff"), COVER, ids=names(COVER))
def test_it_compiles_to_ptx_in_every_precision(model, payoff, precision, accumulator):
    check_kernel(pair(model, payoff, precision), accumulator)


REST = [one for one in EVERY if one not in TEN]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "payoff"), REST, ids=names(REST))
def test_every_pair_compiles_to_ptx(model, payoff, accumulator):
    check_kernel(pair(model, payoff), accumulator)


@pytest.mark.parametrize(("model", "payoff"), TEN, ids=names(TEN))
def test_it_compiles_for_another_makers_gpu(model, payoff):
    """AMD's gfx942. It was never run on one."""
    which = pair(model, payoff)
    made = llvm.assembly(
        build.lowered(source(which, "amd"), ptx.pricing(which), AMD), AMD, "gfx942"
    )
    assert (
        re.search(r"\.private_segment_fixed_size: 0\b", made)
        and re.search(r"\.vgpr_spill_count: 0\b", made)
        and "s_barrier" in made
    )


@pytest.mark.slow
@pytest.mark.parametrize(("model", "payoff"), EVERY, ids=names(EVERY))
def test_every_pair_prices_with_its_greeks(model, payoff):
    task = checked(Asked(0, "mixed", "monte_carlo", 500, None, True), None, 1)
    one = sample_batch(model, payoff)
    found = (
        Simulation.of(one, type(task)(**{**vars(task), "device": gq.device.resolve_device("cpu")}))
        .run(np.array([500]))
        .values
    )
    first = Grid.of(one, None).first
    sizes = units(one.model, one.payoff, SIMULATED_BUMPS, first, task.greeks)
    for name, value, unit in zip(("price", *task.greeks), found[0], sizes, strict=True):
        size = np.ravel(unit)[0]  # what a model has none of, or several, has no Greek
        known = np.isfinite(size) and size != 0.0
        known &= not (name == "gamma" and without_gamma(one)[0])  # a kink has no gamma
        assert np.isfinite(value) == known, name


def test_a_double_literal_would_be_seen():
    """The mutant: a member that smuggles float64 into a float32 kernel changes the count."""
    which = pair(MODELS["BlackScholes"], PAYOFFS["European"])
    clean = source(which, "cuda")
    dirty = clean.replace("log_spots[0]", "f64(log_spots[0]) * 1.0000001", 1)
    assert dirty != clean
    assert ptx.double_arithmetic(
        build.ptx(dirty, ptx.pricing(which)).decode()
    ) > ptx.double_arithmetic(ptx.of_pair(which))


# a few in the fast suite: Python takes seconds for each kernel
FEW = [
    (MODELS[name], FIRST[MODELS[name]]) for name in ("BlackScholes", "Heston", "MultiBlackScholes")
]
FEW += [
    (MODELS["BlackScholes"], PAYOFFS[name]) for name in ("Barrier", "Lookback", "PartialBarrier")
]
PAIRS = [(m, p, "single" if p is PAYOFFS["Barrier"] else "double") for m, p in FEW]
PAIRS += [
    pytest.param(m, p, precision, marks=pytest.mark.slow)
    for m, p in COVER
    for precision in ("single", "double")
]


@pytest.mark.parametrize(("model", "payoff", "precision"), PAIRS)
def test_python_and_a_gpus_threads_price_as_the_cpu_does(model, payoff, precision, monkeypatch):
    """At tiny size: the CPU's form as Python runs it, and a GPU's with its threads done by
    Python's, give the CPU's prices and derivatives to rounding.
    """
    twin.stand_in(monkeypatch)
    prices = {}
    for device in ("cpu", "python", "cuda"):
        task = checked(Asked(3, precision, "monte_carlo", 20, 4, ("vega", "theta")), None, 1)
        task = type(task)(**{**vars(task), "device": gq.device.resolve_device(device)})
        prices[device] = np.concatenate(
            Simulation.of(sample_batch(model, payoff), task).run(np.array([20]))[:2]
        )
    for device in ("python", "cuda"):
        np.testing.assert_allclose(
            prices[device],
            prices["cpu"],
            rtol=1e-12 if precision == "double" else 2e-5,
            atol=1e-9,
            err_msg=device,
        )


OWN = '''
import math
from dataclasses import dataclass
from gpuquant.data.domains import Column, nonnegative, positive, real
from gpuquant.models.base import Model


@dataclass(frozen=True)
class Bachelier{suffix}(Model):
    """Normal spot, kept positive only by short maturities: dS = rate S dt + volatility dW.

    Parameters
    ----------
    spot : Column, shape (n,)
        Price today; > 0.
    rate : Column, shape (n,)
        Per year.
    volatility : Column, shape (n,)
        In currency units per square root of a year; >= 0.
    """

    spot: Column = positive(sample=100.0)
    rate: Column = real(default=0.0)
    volatility: Column = nonnegative(sample=5.0)

    @staticmethod
    def begin(m, i, dt):
        return (math.exp(m.rate[i] * dt), m.volatility[i] * math.sqrt(dt)), (m.spot[i],)

    @staticmethod
    def step(c, x, z, u, k):
        return (x[0] * c[0] + c[1] * z[0],)

    @staticmethod
    def log_spots(x):
        return (math.log(max(x[0], 1e-6)),)

    @staticmethod
    def discount(m, i, t):
        return math.exp(-m.rate[i] * t)
'''


def bachelier(strike, volatility, maturity):
    """Bachelier's formula at the money forward: volatility sqrt(T / 2 pi)."""
    assert strike == 100.0
    return volatility * np.sqrt(maturity / (2 * np.pi))


def check_own_model(cls, python=None):
    call = gq.payoffs.European(option_type="call", strike=100.0, maturity=0.5)
    found = gq.price(call, cls(spot=100.0, volatility=5.0), paths=100_000)
    assert abs(found.price - bachelier(100.0, 5.0, 0.5)) < 4 * found.std_error, found.frame.T
    with pytest.raises(
        gq.errors.InputError, match=r"volatility\[0\] = -1.0: must be finite and >= 0"
    ):
        cls(spot=100.0, volatility=-1.0)
    check_kernel(
        pair(cls, PAYOFFS["European"]),
        ptx.double_arithmetic(ptx.of_pair(pair(MODELS["BlackScholes"], PAYOFFS["European"]))),
    )


def test_a_model_in_a_file_of_the_users(tmp_path, monkeypatch):
    """Found by name in a book, typed, checked, priced, compiled for both targets, with no other
    edit.
    """
    import importlib

    (tmp_path / "my_models.py").write_text(OWN.format(suffix="File"))
    monkeypatch.syspath_prepend(tmp_path)
    cls = importlib.import_module("my_models").BachelierFile
    check_own_model(cls)
    import pandas as pd

    book = pd.DataFrame(
        {
            "product": ["european"],
            "model": ["bachelier_file"],
            "option_type": ["call"],
            "strike": [100.0],
            "maturity": [0.5],
            "spot": [100.0],
            "volatility": [5.0],
        }
    )
    assert gq.price(book, paths=1000).frame["status"][0] == "ok"


def test_a_model_in_a_notebook_cell():
    """Cells have no file: their source is in linecache, as IPython leaves it."""
    import linecache
    import sys
    import types

    source = OWN.format(suffix="Cell")
    linecache.cache["<cell-1>"] = (len(source), None, source.splitlines(keepends=True), "<cell-1>")
    notebook = types.ModuleType("__notebook__")
    sys.modules["__notebook__"] = notebook
    try:
        exec(compile(source, "<cell-1>", "exec"), notebook.__dict__)
        check_own_model(notebook.BachelierCell)
    finally:
        del sys.modules["__notebook__"]


def test_a_wrong_shape_is_said_by_name():
    @dataclasses.dataclass(frozen=True)
    class Lopsided(MODELS["BlackScholes"]):
        @staticmethod
        def step(c, x, z, u, k):
            return (x[0], z[0])

    with pytest.raises(gq.errors.MemberError, match=r"Lopsided\.step must return a tuple of 1"):
        source(pair(Lopsided, PAYOFFS["European"]), "cpu")


@pytest.mark.parametrize("member", [*MODELS.values(), *PAYOFFS.values()], ids=[*MODELS, *PAYOFFS])
def test_a_misspelt_column_is_answered_with_the_nearest(member):
    name = dataclasses.fields(member)[0].name
    with pytest.raises(
        gq.errors.NameUnknown,
        match=f"unknown column of {member.__name__}: '{name}x'; did you mean '{name}'",
    ):
        member(**{f"{name}x": 1.0})
