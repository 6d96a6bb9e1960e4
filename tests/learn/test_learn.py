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
from gpuquant.learn import checkpoint, losses
from gpuquant.learn.fitted import Fitted
from gpuquant.learn.windows import Samples, Standardizer, Windows

QUICK = learn.TrainingConfig(steps=60, sequence_length=32, learning_rate=1e-2)


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
    samples = Samples(features, learner.label(panel))
    fitted = learner.fit(samples, np.arange(1000))
    rows = np.arange(1010, 1590)
    forecast = learner.predict(fitted, samples, rows)
    return np.nanmean(information_coefficient(forecast, samples.labels[rows])), 1 / np.sqrt(
        len(rows) * 11
    )


@pytest.mark.parametrize("loss", ["sharpe", "ic", "mse", "rank"])
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
    panel, features = planted(0.1)
    fitted = learner.fit(Samples(features, learner.label(panel)), np.arange(500))
    assert fitted.weights is None
    assert len(fitted.models) == (1 if name == "linear" else 2)


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
            training=learn.TrainingConfig(steps=250, learning_rate=2e-2),
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


def test_a_history_shorter_than_a_window_has_none():
    """No row of another asset, or beyond the last, is asked for; nothing is known."""
    samples = learn.Samples(np.arange(24.0).reshape(4, 3, 2))
    resident = samples.on("cpu")
    windows = Windows(resident, Standardizer.of(resident, np.arange(4)), 6)
    ends = torch.arange(4)[:, None].expand(4, 3)
    assert windows.gather(torch.arange(3).expand(4, 3), ends).shape == (4, 3, 6, 2)
    assert not resident.whole(6).any()


def test_windows_gather_what_slicing_gives():
    values = np.random.default_rng(0).normal(size=(50, 3, 2))
    resident = Samples(values).on("cpu")
    scale = Standardizer.of(resident, np.arange(40))
    windows = Windows(resident, scale, 5)
    got = windows.gather(torch.tensor([2, 0]), torch.tensor([10, 49]))
    expected = (values - scale.mean) / scale.deviation
    np.testing.assert_allclose(got[0], expected[6:11, 2], rtol=1e-5)
    np.testing.assert_allclose(got[1], expected[45:50, 0], rtol=1e-5)


def test_the_scale_knows_the_training_rows_alone():
    values = np.random.default_rng(0).normal(size=(50, 3, 2))
    changed = values.copy()
    changed[40:] += 100
    one, other = (Standardizer.of(Samples(v).on("cpu"), np.arange(40)) for v in (values, changed))
    np.testing.assert_array_equal(one.mean, other.mean)
    np.testing.assert_allclose(one.mean, values[:40].mean(axis=(0, 1)), atol=1e-6)
    np.testing.assert_allclose(one.deviation, values[:40].std(axis=(0, 1)), rtol=1e-6)
    with pytest.raises(DataError, match="shorter than the features' lookback"):
        Standardizer.of(Samples(np.full((10, 2, 1), np.nan)).on("cpu"), np.arange(5))


def test_large_levels_keep_their_digits():
    """A feature of 1e9 and a little: 32 bits alone would lose the little."""
    values = 1e9 + np.random.default_rng(0).normal(size=(300, 3, 1))
    resident = Samples(values).on("cpu")
    scale = Standardizer.of(resident, np.arange(200))
    assert scale.deviation[0] == pytest.approx(values[:200].std(), rel=1e-5)
    got = Windows(resident, scale, 1).gather(torch.tensor([1]), torch.tensor([250]))
    expected = (values[250, 1] - values[:200].mean()) / values[:200].std()
    np.testing.assert_allclose(got[0, 0], expected, atol=1e-4)


def holes(*shape):
    """Outputs, labels and a mask with holes, in 64 bits."""
    draw = torch.Generator().manual_seed(0)
    outputs, labels = (torch.randn(shape, generator=draw, dtype=torch.float64) for _ in range(2))
    mask = torch.rand(shape, generator=draw) < 0.8
    return outputs, labels * mask, mask


