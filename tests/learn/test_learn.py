"""Learning: planted skill is found and none is found where none is; nothing of the test is known
in training.
"""

import numpy as np
import pytest
import torch

import gpuquant as gq
from gpuquant import costs, learn, sizing, splits
from gpuquant.data.panel import Panel
from gpuquant.errors import DataError, InputError, NameUnknown, NotTrained
from gpuquant.forecast import Forecast, information_coefficient
from gpuquant.learn import checkpoint, losses, train
from gpuquant.learn.learner import Fitted
from gpuquant.learn.windows import Standardizer, Windows

QUICK = train.TrainingConfig(steps=60, batch_windows=4, sequence_length=32, learning_rate=1e-2)


def planted(rho, seed=0, bars=1600, assets=12):
    """Prices whose return from t+1 to t+2 has correlation rho with a feature known at t; and the
    feature.
    """
    draw = np.random.default_rng(seed)
    signal = draw.normal(size=(bars, assets))
    noise = draw.normal(size=(bars, assets))
    returns = np.zeros((bars, assets))
    returns[2:] = 0.01 * (rho * signal[:-2] + np.sqrt(1 - rho**2) * noise[2:])
    close = np.round(100 * np.exp(np.cumsum(returns, axis=0)), 4)
    dates = (np.datetime64("2010-01-04", "D") + np.arange(bars)).astype("datetime64[ns]")
    features = np.stack([signal, draw.normal(size=(bars, assets))], axis=2)
    return Panel(close, dates, tuple(f"S{j}" for j in range(assets))), features


def ic_of(learner, rho, seed=0):
    panel, features = planted(rho, seed)
    fitted = learner.fit(features, panel.close, np.arange(1000))
    rows = np.arange(1010, 1590)
    forecast = learner.predict(fitted, features, rows)
    return np.nanmean(
        information_coefficient(forecast, learner.label(panel.close)[rows])
    ), 1 / np.sqrt(len(rows) * 11)


@pytest.mark.parametrize("loss", ["sharpe", "ic"])
def test_planted_skill_is_found_and_no_other(loss):
    learner = learn.Learner(learn.networks.MLP(hidden=16), loss=loss, ensemble=4, training=QUICK)
    found, error = ic_of(learner, 0.3)
    assert found > 0.8 * 0.3 - 3 * error, found
    nothing, error = ic_of(learner, 0.0)
    assert abs(nothing) < 3.5 * error, nothing


@pytest.mark.parametrize("name", ["linear", "forest"])
def test_any_estimator_takes_the_networks_place(name):
    linear_model = pytest.importorskip("sklearn.linear_model")
    from sklearn.ensemble import RandomForestRegressor

    estimator = (
        linear_model.LinearRegression()
        if name == "linear"
        else RandomForestRegressor(n_estimators=10, max_depth=3)
    )
    learner = learn.Learner(estimator, ensemble=2)
    found, error = ic_of(learner, 0.3)
    assert found > 0.7 * 0.3 - 3 * error
    assert learner.fit(*(lambda p, f: (f, p.close))(*planted(0.1)), np.arange(500)).weights is None
    assert learner._copies() == (1 if name == "linear" else 2)


def test_a_module_of_the_users_is_a_network():
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.out = torch.nn.Linear(2 * 3, 1)

        def forward(self, x):
            return self.out(x.flatten(1)).squeeze(-1)

    found, error = ic_of(
        learn.Learner(
            Own(),
            ensemble=3,
            window=3,
            training=train.TrainingConfig(steps=250, sequence_length=32, learning_rate=2e-2),
        ),
        0.3,
    )
    assert found > 0.8 * 0.3 - 3 * error


def test_the_label_is_what_a_next_bar_fill_earns():
    close = np.array([[1.0], [2.0], [3.0], [6.0], [3.0]])
    label = learn.Learner(learn.networks.MLP(), horizon=1).label(close)
    np.testing.assert_allclose(
        label[:3, 0], [0.5, 1.0, -0.5]
    )  # decided at 0, filled at 2.0, worth 3.0 at the next close
    assert np.isnan(label[3:]).all()
    two = learn.Learner(learn.networks.MLP(), horizon=2)
    np.testing.assert_allclose(two.label(close)[:2, 0], [(6 / 2 - 1) / 2, 0.0])
    assert two.label_horizon == 3


