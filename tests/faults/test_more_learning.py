"""Further faults of the kinds that `test_learning.py` shows, each with what is right."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import gpuquant as gq
from gpuquant import features, learn, measures, sizing, splits
from gpuquant.device import resolve_device
from gpuquant.errors import DataError, InputError
from gpuquant.features.table import FeatureTable
from gpuquant.validation.overfitting import TrialLog

CPU = resolve_device("cpu")
DRAW = np.random.default_rng(31)
DAYS = pd.bdate_range("2016-01-01", periods=800)
PRICES = pd.DataFrame(
    np.round(50 * np.exp(np.cumsum(DRAW.normal(0.0003, 0.01, (800, 5)), axis=0)), 2),
    DAYS,
    list("ABCDE"),
)
QUICK = learn.TrainingConfig(steps=10, batch_windows=256)
WALK = splits.WalkForward(train="1Y", test="1Y")


def strategy(estimator=None, **more):
    estimator = learn.networks.MLP(hidden=4) if estimator is None else estimator
    return gq.Strategy(
        features=[features.Momentum(window=5)],
        learner=learn.Learner(estimator, ensemble=1, training=QUICK, **more),
        sizing=sizing.Equal(),
    )


def samples(bars=300, assets=4, columns=2):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(bars, assets, columns))
    return learn.Samples(x, 0.01 * (x[..., 0] + draw.normal(size=(bars, assets))))


def gone(at=500):
    """E is delisted at a bar, for half its price."""
    close, delistings = PRICES.copy(), PRICES * np.nan
    close.iloc[at:, 4], delistings.iloc[at, 4] = np.nan, -0.5
    return gq.Panel.from_frames(close=close, delistings=delistings, allow_halts=True)


def test_an_asset_that_goes_has_no_forecast_after_and_trains_before():
    trained = strategy().train(gone(), splits=WALK).trained
    forecast = trained.forecast.values
    assert np.isfinite(forecast[300:499, 4]).all() and np.isnan(forecast[500:, 4]).all()
    assert np.isfinite(forecast[300:, :4]).all()


def test_an_asset_that_goes_costs_its_holder_the_loss():
    label = learn.Learner(learn.networks.MLP()).label(gone())
    before = PRICES["E"].to_numpy()
    assert label[498, 4] == pytest.approx(-0.5, abs=1e-12)  # filled at the last close
    assert label[400, 4] == pytest.approx(before[402] / before[401] - 1)
    assert np.isnan(label[499:, 4]).all()


def test_rules_as_features_see_no_split():
    since = np.arange(800)[:, None] >= 400
    splitting = pd.DataFrame(np.where(np.arange(800)[:, None] == 400, 2.0, 1.0), DAYS, ["A"])
    one = gq.Panel.from_frames(
        close=(PRICES[["A"]] * 2).where(~since, PRICES[["A"]]), splits=splitting
    )
    other = gq.Panel.of(PRICES[["A"]] * 2)
    rules = features.RuleReturns(window=20)
    np.testing.assert_allclose(
        rules.compute(one, CPU), rules.compute(other, CPU), rtol=1e-7, atol=1e-12
    )


@pytest.mark.parametrize(
    ("frequency", "bars"), [("W-FRI", 52), ("h", 24 * 365), ("ME", 12), ("B", 252)]
)
def test_volatility_is_per_year_of_the_bars(frequency, bars):
    frame = PRICES.set_axis(pd.date_range("2000-01-01", periods=800, freq=frequency))
    volatility = features.RealizedVolatility(window=400).compute(gq.Panel.of(frame), CPU)
    assert volatility[-1].mean() == pytest.approx(0.01 * np.sqrt(bars), rel=0.1)


def test_a_release_on_the_day_of_the_bar_is_not_known_at_it():
    table = pd.DataFrame({"asset": ["A"], "known_at": [DAYS[50]], "earnings": [2.0]})
    values = features.Released(table, ["earnings"]).compute(gq.Panel.of(PRICES), CPU)
    assert np.isnan(values[50, 0, 0]) and values[51, 0, 0] == 2.0


def test_a_constant_feature_harms_nothing():
    data = samples()
    constant = learn.Samples(
        np.concatenate([data.features, np.full((300, 4, 1), 7.0)], 2), data.labels
    )
    learner = learn.Learner(learn.networks.MLP(hidden=4), ensemble=1, training=QUICK)
    fitted = learner.fit(constant, np.arange(200))
    assert fitted.scale.deviation[2] == 1.0
    assert np.isfinite(learner.predict(fitted, constant, np.arange(200, 300))).all()


def test_an_infinite_feature_is_unknown():
    data = samples()
    values = data.features.copy()
    values[220, 1, 0] = np.inf
    learner = learn.Learner(learn.networks.MLP(hidden=4), ensemble=1, training=QUICK)
    wild = learn.Samples(values, data.labels)
    forecast = learner.predict(learner.fit(wild, np.arange(250)), wild, np.arange(200, 300))
    assert np.isnan(forecast[20, 1]) and np.isfinite(np.delete(forecast.ravel(), 20 * 4 + 1)).all()


def test_a_level_of_billions_keeps_its_moves():
    level = features.Frame(PRICES + 1e9, name="level")
    table = FeatureTable.of([level], gq.Panel.of(PRICES), CPU)
    moved = np.diff(table.values[..., 0].astype(float), axis=0)
    np.testing.assert_allclose(moved, np.diff(PRICES.to_numpy(), axis=0), atol=1e-4)


def test_a_feature_longer_than_the_prices_is_named():
    long = replace(strategy(), features=[features.Momentum(window=5), features.Beta(window=900)])
    with pytest.raises(DataError, match=r"Beta: the column 'beta_900' has no value"):
        long.train(PRICES, splits=WALK)


def test_a_horizon_longer_than_the_prices_is_refused():
    with pytest.raises(DataError):
        strategy(horizon=2000).train(PRICES, splits=WALK)


def test_dropout_forecasts_are_the_same_twice():
    class Dropped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.out, self.drop = torch.nn.Linear(2, 1), torch.nn.Dropout(0.5)

        def forward(self, x):
            return self.out(self.drop(x[:, -1]))[:, 0]

    data = samples()
    learner = learn.Learner(Dropped, ensemble=2, training=QUICK)
    fitted = learner.fit(data, np.arange(200))
    one, other = (learner.predict(fitted, data, np.arange(200, 300)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_a_pipeline_of_scikit_learn_is_an_estimator():
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = samples()
    learner = learn.Learner(make_pipeline(StandardScaler(), LinearRegression()), window=3)
    fitted = learner.fit(data, np.arange(250))
    forecast = learner.predict(fitted, data, np.arange(250, 300))
    assert np.corrcoef(forecast.ravel(), data.features[250:, :, 0].ravel())[0, 1] > 0.9


def test_folds_with_later_data_say_so():
    walk = strategy().train(PRICES, splits=WALK).trained
    later = strategy().train(PRICES, splits=splits.Purged(4)).trained
    assert walk.sample.startswith("walk-forward") and "later data" in later.sample


def test_who_holds_the_market_has_no_excess():
    """Forecasts that are the same for all assets: every weight is the same."""

    class Constant:
        label_horizon, window = 2, 1

        def label(self, prices):
            return learn.labels.ForwardReturn(1).of(prices)

        def fit(self, samples, rows, **given):
            return 1.0

        def predict(self, state, samples, rows, **given):
            return np.full((len(rows), samples.features.shape[1]), 20.0)

    fund = gq.Portfolio({"alpha": replace(strategy(), learner=Constant()), "cash": 1e6})
    result = fund.train(PRICES, splits=WALK).backtest(PRICES)
    excess = result.excess()
    assert abs(measures.sharpe(excess)) < 4 * measures.sharpe_error(excess)
    assert abs(excess.mean()) * 252 < 0.02 < abs(result.returns.mean()) * 252 + 0.02
    assert "excess over equal weight" in result.summary()


def test_what_differs_is_another_trial(tmp_path):
    log = TrialLog(tmp_path / "trials")
    for one in (
        strategy(),
        strategy(),
        strategy(target=learn.labels.Ranked(learn.labels.ForwardReturn(1))),
        strategy(weights=[learn.weights.TimeDecay(100)]),
        replace(strategy(), features=[features.Momentum(window=(5, 6))]),
        replace(strategy(), features=[features.Rank(features.Momentum(window=5))]),
    ):
        one.train(PRICES, splits=WALK, ledger=log)
    assert log.trials()[0] == 5


def test_bars_without_volume_cost_on_balance_volume_nothing():
    quiet = pd.DataFrame(1000.0, DAYS, PRICES.columns)
    quiet.iloc[300, 2] = 0.0
    panel = gq.Panel.from_frames(close=PRICES, volume=quiet)
    values = features.OnBalanceVolume(window=10).compute(panel, CPU)
    assert np.isfinite(values[10:]).all()


def test_prices_that_stand_still_have_finite_features():
    """A range without width, an average without a move, a correlation with nothing."""
    still = pd.DataFrame({"A": 10.0, "B": PRICES["B"]}, DAYS)
    panel = gq.Panel.from_frames(close=still, open=still, high=still, low=still, volume=still)
    shelf = [
        features.RelativeStrength(),
        features.BollingerBands(),
        features.StochasticOscillator(),
        features.Skewness(),
        features.Kurtosis(),
        features.MarketCorrelation(),
        features.YangZhang(),
        features.ZScore(features.Momentum()),
        features.Alpha158(windows=(20,)),
    ]
    for feature in shelf:
        values = feature.compute(panel, CPU)
        assert np.isfinite(values[feature.lookback :]).all(), feature


def test_groups_and_exposures_are_checked():
    groups = {"A": "x", "B": "x", "C": "y", "D": "y"}
    with pytest.raises(InputError, match="no group of the asset 'E'"):
        features.Neutralized(features.Momentum(), by=groups).compute(gq.Panel.of(PRICES), CPU)
    with pytest.raises(InputError, match="must have one"):
        features.Neutralized(features.Momentum(), by=features.Momentum(window=(1, 2)))
    with pytest.raises(InputError, match="must be a feature"):
        features.Rank(PRICES)


def test_the_length_of_a_split_is_no_mix():
    with pytest.raises(InputError, match="both must be bars"):
        splits.WalkForward(train=100, test="1Y")
    with pytest.raises(DataError, match="to train on"):
        strategy().train(PRICES, splits=splits.Dated(["2000-01-01"]))


def test_hourly_bars_around_the_clock_train_by_hours():
    hours = PRICES.set_axis(pd.date_range("2024-01-01", periods=800, freq="h"))
    trained = (
        strategy(horizon=3).train(hours, splits=splits.WalkForward(train="240h", test="5D")).trained
    )
    assert len(trained.states) == 5 and np.isfinite(trained.ic[1])


def test_signals_of_a_new_day_are_those_of_all_days():
    fund = gq.Portfolio({"alpha": strategy(), "cash": 1e6})
    fund = fund.train(PRICES.iloc[:799], splits=WALK)
    one = fund.signals(PRICES).frame
    whole = fund.positions["alpha"].samples(gq.Panel.of(PRICES), CPU)
    learner, state = strategy().learner, fund.positions["alpha"].trained.states[-1]
    expected = learner.predict(state, whole, np.array([799]))[0]
    np.testing.assert_allclose(one["forecast"], expected, rtol=1e-4, atol=1e-6)
