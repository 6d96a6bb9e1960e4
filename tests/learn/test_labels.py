"""Labels made of what the back-tester pays, and their weights in training."""

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant import learn
from gpuquant.errors import DataError, InputError
from gpuquant.learn import labels, weights
from tests.learn.test_training import market

BASE = labels.ForwardReturn(3)
KINDS = [
    BASE,
    labels.VolatilityScaled(BASE, window=5),
    labels.Ranked(BASE),
    labels.Excess(BASE),
    labels.Excess(BASE, benchmark="C"),
    labels.Classes(BASE, edges=(-0.001, 0.001)),
    labels.TripleBarrier(horizon=5, window=5),
]


def ids(label):
    return f"{type(label).__name__}{getattr(label, 'benchmark', '')}"


@pytest.mark.parametrize("label", KINDS, ids=ids)
def test_a_label_looks_as_far_as_its_horizon_says(walk_panel, label):
    """Other prices after bar t leave the labels up to t - horizon - 1, and change one after."""
    whole, t = label.of(walk_panel), 500
    close = walk_panel.close.copy()
    close[t + 1 :] = np.round(close[t + 1 :][:, ::-1] * 1.1, 2)
    other = label.of(gq.Panel(close, walk_panel.dates, walk_panel.assets))
    same = t - label.horizon
    np.testing.assert_array_equal(whole[:same], other[:same])
    assert not np.array_equal(whole[same : same + 2], other[same : same + 2], equal_nan=True)
    assert np.isnan(whole[-label.horizon - 1 :]).all() and np.isfinite(whole[10:-9]).all()


@pytest.mark.parametrize("label", KINDS, ids=ids)
def test_a_label_of_a_panel_with_everything_is_finite_where_it_trades(label):
    """Splits, dividends, a halt and a delisting."""
    panel = market()
    values, base = label.of(panel), BASE.of(panel)
    known = np.isfinite(base)
    known[:6] = known[-8:] = False
    if ids(label) == "ExcessC":
        known &= np.isfinite(base[:, 2:3])
    assert np.isfinite(values[known]).all()


def test_labels_by_pandas(walk_panel):
    base = pd.DataFrame(BASE.of(walk_panel), columns=list(walk_panel.assets))
    returns = np.log(walk_panel.to_frame()).diff().reset_index(drop=True)
    scaled = base / np.sqrt((returns**2).rolling(5).mean())
    np.testing.assert_allclose(KINDS[1].of(walk_panel), scaled, rtol=1e-9)
    rank = (base.rank(axis=1) - 0.5) / 6 - 0.5
    np.testing.assert_allclose(KINDS[2].of(walk_panel), rank, atol=1e-12)
    np.testing.assert_allclose(
        KINDS[3].of(walk_panel), base.sub(base.mean(axis=1), axis=0), atol=1e-15
    )
    np.testing.assert_allclose(KINDS[4].of(walk_panel), base.sub(base["C"], axis=0), atol=1e-15)
    classes = KINDS[5].of(walk_panel)
    expected = (base > -0.001).astype(float) + (base > 0.001)
    np.testing.assert_array_equal(classes, expected.where(base.notna()))


def test_the_first_barrier_decides(walk_panel):
    """Against a walk from bar to bar."""
    label = labels.TripleBarrier(horizon=8, up=0.6, down=0.9, window=10)
    values, spans = label.of(walk_panel), label.spans(walk_panel)
    returns = np.diff(np.log(walk_panel.close), axis=0)
    seen = set()
    for t in range(20, 700, 3):
        for j in range(6):
            unit = np.sqrt((returns[t - 10 : t, j] ** 2).mean()) * np.sqrt(8)
            for k in range(9):
                earned = walk_panel.close[t + 1 + k, j] / walk_panel.close[t + 1, j] - 1.0
                way = earned / (0.6 if earned > 0 else 0.9) / unit
                if abs(way) >= 1.0 or k == 8:
                    break
            assert values[t, j] == pytest.approx(np.clip(way, -1, 1), abs=1e-12)
            assert spans[t, j] == 1 + k
            seen.add((np.sign(way) * (abs(way) >= 1), k))
    assert len(seen) > 12


def test_uniqueness_by_counting():
    draw = np.random.default_rng(0)
    values = np.where(draw.random((40, 3)) < 0.8, 1.0, np.nan)
    spans = draw.integers(1, 6, (40, 3)).astype(float)
    count = np.zeros((40, 3))
    for t, j in zip(*np.nonzero(np.isfinite(values)), strict=True):
        count[t + 1 : t + 1 + int(spans[t, j]), j] += 1
    found = weights.Uniqueness().of(values, spans)
    for t in range(30):
        for j in range(3):
            if not np.isfinite(values[t, j]):
                assert found[t, j] == 0.0
                continue
            own = 1.0 / count[t + 1 : t + 1 + int(spans[t, j]), j]
            assert found[t, j] == pytest.approx(own.mean())