def test_the_label_is_earned_by_the_back_test():
    """A position decided at t by a weight earns label[t], whatever the feature."""
    panel, _ = planted(0.0, bars=60, assets=2)
    weights = np.full(panel.close.shape, np.nan)
    weights[10] = [1.0, 0.0]
    weights[11] = [0.0, 0.0]
    found = gq.backtest(panel, weights=weights)
    label = learn.Learner(learn.networks.MLP()).label(panel.close)
    assert found.measures["total_return"][0] == pytest.approx(label[10, 0], rel=1e-9)


def test_windows_gather_what_slicing_gives():
    values = np.random.default_rng(0).normal(size=(50, 3, 2))
    scale = Standardizer.of(values, np.arange(40))
    windows = Windows.of(values, scale, 5, "cpu")
    got = windows.gather(torch.tensor([2, 0]), torch.tensor([10, 49]))
    expected = (values - scale.mean) / scale.deviation
    np.testing.assert_allclose(got[0], expected[6:11, 2], rtol=1e-5)
    np.testing.assert_allclose(got[1], expected[45:50, 0], rtol=1e-5)


def test_the_scale_knows_the_training_rows_alone():
    values = np.random.default_rng(0).normal(size=(50, 3, 2))
    changed = values.copy()
    changed[40:] += 100
    one, other = (Standardizer.of(v, np.arange(40)) for v in (values, changed))
    np.testing.assert_array_equal(one.mean, other.mean)
    with pytest.raises(DataError, match="shorter than the features' lookback"):
        Standardizer.of(np.full((10, 2, 1), np.nan), np.arange(5))


def test_an_ensemble_is_its_seeds_one_by_one():
    """Stacked seeds trained as one program end where each ends alone."""
    panel, features = planted(0.3)
    windows = Windows.of(features, Standardizer.of(features, np.arange(1000)), 1, "cpu")
    how = {"loss": losses.sharpe, "cost": 0.0, "training": train.TrainingConfig(steps=5), "seed": 2}
    label = learn.Learner(learn.networks.MLP()).label(panel.close)
    together = train.fit(
        learn.networks.MLP(hidden=8), windows, label, np.arange(1000), ensemble=3, **how
    )
    alone = train.fit(
        learn.networks.MLP(hidden=8), windows, label, np.arange(1000), ensemble=1, **how
    )
    for name in together:
        torch.testing.assert_close(together[name][:1], alone[name], rtol=1e-4, atol=1e-6)


def test_losses_by_hand():
    outputs, returns = (
        torch.randn(2, 3, 20, 4, dtype=torch.float64),
        torch.randn(3, 20, 4, dtype=torch.float64),
    )
    weights = torch.tanh(outputs[1]) / 4
    pnl = (weights * returns).sum(-1)
    pnl[:, 1:] -= 0.01 * (weights[:, 1:] - weights[:, :-1]).abs().sum(-1)
    torch.testing.assert_close(
        losses.sharpe(outputs, returns, 0.01)[1], -pnl.mean() / (pnl.std() + 1e-8)
    )
    correlation = np.mean(
        [np.corrcoef(outputs[0, i, t], returns[i, t])[0, 1] for i in range(3) for t in range(20)]
    )
    assert float(losses.ic(outputs, returns, 0.0)[0]) == pytest.approx(-correlation, rel=1e-6)


