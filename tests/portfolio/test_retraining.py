"""Retraining: new models for new dates, while old models and forecasts stay as they are."""

import numpy as np
import pytest

import gpuquant as gq
from gpuquant import features, learn, sizing, splits
from gpuquant.errors import DataError, InputError, NotTrained
from gpuquant.meter import Rates
from gpuquant.portfolio import training
from gpuquant.validation.overfitting import TrialLog

WALK = splits.WalkForward(train=200, test=50)
ASSETS = ("A", "B", "C", "D")


def panel(bars):
    draw = np.random.default_rng(0)
    moves = draw.normal(0, 0.01, (600, len(ASSETS)))
    for t in range(1, len(moves)):
        moves[t] += 0.5 * moves[t - 1]
    dates = np.busday_offset("2020-01-01", np.arange(600), roll="forward").astype("datetime64[ns]")
    return gq.Panel(np.exp(np.cumsum(moves, axis=0))[:bars], dates[:bars], ASSETS)


def strategy(engine="sequential", **how):
    training = learn.TrainingConfig(steps=20, engine=engine)
    learner = learn.Learner(learn.networks.MLP(hidden=8), ensemble=2, training=training, **how)
    return gq.Strategy([features.Reversal(1)], learner, sizing.Equal())


@pytest.mark.parametrize(
    ("warm_start", "engine"), [(False, "sequential"), (True, "sequential"), (False, "vmap")]
)
def test_retraining_is_training_with_all_prices(warm_start, engine):
    """In the middle of a fold, whose model is there, and at its end: to the bit where each member
    trains by itself, up to rounding where the members of other folds share its program.
    """
    how, far = {"warm_start": warm_start, "engine": engine}, 1e-4 * (engine == "vmap")
    whole = strategy(**how).train(panel(600), splits=WALK)
    for bars in (430, 450):
        grown = strategy(**how).train(panel(bars), splits=WALK)
        count = len(grown.trained.states)
        assert count < len(whole.trained.states)
        grown = grown.retrain(panel(600), splits=WALK)
        np.testing.assert_allclose(
            grown.trained.forecast.values, whole.trained.forecast.values, rtol=far, atol=far
        )
        assert grown.trained.ic == pytest.approx(whole.trained.ic, rel=far, abs=far)
        for one, other in zip(grown.trained.states, whole.trained.states, strict=True):
            for name, value in one.weights.items():
                assert float((value - other.weights[name]).abs().max()) <= far, name


def test_what_was_forecast_stays():
    made = strategy().train(panel(430), splits=WALK)
    moved = panel(600)
    close = moved.close.copy()
    close[:300] *= 1.01  # history was corrected
    moved = gq.Panel(close, moved.dates, moved.assets)
    grown = made.retrain(moved, splits=WALK)
    rows = made.trained.forecast.rows
    np.testing.assert_array_equal(
        grown.trained.forecast.values[rows], made.trained.forecast.values[rows]
    )
    assert grown.trained.forecast.rows[-1] > rows[-1]


def test_a_warm_start_begins_with_the_model_before():
    cold = strategy().train(panel(600), splits=WALK).trained.states
    warm = strategy(warm_start=True).train(panel(600), splits=WALK).trained.states

    def apart(one, other):
        return sum(float((other.weights[n] - v).square().sum()) for n, v in one.weights.items())

    assert apart(cold[0], warm[0]) == 0.0
    assert apart(warm[0], warm[1]) < apart(cold[0], cold[1]) / 2


def test_wrong_calls_are_named():
    made = strategy().train(panel(450), splits=WALK)
    with pytest.raises(DataError, match="there is nothing to train: the strategy has forecasts up"):
        made.retrain(panel(450), splits=WALK)
    later = panel(600)
    other = {
        "fewer prices": (later.rows(slice(200, 600)), WALK),
        "longer tests": (later, splits.WalkForward(train=200, test=80)),
        "shorter tests": (later, splits.WalkForward(train=200, test=20)),
        "expanding": (later, splits.WalkForward(train=200, test=50, expanding=True)),
        "no fold": (later, splits.WalkForward(train=560, test=20)),
    }
    for name, (prices, walk) in other.items():
        with pytest.raises(DataError, match=r"fold \d trained on .* give all prices of the"):
            made.retrain(prices, splits=walk)
            raise AssertionError(name)
    with pytest.raises(InputError, match="warm_start = True: a model would have seen its test"):
        strategy(warm_start=True).train(panel(600), splits=splits.Purged(4))
    ridge = learn.Ridge()
    with pytest.raises(InputError, match="warm_start = 'no': must be True or False"):
        learn.Learner(learn.networks.MLP(), warm_start="no")
    with pytest.raises(InputError, match="warm_start = True: Ridge begins anew"):
        learn.Learner(ridge, warm_start=True)


