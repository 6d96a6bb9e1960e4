"""Training: any network as its author wrote it, seeds that are what they say, panels with gaps."""

import dataclasses

import numpy as np
import pytest
import torch

import gpuquant as gq
from gpuquant import learn
from gpuquant.device.traffic import transfer_log
from gpuquant.errors import DataError, InputError
from gpuquant.learn import losses

ROWS = np.arange(300)
QUICK = learn.TrainingConfig(steps=6)


def samples(bars=400, assets=5, columns=2, seed=0):
    """A label that the first feature tells half of."""
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(bars, assets, columns))
    return learn.Samples(features, 0.01 * (features[..., 0] + draw.normal(size=(bars, assets))))


class Linear(torch.nn.Module):
    def __init__(self, outputs=1):
        super().__init__()
        self.out = torch.nn.Linear(2, outputs)

    def forward(self, x):
        return self.out(x[:, -1])


class Normed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.drop = torch.nn.BatchNorm1d(2), torch.nn.Dropout(0.2)
        self.out = torch.nn.Linear(2, 1)

    def forward(self, x):
        return self.out(self.drop(self.norm(x[:, -1])))[:, 0]


class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.out = torch.nn.GRU(2, 4, batch_first=True), torch.nn.Linear(4, 1)

    def forward(self, x):
        return self.out(self.gru(x)[0][:, -1])


class Across(torch.nn.Module):
    """Sees the whole cross-section: what an asset has above the mean of all."""

    cross_sectional = True

    def __init__(self):
        super().__init__()
        self.out = torch.nn.Linear(2, 1)

    def forward(self, x):
        last = x[:, :, -1]
        return self.out(last - last.mean(dim=1, keepdim=True))[..., 0]


def fitted(estimator, data=None, **how):
    learner = learn.Learner(estimator, **{"ensemble": 3, "training": QUICK, **how})
    return learner, learner.fit(samples() if data is None else data, ROWS)


@pytest.mark.parametrize(
    "network",
    [Linear, Linear(), Normed, Normed(), Recurrent, Across, lambda: Linear(), learn.networks.MLP()],
    ids=["class", "instance", "norm", "norm instance", "gru", "across", "callable", "ours"],
)
def test_any_network_trains_and_repeats(network):
    data = samples()
    learner, one = fitted(network, data, window=3)
    _, two = fitted(network, data, window=3)
    assert one.weights.keys() == two.weights.keys()
    for name, value in one.weights.items():
        assert len(value) == 3
        torch.testing.assert_close(value, two.weights[name], rtol=0, atol=0)
    forecast = learner.predict(one, data, np.arange(310, 400))
    assert np.isfinite(forecast).all()
    np.testing.assert_array_equal(forecast, learner.predict(one, data, np.arange(310, 400)))


def test_skill_is_found_by_each():
    data = samples(bars=900)
    rows = np.arange(602, 899)
    for network in (Linear, Normed, Recurrent, Across):
        learner = learn.Learner(
            network, ensemble=2, training=learn.TrainingConfig(steps=200, learning_rate=2e-2)
        )
        forecast = learner.predict(learner.fit(data, np.arange(600)), data, rows)
        found = np.corrcoef(forecast.ravel(), data.labels[rows].ravel())[0, 1]
        assert found > 0.707 - 3 / np.sqrt(rows.size * 5) - 0.1, (network, found)


def test_an_instance_keeps_its_weights_and_a_class_is_drawn_anew():
    network = Linear()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    none = learn.TrainingConfig(steps=1, learning_rate=1e-30, weight_decay=0.0)
    _, kept = fitted(network, training=none)
    for name, value in before.items():
        torch.testing.assert_close(kept.weights[name], value.expand(3, *value.shape))
        torch.testing.assert_close(network.state_dict()[name], value)
    _, drawn = fitted(Linear, training=none)
    assert len({tuple(row) for row in drawn.weights["out.weight"].flatten(1).tolist()}) == 3


def test_a_classifier_learns_signs():
    """Its forecast is the mean sign that it expects, in units of a typical one."""
    pytest.importorskip("sklearn")
    from sklearn.linear_model import LogisticRegression

    data, rows = samples(bars=900), np.arange(602, 899)
    learner = learn.Learner(LogisticRegression(), ensemble=1)
    done = learner.fit(data, np.arange(600))
    assert done.models[0].classes_.tolist() == [-1.0, 1.0]
    forecast = learner.predict(done, data, rows)
    assert np.abs(forecast * done.size).max() <= 1.0
    assert np.corrcoef(forecast.ravel(), data.labels[rows].ravel())[0, 1] > 0.55


def test_a_window_longer_than_the_history_is_named():
    with pytest.raises(DataError, match="shorter than the features' lookback"):
        fitted(learn.networks.MLP(), window=500)


def test_running_statistics_are_learnt():
    _, done = fitted(Normed)
    assert done.history.engine == "sequential"
    assert bool((done.weights["norm.running_mean"] != 0).all())
    assert done.weights["norm.num_batches_tracked"].tolist() == [6, 6, 6]