def test_older_labels_count_half_as_much():
    found = weights.TimeDecay(half_life=10).of(np.zeros((31, 1)), np.ones((31, 1)))[:, 0]
    np.testing.assert_allclose(found[[30, 20, 10]], [1.0, 0.5, 0.25])


@pytest.mark.parametrize("loss", ["mse", "ic", "sharpe"])
def test_a_label_is_drawn_as_often_as_it_weighs(loss):
    """The first half has the opposite sign and the weight zero; without weights they cancel."""
    draw = np.random.default_rng(2)
    features = draw.normal(size=(800, 6, 1)).astype(np.float32)
    sign = np.where(np.arange(800) < 400, -1.0, 1.0)[:, None]
    values = 0.01 * (sign * features[..., 0] + draw.normal(size=(800, 6)))
    weigh = np.broadcast_to(np.where(sign > 0, 1.0, 0.0), values.shape)
    learner = learn.Learner(
        learn.networks.MLP(hidden=8),
        loss=loss,
        ensemble=1,
        training=learn.TrainingConfig(steps=60, batch_windows=512, learning_rate=1e-2),
    )
    found = []
    for given in (weigh, None):
        samples = learn.Samples(features, values, weights=given)
        fitted = learner.fit(samples, np.arange(790))
        forecast = learner.predict(fitted, samples, np.arange(400, 800))
        found.append(np.corrcoef(forecast.ravel(), features[400:, :, 0].ravel())[0, 1])
    assert found[0] > 0.9 and found[0] > found[1] + 0.05, found


def test_an_estimator_is_given_the_weights():
    from sklearn.linear_model import Ridge

    draw = np.random.default_rng(2)
    x, y, w = draw.normal(size=(300, 2, 1)), draw.normal(size=(300, 2)), draw.random((300, 2))
    samples = learn.Samples(x, y, weights=w)
    fitted = learn.Learner(Ridge(), ensemble=1).fit(samples, np.arange(290))
    scaled = (x[:290].reshape(-1, 1) - fitted.scale.mean) / fitted.scale.deviation
    expected = Ridge().fit(scaled, y[:290].ravel(), sample_weight=w[:290].ravel())
    np.testing.assert_allclose(fitted.models[0].coef_, expected.coef_, rtol=1e-5)


def test_a_fund_learns_another_label_with_weights(walk_panel, tmp_path):
    strategy = gq.Strategy(
        features=[gq.features.Momentum(window=(5, 21))],
        learner=learn.Learner(
            learn.networks.MLP(hidden=4),
            target=labels.Ranked(labels.ForwardReturn(5)),
            weights=[weights.Uniqueness(), weights.TimeDecay(300)],
            ensemble=1,
            training=learn.TrainingConfig(steps=5),
        ),
        sizing=gq.sizing.Equal(),
    )
    assert strategy.learner.label_horizon == 6
    fund = gq.Portfolio({"alpha": strategy, "cash": 1e6}).train(
        walk_panel, splits=gq.splits.WalkForward(train="1Y", test="6M")
    )
    fund.save(tmp_path / "fund")
    again = gq.Portfolio.load(tmp_path / "fund")
    assert again.positions["alpha"].describe() == fund.positions["alpha"].describe()
    assert (
        strategy.describe()
        != gq.Strategy(
            strategy.features, learn.Learner(learn.networks.MLP(hidden=4)), strategy.sizing
        ).describe()
    )


def test_what_is_wrong_is_named():
    with pytest.raises(InputError, match="up = 0"):
        labels.TripleBarrier(up=0.0)
    with pytest.raises(InputError, match="edges"):
        labels.Classes(BASE, edges=(1.0, 0.0))
    with pytest.raises(InputError, match="half_life"):
        weights.TimeDecay(0.0)
    with pytest.raises(InputError, match="target = 5"):
        learn.Learner(learn.networks.MLP(), target=5)
    x, y = np.zeros((5, 2, 1)), np.zeros((5, 2))
    with pytest.raises(DataError, match=r"weights\[bar 3, asset 1\] = -1"):
        learn.Samples(x, y, weights=np.array([[1.0, 1.0]] * 3 + [[1.0, -1.0]] + [[1.0, 1.0]]))
