"""Greeks as derivatives of paths: beside bumps on the same draws, beside formulas, and where a
path has no derivative.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import gpuquant as gq
from gpuquant.data.columns import domains
from gpuquant.pricing.bumps import simulated
from gpuquant.pricing.greeks import greek, plan, units
from gpuquant.pricing.kernels.launch import Launch, Rows
from gpuquant.pricing.pairs import every, sample_batch
from gpuquant.pricing.pathwise import derived, said, shares
from gpuquant.pricing.simulation import pair_of
from gpuquant.pricing.time_grid import Grid

payoffs, models = gq.payoffs, gq.models
PATHS = 8000
# columns of the samples that stand at a kink, where there is no derivative, moved away from it
AWAY = {"running_extreme": 1.05, "global_floor": 0.02, "local_floor": -0.04, "strike": 1.1}
FORMS = [(models.BlackScholes, p) for m, p in every() if m is models.BlackScholes]
FORMS += [(m, p) for m, p in every() if p in (payoffs.European, payoffs.Basket)]
FORMS += [(models.Heston, payoffs.Barrier), (models.Heston, payoffs.Lookback)]
FORMS = list(dict.fromkeys(FORMS))
REST = [one for one in every() if one not in FORMS]


@pytest.mark.parametrize(
    ("payoff", "told"),
    [
        (payoffs.Asian, "delta, rho: derivatives of paths; gamma: bumps"),
        (payoffs.Digital, "delta, gamma, rho: bumps"),
    ],
)
def test_the_message_tells_the_method_of_each_greek(payoff, told):
    asked = payoff(maturity=1.0, option_type="call", strike=100.0)
    how = {"engine": "monte_carlo", "paths": 1024, "steps": 12, "device": "cpu"}
    found = gq.price(asked, HESTON, greeks=("delta", "gamma", "rho"), **how)
    assert found.message.endswith(told), found.message
    assert "bumps" not in gq.price(asked, HESTON, **how).message


def names(pairs):
    return [f"{m.__name__}-{p.__name__}" for m, p in pairs]


def moved_away(batch):
    """The batch with columns beside a kink instead of at one."""
    columns = dict(batch.payoff.columns())
    for name in AWAY.keys() & columns.keys():
        columns[name] = columns[name] * AWAY[name] if abs(AWAY[name]) > 0.5 else 0.0 + AWAY[name]
        columns[name] = np.atleast_1d(columns[name])
    return replace(batch, payoff=type(batch.payoff).from_columns(columns))


def first_derivatives(batch):
    """The names of all first derivatives of a batch."""
    model, payoff = type(batch.model), type(batch.payoff)
    asked = ["delta", "vega", "rho", "dividend_rho", "theta"]
    asked += [f"d_{name}" for name in {**domains(model), **domains(payoff)}]
    bumps = simulated(batch)
    return tuple(n for n in asked if greek(n).along[0].moves(model, payoff, bumps))


def both(batch, names):
    """Means and errors of these Greeks by derivatives of paths and by bumps, on the same draws."""
    pair, bumps, grid = pair_of(batch, "double"), simulated(batch), Grid.of(batch, None)
    found = []
    for variants in (
        shares(pair, bumps, names, names)[0][0],
        plan(pair.names, pair.model, pair.payoff, bumps, names),
    ):
        own = replace(
            pair,
            variants=len(variants.scale),
            outputs=1 + len(names),
            slopes=len(variants.slopes) // 4,
        )
        columns = {**batch.model.columns(), **batch.payoff.columns()}
        bump = np.broadcast_to(bumps.spot, 1)
        device = gq.device.resolve_device("cpu:1")
        rows = Rows(device, columns, pair, grid, batch.streams, bump, 7)
        launch = Launch(own, rows, variants)
        found.append(launch.run(np.array([PATHS]), np.zeros((1, own.outputs))))
    unit = [np.ravel(one)[0] for one in units(batch.model, batch.payoff, bumps, grid.first, names)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return [(one.values[0, 1:] / unit[1:], one.errors[0, 1:] / unit[1:]) for one in found]


def off(batch, names):
    """The Greeks whose derivative of paths is not what bumps tell, beyond their errors and a share
    for the bend within a bump.
    """
    (exact, error), (bumped, other) = both(batch, names)
    allowed = np.hypot(error, other) + 0.02 * np.abs(bumped) + 1e-9
    return {
        name: (exact[k], bumped[k], allowed[k])
        for k, name in enumerate(names)
        if np.isfinite(bumped[k]) and not abs(exact[k] - bumped[k]) <= allowed[k]
    }


def check(model, payoff):
    batch = moved_away(sample_batch(model, payoff))
    names = derived(model, payoff, batch.fixed, first_derivatives(batch))
    assert not off(batch, names), (model, payoff)
    return names


@pytest.mark.parametrize(("model", "payoff"), FORMS, ids=names(FORMS))
def test_a_derivative_of_paths_is_what_bumps_tell(model, payoff):
    check(model, payoff)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "payoff"), REST, ids=names(REST))
def test_of_every_other_pair_too(model, payoff):
    check(model, payoff)


def test_most_pairs_have_them():
    with_delta = [
        (m, p)
        for m, p in every()
        if derived(m, p, sample_batch(m, p).fixed, ("delta1" if m.assets != 1 else "delta",))
    ]
    assert len(with_delta) > 0.7 * len(every())


@pytest.mark.parametrize(
    "payoff",
    [payoffs.Digital, payoffs.BarrierDigital, payoffs.Gap, payoffs.Autocallable],
    ids=lambda one: one.__name__,
)
def test_a_payment_that_jumps_has_none(payoff):
    """The mutant: a payoff that jumps and says that it does not is found out."""
    batch = sample_batch(models.BlackScholes, payoff)
    assert derived(models.BlackScholes, payoff, batch.fixed, ("delta", "vega")) == ()
    assert "delta" in off(batch, ("delta",))


@pytest.mark.parametrize("name", ["Barrier", "DoubleBarrier", "OneTouch", "NoTouch"])
def test_a_barrier_has_them_while_it_is_watched_between_dates(name):
    batch = sample_batch(models.BlackScholes, getattr(payoffs, name))
    fixed = {**dict(batch.fixed), "monitoring": 1.0}
    parts = models.BlackScholes, type(batch.payoff)
    assert derived(*parts, batch.fixed, ("delta",)) == ("delta",)
    assert derived(*parts, tuple(fixed.items()), ("delta",)) == ()


@pytest.mark.parametrize("model", [models.Merton, models.Kou, models.Bates])
def test_a_number_of_jumps_has_no_derivative(model):
    """Time and intensity are left to bumps; the derivative of the paths does not see them."""
    batch = sample_batch(model, payoffs.European)
    asked = ("delta", "theta", "d_intensity", "rho")
    assert derived(model, payoffs.European, batch.fixed, asked) == ("delta", "rho")
    if model is not models.Kou:  # whose jumps up and down nearly cancel here
        assert "d_intensity" in off(batch, ("d_intensity",))


def test_a_subclass_speaks_for_itself():
    """What a caller writes is taken by bumps unless it says that it may be differentiated."""

    @dataclass(frozen=True)
    class Cash(payoffs.European):
        """1 where the call ends in the money."""

        @staticmethod
        def finish(p, i, acc, log_spots):
            return 1.0 if log_spots[0] > 4.6 else 0.0

    @dataclass(frozen=True)
    class Renamed(payoffs.European):
        """A call by another name."""

    assert said(payoffs.European) == "always" and said(Renamed) == "always"
    assert said(Cash) == "never"


HESTON = models.Heston(
    spot=100.0, rate=0.02, dividend_yield=0.01, v0=0.05, kappa=2.0, long_variance=0.06,
    vol_of_vol=0.4, correlation=-0.6,
)  # fmt: skip
FLAT = models.BlackScholes(spot=100.0, rate=0.02, volatility=0.2)
CALL = payoffs.European(option_type="call", strike=105.0, maturity=1.0)
TEN = (
    "delta", "vega", "rho", "dividend_rho", "theta", "d_v0", "d_kappa", "d_long_variance",
    "d_vol_of_vol", "d_correlation", "d_strike",
)  # fmt: skip


def test_all_parameters_of_heston_beside_fourier():
    exact = gq.price(CALL, HESTON, greeks=TEN).frame.iloc[0]
    found = gq.price(
        CALL, HESTON, greeks=TEN, engine="monte_carlo", paths=400_000, progress=False
    ).frame.iloc[0]
    for name in TEN:
        z = (found[name] - exact[name]) / found[f"{name}_std_error"]
        assert abs(z) < 3.5, (name, z, found, exact)


def test_a_restless_variance_is_left_to_bumps():
    """Where the variance clings to zero a derivative along it has a larger deviation than a bump;
    such a row changes no bit of another.
    """
    wild = replace(HESTON, kappa=np.array([0.5]), vol_of_vol=np.array([1.0]))
    assert wild.restless(wild)[0] and not HESTON.restless(HESTON)[0]
    batch = replace(sample_batch(models.Heston, payoffs.European), model=wild)
    (_, exact), (_, bumped) = both(batch, ("vega", "d_v0"))
    assert (exact > 1.5 * bumped).all()
    parts = models.Heston, payoffs.European, batch.fixed, TEN
    left = derived(*parts, restless=True)
    assert left == ("delta", "rho", "dividend_rho", "d_strike")
    assert derived(*parts) == TEN
    book = models.Heston.from_columns(
        {
            name: np.concatenate([np.ravel(value), np.ravel(getattr(wild, name))])
            for name, value in HESTON.columns().items()
        }
    )
    together, *alone = (
        gq.price(CALL, model, engine="monte_carlo", greeks=True, paths=3000, progress=False).frame
        for model in (book, HESTON)
    )
    for name in ("price", "vega", "vega_std_error", "gamma", "theta"):
        assert together[name][0] == alone[0][name][0], name


@pytest.mark.parametrize("model", [HESTON, FLAT])
def test_a_price_has_the_same_bits_with_greeks_and_without(model):
    asian = payoffs.Asian(option_type="call", strike=100.0, maturity=1.0, fixings=12)
    alone, *others = (
        gq.price(asian, model, greeks=greeks, paths=5000, progress=False).price
        for greeks in (False, "rho", ("delta", "theta"), True)
    )
    assert others == [alone] * 3


def test_a_lookback_at_its_extreme():
    """A bump spans the kink there and is 8 % off; the derivative of the paths is right."""
    row = payoffs.PartialFloatingLookback(
        option_type="call", maturity=1.0, window_time=0.5, share=1.0, running_extreme=100.0
    )
    model = models.BlackScholes(spot=100.0, rate=0.05, dividend_yield=0.05, volatility=0.2)
    exact = gq.price(row, model, greeks="delta").frame["delta"][0]
    found = gq.price(
        row, model, greeks="delta", engine="monte_carlo", paths=200_000, progress=False
    ).frame
    assert abs(found["delta"][0] - exact) < 3.0 * found["delta_std_error"][0] < 0.02 * exact