def test_seeds_differ_by_fold_and_member():
    data = samples()
    learner = learn.Learner(learn.networks.MLP(hidden=4), ensemble=3, training=QUICK)
    each = [
        tuple(row)
        for fold in range(4)
        for row in learner.fit(data, ROWS, fold=fold).weights["last.weight"].flatten(1).tolist()
    ]
    assert len(set(each)) == 12


def test_the_callers_random_state_is_untouched():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fitted(Normed)
    torch.testing.assert_close(torch.rand(3), expected)


def test_samples_go_up_once():
    data = samples()
    learner = learn.Learner(learn.networks.MLP(hidden=4), ensemble=2, training=QUICK)
    with transfer_log() as log:
        for fold in range(3):
            learner.predict(learner.fit(data, ROWS, fold=fold), data, np.arange(310, 320))
    assert log.times("features") == log.times("labels") == 1


def test_a_loss_of_the_callers():
    """It is called with runs of consecutive bars and may use the mask as an index."""
    seen = []

    def loss(outputs, labels, mask):
        seen.append((outputs.shape, labels.shape, mask.shape))
        return ((outputs - 100 * labels)[mask] ** 2).mean()

    data = samples(bars=900)
    learner = learn.Learner(
        learn.networks.MLP(hidden=8),
        loss=loss,
        ensemble=2,
        training=learn.TrainingConfig(steps=150, learning_rate=1e-2, sequence_length=10),
    )
    rows = np.arange(602, 899)
    forecast = learner.predict(learner.fit(data, np.arange(600)), data, rows)
    assert np.corrcoef(forecast.ravel(), data.labels[rows].ravel())[0, 1] > 0.6
    assert set(seen) == {((40, 10, 5),) * 3}
    with pytest.raises(InputError, match="must give one number"):
        fitted(learn.networks.MLP(), loss=lambda o, y, m: o)


def test_several_outputs():
    data = samples(bars=900)
    rows = np.arange(602, 899)
    config = learn.TrainingConfig(steps=200, learning_rate=1e-2)
    signs = learn.Samples(data.features, np.sign(data.labels))
    for loss, given in ((losses.Quantile(), data), (losses.CrossEntropy(), signs)):
        learner = learn.Learner(
            learn.networks.MLP(hidden=8, outputs=3), loss=loss, ensemble=2, training=config
        )
        forecast = learner.predict(learner.fit(given, np.arange(600)), given, rows)
        assert np.corrcoef(forecast.ravel(), data.labels[rows].ravel())[0, 1] > 0.55, loss
    with pytest.raises(InputError, match="Quantile needs 3 outputs"):
        fitted(learn.networks.MLP(), loss=losses.Quantile())


def test_training_ends_when_the_last_bars_say_so():
    """Noise alone: more steps only fit it, and the weights of the best judgement are kept."""
    draw = np.random.default_rng(0)
    data = learn.Samples(draw.normal(size=(300, 3, 8)), draw.normal(size=(300, 3)))
    config = learn.TrainingConfig(
        steps=2000,
        learning_rate=1e-2,
        weight_decay=0.0,
        schedule="constant",
        validation=0.3,
        patience=4,
        judge_every=10,
    )
    for engine in ("vmap", "sequential"):
        how = dataclasses.replace(config, engine=engine)
        learner = learn.Learner(lambda: Wide(), ensemble=2, training=how)
        history = learner.fit(data, np.arange(290)).history
        used = np.isfinite(history.loss).sum(axis=1)
        assert (used < 2000).all(), used
        assert np.nanargmin(history.validation, axis=1).max() < history.validation.shape[1] - 1


class Wide(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(8, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1)
        )

    def forward(self, x):
        return self.net(x[:, -1])[:, 0]


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
@pytest.mark.parametrize("network", [learn.networks.MLP(hidden=4), Linear])
def test_a_clipped_gradient_moves_less(network, schedule):
    """Plain AdamW moves by about the learning rate a step; a gradient of length 1e-12 by less."""
    moved = []
    for limit in (None, 1e-12):
        config = learn.TrainingConfig(
            steps=2, weight_decay=0.0, max_grad_norm=limit, schedule=schedule
        )
        start = learn.TrainingConfig(steps=1, learning_rate=1e-30, weight_decay=0.0)
        _, one = fitted(network, training=start)
        _, two = fitted(network, training=config)
        moved.append(sum(float((two.weights[k] - v).abs().sum()) for k, v in one.weights.items()))
    assert moved[1] < 0.1 * moved[0], moved


def test_a_loss_that_is_not_finite_stops_by_name():
    class Exploding(Linear):
        def forward(self, x):
            return super().forward(x)[:, 0] * float("inf")

    judged = learn.TrainingConfig(steps=40, validation=0.2, patience=1, judge_every=1)
    for training in (QUICK, judged):
        with pytest.raises(DataError, match=r"member 0 of fold 0 is (nan|inf) at step 0"):
            fitted(Exploding, training=training)