def test_losses_by_hand():
    outputs, labels, mask = holes(3, 20, 5)
    o, y, m = (x.numpy() for x in (outputs, labels, mask))
    assert float(losses.MSE()(outputs, labels, mask)) == pytest.approx(((o - y)[m] ** 2).mean())
    weights = np.tanh(o) * m / m.sum(-1, keepdims=True)
    pnl = (weights * y).sum(-1)
    pnl[:, 1:] -= 0.01 * np.abs(np.diff(weights, axis=1)).sum(-1)
    found = losses.Sharpe().charged(0.01)(outputs, labels, mask)
    assert float(found) == pytest.approx(-pnl.mean() / pnl.std(), rel=1e-9)
    assert losses.Sharpe(cost=0.5).charged(0.01).cost == 0.5
    each = [
        np.corrcoef(o[i, t][m[i, t]], y[i, t][m[i, t]])[0, 1]
        for i in range(3)
        for t in range(20)
        if m[i, t].sum() >= 3
    ]
    assert float(losses.IC()(outputs, labels, mask)) == pytest.approx(-np.mean(each), rel=1e-9)
    listwise = []
    for i in range(3):
        for t in range(20):
            a, b = o[i, t][m[i, t]], y[i, t][m[i, t]]
            if len(a) >= 2:
                p, q = (np.exp(v) / np.exp(v).sum() for v in ((b - b.mean()) / b.std(), a))
                listwise.append(-(p * np.log(q)).sum())
    assert float(losses.Rank()(outputs, labels, mask)) == pytest.approx(np.mean(listwise))


def test_losses_of_several_outputs_by_hand():
    outputs, labels, mask = holes(2, 7, 3)
    y, m = labels.numpy(), mask.numpy()
    several = torch.stack([outputs, outputs + 1.0, outputs + 3.0], -1)
    e = y[..., None] - several.numpy()
    q = np.array([0.1, 0.5, 0.9])
    pinball = np.maximum(q * e, (q - 1) * e).mean(-1)[m].mean()
    assert float(losses.Quantile()(several, labels, mask)) == pytest.approx(pinball)
    torch.testing.assert_close(losses.Quantile().forecast(several), outputs + 1.0)
    signs = torch.sign(labels)
    p = torch.softmax(several, -1).numpy()
    code = (signs.numpy() + 1).astype(int)
    chosen = np.take_along_axis(p, code[..., None], -1)[..., 0]
    cross = losses.CrossEntropy()
    assert float(cross(several, signs, mask)) == pytest.approx(-np.log(chosen)[m].mean())
    np.testing.assert_allclose(cross.forecast(several), p @ [-1.0, 0.0, 1.0])
    for loss, count in ((losses.Quantile(), 3), (cross, 3)):
        with pytest.raises(InputError, match=f"needs {count} outputs for each asset"):
            loss(outputs, labels, mask)


@pytest.mark.parametrize("name", ["mse", "ic", "rank", "sharpe", "quantile", "cross_entropy"])
def test_nothing_depends_on_what_is_masked(name):
    """An asset that has no label costs the others nothing, and its output gets no gradient."""
    loss = losses.base.find(name)
    outputs, labels, mask = holes(2, 9, 6)
    count = 3 if name in ("quantile", "cross_entropy") else 1
    outputs = torch.stack([outputs] * count, -1) if count > 1 else outputs
    outputs.requires_grad_()
    hidden = mask[..., None].expand_as(outputs) if count > 1 else mask
    value = loss(outputs, labels, mask)
    (gradient,) = torch.autograd.grad(value, outputs)
    assert torch.isfinite(gradient).all()
    assert bool((gradient[~hidden] == 0).all())
    assert bool((gradient[hidden] != 0).any())
    other = torch.where(hidden, outputs, 1000.0)
    same = loss(other.detach(), labels, mask)
    assert float(same) == pytest.approx(float(value.detach()), rel=1e-12)
    nothing = loss(outputs, labels * 0, torch.zeros_like(mask))
    assert bool(torch.isfinite(torch.autograd.grad(nothing, outputs)[0]).all())


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
        learn.networks.MLP(hidden=8), ensemble=2, training=learn.TrainingConfig(steps=10)
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
        (lambda: learn.Learner(3), InputError, "must be an nn.Module, make one, or have fit"),
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
