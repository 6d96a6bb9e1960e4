"""Several labels at once: each has its own outputs, the first is traded."""

import numpy as np
import pytest

import gpuquant as gq
from gpuquant import features, learn, sizing, splits
from gpuquant.errors import InputError
from gpuquant.forecast import information_coefficient

BOTH = learn.labels.Several([learn.labels.ForwardReturn(1), learn.labels.ForwardReturn(5)])
QUICK = learn.TrainingConfig(steps=150, learning_rate=1e-2)


def two_signals(bars=400, assets=20):
    """Labels of very different sizes, each of a feature of its own."""
    draw = np.random.default_rng(1)
    x = draw.normal(size=(bars, assets, 2))
    noise = draw.normal(size=(bars, assets, 2))
    return learn.Samples(x, np.array([0.01, 1.0]) * (x + noise)), x


@pytest.mark.parametrize(
    ("loss", "outputs"), [("mse", 2), ("ic", 2), ("rank", 2), ("sharpe", 2), ("quantile", 6)]
)
def test_each_label_has_its_own_forecast(loss, outputs):
    samples, x = two_signals()
    learner = learn.Learner(
        learn.networks.MLP(hidden=8, outputs=outputs),
        loss=loss,
        ensemble=2,
        target=BOTH,
        training=QUICK,
    )
    state = learner.fit(samples, np.arange(300))
    rows = np.arange(300, 400)
    for label in (0, 1):
        forecast = learner.predict(state, samples, rows, label=label)
        size, unit = state.units(label)
        if loss == "mse":  # what is expected is what comes
            expected, came = forecast * size * unit, samples.labels[rows, :, label]
            assert np.sum(expected * came) / np.sum(expected**2) == pytest.approx(1.0, abs=0.25)
        assert loss == "sharpe" or 0.5 < forecast.std() < 2.0, forecast.std()
        each = [np.corrcoef(forecast.ravel(), x[rows, :, k].ravel())[0, 1] for k in (0, 1)]
        assert each[label] > 0.7 and abs(each[1 - label]) < 0.3, (label, each)
    with pytest.raises(InputError, match="label = 2"):
        learner.predict(state, samples, rows, label=2)


def test_a_label_that_is_missing_costs_itself_alone():
    samples, _ = two_signals()
    labels = samples.labels.copy()
    labels[::2, :, 1] = np.nan
    fewer = learn.Samples(samples.features, labels)
    batch = next(learn.batches(fewer, np.arange(300), size=64))
    assert batch.mask[..., 0].all()
    even = batch.bars % 2 == 0
    assert (batch.mask[..., 1] == ~even).all()
    assert (batch.labels[..., 1][even] == 0.0).all()


def test_a_mean_of_the_losses():
    import torch

    loss = learn.losses.base.several("mse", 2)
    outputs, labels = torch.randn(3, 1, 4, 2), torch.randn(3, 1, 4, 2)
    mask = torch.rand(3, 1, 4, 2) < 0.7
    each = [learn.losses.MSE()(outputs[..., k], labels[..., k], mask[..., k]) for k in (0, 1)]
    torch.testing.assert_close(loss(outputs, labels, mask), sum(each) / 2)


def test_wrong_calls_are_named():
    samples, x = two_signals()
    rows = np.arange(300)
    with pytest.raises(InputError, match="2 labels need as many outputs for each asset"):
        learn.Learner(learn.networks.MLP(), target=BOTH, training=QUICK).fit(samples, rows)
    with pytest.raises(InputError, match="2 labels need as many outputs for each asset; the net"):
        four = learn.networks.MLP(outputs=4)
        learn.Learner(four, target=BOTH, training=QUICK).fit(samples, rows)
    with pytest.raises(InputError, match="gives 2 outputs for each asset: the loss MSE needs one"):
        one = learn.Samples(x, samples.first_label)
        learn.Learner(learn.networks.MLP(outputs=2), training=QUICK).fit(one, rows)
    with pytest.raises(InputError, match="horizon = 5: the target has a horizon of its own, 5"):
        learn.Learner(learn.networks.MLP(outputs=2), target=BOTH, horizon=5)
    with pytest.raises(InputError, match="3 labels need as many outputs"):
        three = learn.labels.Several([learn.labels.ForwardReturn(k) for k in (1, 2, 3)])
        more = learn.Samples(x, np.repeat(samples.labels[..., :1], 3, axis=2))
        learn.Learner(learn.networks.MLP(outputs=2), target=three, training=QUICK).fit(more, rows)
    with pytest.raises(InputError, match="samples have 2 labels, the learner's target 1"):
        learn.Learner(learn.networks.MLP(), training=QUICK).fit(samples, rows)
    with pytest.raises(InputError, match="estimator = Ridge: several labels need a network"):
        learn.Learner(learn.Ridge(), target=BOTH).fit(samples, rows)
    with pytest.raises(InputError, match="must be two labels or more"):
        learn.labels.Several([learn.labels.ForwardReturn(1)])


def test_a_strategy_is_judged_by_the_first(us20):
    prices = us20.between("2018-01-01")
    learner = learn.Learner(
        learn.networks.MLP(hidden=8, outputs=2),
        ensemble=2,
        target=BOTH,
        weights=[learn.weights.Uniqueness()],
        training=learn.TrainingConfig(steps=3, batch_windows=256),
    )
    made = gq.Strategy([features.Momentum(21)], learner, sizing.Equal())
    made = made.train(prices, splits=splits.WalkForward(train="2Y", test="1Y"))
    first = learn.labels.ForwardReturn(1).of(prices)
    np.testing.assert_array_equal(
        made.trained.information, information_coefficient(made.trained.forecast.values, first)
    )
    assert not gq.validation.lookahead.check(made, prices)