def test_outputs_of_a_wrong_shape_are_named():
    class Flat(Linear):
        def forward(self, x):
            return super().forward(x).mean()

    with pytest.raises(InputError, match=r"gives outputs of shape \(\) for windows of shape"):
        fitted(Flat)
    with pytest.raises(InputError, match="no weights that training may change"):
        fitted(torch.nn.Identity())
    with pytest.raises(InputError, match=r"must make an nn\.Module"):
        fitted(lambda: 3)
    with pytest.raises(InputError, match="is a class"):
        learn.Learner(dict)


def test_one_missing_feature_costs_that_asset_that_bar():
    data = samples()
    gap = data.features.copy()
    gap[350, 2, 1] = np.nan
    other = learn.Samples(gap, data.labels)
    learner, done = fitted(learn.networks.MLP(hidden=4), data)
    rows = np.arange(310, 400)
    whole, cut = (learner.predict(done, s, rows) for s in (data, other))
    assert np.argwhere(np.isnan(cut)).tolist() == [[40, 2]]
    np.testing.assert_array_equal(whole[~np.isnan(cut)], cut[~np.isnan(cut)])


@pytest.mark.parametrize("loss", ["mse", "ic", "rank", "sharpe"])
def test_a_ragged_panel_trains(loss):
    """Assets list at different bars, one never: the others train on all bars they have."""
    data = samples(bars=900, assets=6)
    features, labels = data.features.copy(), data.labels.copy()
    for j in range(5):
        features[: 100 * j, j] = np.nan
    features[:, 5] = np.nan
    labels[np.random.default_rng(1).random(labels.shape) < 0.1] = np.nan
    ragged = learn.Samples(features, labels)
    config = learn.TrainingConfig(steps=200, learning_rate=1e-2, sequence_length=20)
    learner = learn.Learner(
        learn.networks.MLP(hidden=8), loss=loss, ensemble=2, window=2, training=config
    )
    rows = np.arange(602, 899)
    forecast = learner.predict(learner.fit(ragged, np.arange(600)), ragged, rows)
    assert np.isnan(forecast[:, 5]).all()
    assert np.isfinite(forecast[:, :5]).all()
    known = np.isfinite(labels[rows]) & np.isfinite(forecast)
    assert np.corrcoef(forecast[known], labels[rows][known])[0, 1] > 0.6


def test_a_window_begins_where_its_asset_does():
    features = np.random.default_rng(0).normal(size=(30, 2, 1))
    features[:10, 1] = np.nan
    features[20, 1] = np.nan
    whole = learn.Samples(features).on("cpu").whole(4).numpy()
    assert np.flatnonzero(~whole[0]).tolist() == [0, 1, 2]
    assert np.flatnonzero(~whole[1]).tolist() == [*range(13), 20]


def market(seed=0, bars=60, assets=3):
    """Opens, closes, splits, dividends, halts and a delisting."""
    draw = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(draw.normal(0, 0.02, (bars, assets)), axis=0))
    opens = close * np.exp(draw.normal(0, 0.005, close.shape))
    splits, dividends = np.ones(close.shape), np.zeros(close.shape)
    splits[20, 0], dividends[15, 0], dividends[33, 1] = 4.0, 2.0, 1.5
    for array in (close, opens):
        array[20:, 0] /= 4.0
        array[25:27, 1] = np.nan
        array[50:, 2] = np.nan
    delistings = np.full(close.shape, np.nan)
    delistings[50, 2] = -0.4
    dates = np.datetime64("2020-01-01", "ns") + np.arange(bars) * np.timedelta64(1, "D")
    return gq.Panel(
        close,
        dates,
        tuple("ABC"[:assets]),
        open=opens,
        splits=splits,
        dividends=dividends,
        delistings=delistings,
        allow_halts=True,
    )


@pytest.mark.parametrize("horizon", [1, 4])
@pytest.mark.parametrize("with_open", [True, False])
def test_a_label_is_what_the_back_tester_pays(horizon, with_open):
    """All cash goes into an asset by a decision at bar t and out of it by one at t + horizon."""
    panel = market()
    if not with_open:
        panel = gq.Panel(
            panel.close,
            panel.dates,
            panel.assets,
            splits=panel.splits,
            dividends=panel.dividends,
            delistings=panel.delistings,
            allow_halts=True,
        )
    learner = learn.Learner(learn.networks.MLP(), horizon=horizon)
    label = learner.label(panel)
    checked = 0
    for t in range(panel.bars - horizon - 1):
        for j in range(len(panel.assets)):
            out = t + horizon
            halted_then = j == 1 and not np.isfinite(panel.close[out + 1, j])
            if np.isnan(label[t, j]) or halted_then:  # the sale waits for the next price
                continue
            weights = np.full(panel.close.shape, np.nan)
            weights[t] = np.arange(len(panel.assets)) == j
            weights[out, j] = 0.0
            paid = gq.backtest(panel, weights=weights).measures["total_return"][0]
            assert horizon * label[t, j] == pytest.approx(paid, abs=1e-9), (t, j)
            checked += 1
    assert checked > 120, checked
    halted = [(24, 1), (25, 1), *((t, 2) for t in range(49, panel.bars - 1))]
    assert all(np.isnan(label[t, j]) for t, j in halted)