def test_checkpoints_know_when_they_are_damaged(tmp_path):
    fitted = Fitted(
        Standardizer(np.zeros(2), np.ones(2)), weights={"a": torch.arange(6.0).view(2, 3)}
    )
    checkpoint.save([fitted.tensors()], tmp_path / "w.safetensors")
    again = checkpoint.load(tmp_path / "w.safetensors")[0]
    torch.testing.assert_close(again["a"], fitted.weights["a"])
    data = bytearray((tmp_path / "w.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "w.safetensors").write_bytes(data)
    with pytest.raises(DataError, match="damaged"):
        checkpoint.load(tmp_path / "w.safetensors")


def strategy(**changes):
    learner = learn.Learner(
        learn.networks.MLP(hidden=8), ensemble=2, training=train.TrainingConfig(steps=10)
    )
    return gq.Strategy(
        **{
            "features": [gq.features.Momentum(window=10)],
            "learner": learner,
            "sizing": sizing.VolatilityTarget(0.1),
            **changes,
        }
    )


SPLITS = splits.WalkForward(train="2Y", test="6M")


def test_forecasts_are_out_of_sample(tmp_path):
    """Prices after a date are changed: no forecast up to it moves, so no model saw past its
    fold.
    """
    panel, _ = planted(0.0, bars=1500, assets=4)
    fund = strategy().train(
        panel, splits=SPLITS, costs=costs.Proportional(rate=0.001), ledger=tmp_path / "t.parquet"
    )
    cut = 1100
    changed = panel.close.copy()
    changed[cut + 1 :] *= 1.3
    other = strategy().train(
        Panel(changed, panel.dates, panel.assets),
        splits=SPLITS,
        costs=costs.Proportional(rate=0.001),
    )
    one, two = fund.trained.forecast.values[: cut + 1], other.trained.forecast.values[: cut + 1]
    np.testing.assert_array_equal(one, two)
    assert np.isfinite(one).any()
    _, weights = fund.backtest(panel)
    assert np.abs(weights).sum(axis=1).max() <= 1.0 + 1e-9


def test_weights_are_causal_too():
    panel, _ = planted(0.0, bars=300, assets=4)
    forecast = np.random.default_rng(0).uniform(-1, 1, panel.close.shape)
    size = sizing.VolatilityTarget(0.1, max_gross=2.0)
    whole = size.size(forecast, panel.close)
    changed, later = panel.close.copy(), forecast.copy()
    changed[201:] *= 2
    later[201:] = 0
    np.testing.assert_array_equal(size.size(later, changed)[:201], whole[:201])


def test_volatility_target_is_hit():
    panel, _ = planted(0.0, bars=1500, assets=10)
    weights = sizing.VolatilityTarget(0.10, max_gross=50.0, smooth=1.0).size(
        np.ones(panel.close.shape), panel.close
    )
    returns = panel.close[1:] / panel.close[:-1] - 1
    realised = (weights[100:-1] * returns[100:]).sum(axis=1).std() * np.sqrt(252)
    assert realised == pytest.approx(0.10, rel=0.1)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: learn.Learner(3), InputError, "must be an nn.Module or have fit and predict"),
        (
            lambda: learn.Learner(learn.networks.MLP(), loss="shrpe"),
            NameUnknown,
            "did you mean 'sharpe'",
        ),
        (lambda: learn.Learner(learn.networks.MLP(), horizon=0), InputError, "horizon = 0"),
        (lambda: strategy().backtest(planted(0.0)[0]), NotTrained, "not trained"),
        (
            lambda: strategy(features=[]).train(planted(0.0)[0], splits=SPLITS),
            InputError,
            "features is empty",
        ),
        (
            lambda: strategy(features=["x"]).train(planted(0.0)[0], splits=SPLITS),
            InputError,
            "feature str",
        ),
        (
            lambda: strategy(features=[gq.features.Momentum(window=300)]).train(
                planted(0.0, bars=400)[0], splits=splits.WalkForward(train="1Y", test="6M")
            ),
            DataError,
            "half of its training bars",
        ),
        (lambda: sizing.VolatilityTarget(-0.1), InputError, "target = -0.1"),
        (lambda: sizing.VolatilityTarget(0.1, smooth=1.5), InputError, "smooth = 1.5"),
        (
            lambda: Forecast(np.zeros((1, 1)), np.zeros(1), ("A",)).on(np.zeros(1), ("B",)),
            DataError,
            "the forecast is of A",
        ),
    ],
)
def test_bad_input_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()