def test_another_learner_is_not_trained():
    made = strategy().train(panel(450), splits=WALK)
    assert made.set_params(sizing=sizing.Equal(2.0)).trained is made.trained
    for change in ({"learner__horizon": 2}, {"features": [features.Momentum(5)]}):
        assert made.set_params(**change).trained is None


def test_a_start_must_fit():
    samples = learn.Samples(np.random.default_rng(0).normal(size=(100, 3, 1)), np.ones((100, 3)))
    few = learn.TrainingConfig(steps=2)
    small, wide = (
        learn.Learner(learn.networks.MLP(hidden=h), ensemble=2, training=few) for h in (4, 8)
    )
    state = small.fit(samples, np.arange(80))
    with pytest.raises(DataError, match=r"start: first.\w+ has shape"):
        wide.fit(samples, np.arange(80), start=state)
    with pytest.raises(DataError, match=r"start: first.\w+ has shape"):
        small.set_params(ensemble=3).fit(samples, np.arange(80), start=state)


def test_a_saved_fund_is_retrained(tmp_path):
    fund = gq.Portfolio({"signal": strategy(warm_start=True), "cash": 1e6})
    fund = fund.train(panel(450), splits=WALK, ledger=tmp_path / "log")
    fund.save(tmp_path / "fund")
    again = gq.Portfolio.load(tmp_path / "fund", ledger=tmp_path / "log")
    grown, same = (f.retrain(panel(600), splits=WALK) for f in (fund, again))
    for one in (grown, same):
        made = one.positions["signal"].trained
        assert len(made.states) == 8
    np.testing.assert_array_equal(
        grown.positions["signal"].trained.forecast.values,
        same.positions["signal"].trained.forecast.values,
    )


def test_a_training_says_what_it_took_and_goes_on_from_its_checkpoint(tmp_path):
    made = strategy().train(panel(450), splits=WALK, checkpoint=tmp_path / "kept")
    count = len(made.trained.states)
    assert made.trained.models == 2 * count
    cost = made.trained.cost(Rates(per_hour=36.0, grams_per_kwh=100.0))
    assert list(cost) == ["total", "per_model", "per_ic_point"]
    assert cost.loc["money", "total"] == pytest.approx(0.01 * made.trained.usage.seconds)
    seconds = cost.loc["seconds"]
    assert seconds["total"] == made.trained.seconds["training"] > 0.0
    assert seconds["per_model"] * 2 * count == pytest.approx(seconds["total"])
    assert seconds["per_ic_point"] * made.trained.ic[0] / 0.01 == pytest.approx(seconds["total"])
    if made.trained.usage.joules is None:
        assert cost.attrs["joules_source"] == "unreadable" and cost.loc["joules"].isna().all()
    again = strategy().train(panel(450), splits=WALK, checkpoint=tmp_path / "kept")
    np.testing.assert_array_equal(again.trained.forecast.values, made.trained.forecast.values)
    assert again.trained.seconds["training"] < made.trained.seconds["training"]
    gq.Portfolio({"s": made}).save(tmp_path / "fund")
    loaded = gq.Portfolio.load(tmp_path / "fund").positions["s"]
    with pytest.raises(NotTrained, match="loaded: what their training took is not known"):
        loaded.trained.cost()


def test_processes_share_a_training_of_a_strategy():
    alone, two = (strategy().train(panel(450), splits=WALK, launch=n) for n in (None, 2))
    both = (one.trained.forecast.values for one in (two, alone))
    np.testing.assert_allclose(*both, atol=1e-4)  # with fewer threads, sums are taken otherwise


@pytest.mark.parametrize("first", [True, False])
def test_one_of_several_processes_records_a_trial(first, monkeypatch, tmp_path):
    monkeypatch.setattr(training, "_first", lambda: first)
    strategy().train(panel(450), splits=WALK, ledger=tmp_path / "trials")
    assert TrialLog(tmp_path / "trials").trials()[0] == first
