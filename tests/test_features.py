"""Features: causal, named, of the promised shape; simulated ones priced right."""

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant import family, features
from gpuquant.data.panel import Panel
from gpuquant.device import resolve_device
from gpuquant.errors import InputError
from gpuquant.features.base import Feature

MADE = (
    features.Momentum(window=21),
    features.RealizedVolatility(window=21),
    features.RuleReturns(window=30),
    features.SimulatedOptions(model=gq.models.Heston, window=120, maturity=10, every=3, paths=256),
    features.SimulatedOptions(model=gq.models.BlackScholes, window=60, maturity=5, paths=256),
)


def ids(feature):
    return repr(feature).split("(")[0] + getattr(getattr(feature, "model", None), "__name__", "")


@pytest.mark.parametrize("feature", MADE, ids=ids)
def test_the_past_does_not_move_when_the_future_does(feature, walk_panel, device):
    """Prices after a cut are changed; every value up to it keeps its bits."""
    device = resolve_device(device)
    whole = feature.compute(walk_panel, device)
    assert whole.shape == (walk_panel.bars, len(walk_panel.assets), len(feature.columns))
    assert np.isfinite(whole[feature.lookback :]).all()
    for cut in (450, 777):
        changed = walk_panel.close.copy()
        changed[cut + 1 :] = np.round(changed[cut + 1 :] * 1.5 + 1, 2)
        again = feature.compute(Panel(changed, walk_panel.dates, walk_panel.assets), device)
        np.testing.assert_array_equal(again[: cut + 1], whole[: cut + 1])
        assert not np.array_equal(again[cut + 1 :], whole[cut + 1 :])


@pytest.mark.parametrize("feature", MADE, ids=ids)
def test_the_latest_bars_are_those_of_all(feature, walk_panel, device):
    device = resolve_device(device)
    whole = feature.compute(walk_panel, device)
    for count in (1, 5, 300, 900):
        np.testing.assert_array_equal(feature.latest(walk_panel, device, count), whole[-count:])


def test_every_feature_of_the_family_is_tried():
    ours = [
        name
        for name, cls in family.members(Feature, "gpuquant.features").items()
        if cls.__module__.startswith("gpuquant.")
    ]
    assert set(ours) == {type(f).__name__ for f in MADE}


def test_a_feature_that_looks_ahead_is_caught(walk_panel):
    """The mutant: full-sample scaling must fail the causality law."""

    class Scaled(features.Momentum):
        abstract = True

        def compute(self, panel, device):
            values = super().compute(panel, device)
            return values / np.nanstd(values)

    with pytest.raises(AssertionError):
        test_the_past_does_not_move_when_the_future_does(Scaled(21), walk_panel, "cpu")


def test_momentum_and_volatility_by_pandas(walk_panel):
    log = np.log(walk_panel.to_frame())
    np.testing.assert_allclose(
        MADE[0].compute(walk_panel, resolve_device("cpu"))[..., 0],
        log.diff(21),
        rtol=1e-9,
        atol=1e-14,
    )
    realised = ((log.diff() ** 2).rolling(21).mean() * 252) ** 0.5
    np.testing.assert_allclose(
        MADE[1].compute(walk_panel, resolve_device("cpu"))[..., 0], realised, rtol=1e-7
    )


def test_rule_returns_are_those_of_the_rules(walk_panel):
    """The mean over the nine rules of what each earned in the window."""
    values = MADE[2].compute(walk_panel, resolve_device("cpu"))
    rule = gq.rules.MovingAverageCross(fast=(5, 10, 20), slow=(50, 100, 200))
    returns = gq.backtest(walk_panel, rule).returns().iloc[:, :9]
    rolled = returns.rolling(30).sum()
    np.testing.assert_allclose(values[40:, 0, 0], rolled.mean(axis=1)[39:], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(
        values[40:, 0, 1], rolled.std(axis=1, ddof=0)[39:], rtol=1e-6, atol=1e-10
    )


def test_simulated_options_are_prices(walk_panel):
    """The Black-Scholes strip at one bar against a price of its own, on the same draws."""
    feature = MADE[4]
    values = feature.compute(walk_panel, resolve_device("cpu"))
    returns = np.diff(np.log(walk_panel.close[:, 2]))
    t = 500
    volatility = np.sqrt((returns[t - 60 : t] ** 2).mean() * 252)
    model = gq.models.BlackScholes(spot=1.0, rate=0.0, volatility=volatility)
    asian = gq.payoffs.Asian(option_type="call", strike=1.0, maturity=5 / 252, fixings=5)
    expected = gq.price(
        asian,
        model,
        engine="monte_carlo",
        paths=256,
        precision="single",
        common_random_numbers=True,
    ).price
    assert values[t, 2, 0] == pytest.approx(expected, rel=1e-5)
    assert (values[200:, :, 1] >= 0).all() and (values[200:, :, 1] <= 1).all()


def test_values_stand_between_refits(walk_panel):
    values = MADE[3].compute(walk_panel, resolve_device("cpu"))
    known = np.flatnonzero(np.isfinite(values[:, 0, 0]))
    moved = known[1:][np.diff(values[known, 0, 0]) != 0]
    assert (moved % 3 == 0).all() and len(moved) > 100


@pytest.mark.parametrize(
    "make",
    [
        lambda: features.Momentum(window=0),
        lambda: features.Momentum(window=2.5),
        lambda: features.RealizedVolatility(window=1),
        lambda: features.RuleReturns(window=True),
        lambda: features.SimulatedOptions(window=10),
        lambda: features.SimulatedOptions(level=1.2),
        lambda: features.SimulatedOptions(model=gq.models.Merton),
    ],
)
def test_bad_parameters_are_named(make):
    with pytest.raises(InputError, match=r"window|level|model"):
        make()


def test_a_frame_of_the_users_is_a_feature(walk_panel):
    from gpuquant import learn, sizing

    own = pd.DataFrame(1.0, index=walk_panel.to_frame().index[::2], columns=list(walk_panel.assets))
    strategy = gq.Strategy(
        features=[own], learner=learn.Learner(learn.networks.MLP()), sizing=sizing.Equal()
    )
    values = strategy.compute(walk_panel, resolve_device("cpu"))
    assert values.shape == (900, 6, 1) and np.isnan(values[1]).all() and (values[2] == 1).all()
