"""Estimators see windows some at a time, and say what they would say of all at once."""

import numpy as np
import pytest
import torch

from gpuquant import learn
from gpuquant.errors import DataError
from gpuquant.learn import estimators
from gpuquant.learn.ridge import Moments

ROWS = np.arange(200)


def samples(weights=False):
    draw = np.random.default_rng(0)
    x = draw.normal(5.0, 2.0, size=(300, 7, 3))
    y = 0.01 * (x @ [1.0, -0.5, 0.0] + draw.normal(size=(300, 7)))
    x[50:60, 2, 1], y[100:120, 4] = np.nan, np.nan
    return learn.Samples(x, y, draw.uniform(0.5, 2.0, y.shape) if weights else None)


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("window", [1, 4])
def test_a_ridge_of_parts_is_that_of_the_whole(weights, window, monkeypatch):
    learner, given = learn.Learner(learn.Ridge(penalty=0.1), window=window), samples(weights)
    whole = learner.fit(given, ROWS)
    told = learner.predict(whole, given, np.arange(300))
    monkeypatch.setattr(estimators, "CHUNK", 7 * window * 3 * 11)  # eleven bars
    parts = learner.fit(given, ROWS)
    first, second = (one.models[0].coefficients for one in (whole, parts))
    np.testing.assert_allclose(first, second, rtol=1e-10)
    assert whole.size == pytest.approx(parts.size, rel=1e-12)
    np.testing.assert_allclose(told, learner.predict(parts, given, np.arange(300)), rtol=1e-10)
    theirs = pytest.importorskip("sklearn.linear_model").Ridge(alpha=0.1)
    windows = learn.Windows(given.on("cpu"), whole.scale, window)
    x, known = estimators.flat(windows, ROWS)
    y = given.first_label[ROWS][known]
    use = np.isfinite(y)
    w = np.ones(len(y)) if given.weights is None else given.weights[ROWS][known]
    theirs.set_params(alpha=0.1 * w[use].sum())
    theirs.fit(x[use], y[use], sample_weight=w[use])
    np.testing.assert_allclose(first[:-1], theirs.coef_, rtol=1e-5, atol=1e-9)
    assert first[-1] == pytest.approx(theirs.intercept_, rel=1e-5)


def test_moments_far_from_zero_add_up():
    draw = np.random.default_rng(1)
    x = torch.from_numpy(draw.normal(1e6, 1.0, (1000, 2)))
    y, w = torch.from_numpy(draw.normal(size=1000)), torch.from_numpy(draw.uniform(size=1000))
    both = torch.stack([w, torch.where(torch.arange(1000) < 500, w, 0.0)])  # of two folds
    given = x.expand(2, -1, -1)
    whole, added = Moments.of(given, y, both), Moments.none(2, 2, "cpu")
    for part, folds in ((slice(300), [0, 1]), (slice(300, 600), [1, 0]), (slice(600, None), [0])):
        added.add(
            torch.tensor(folds), Moments.of(given[folds][:, part], y[part], both[folds, part])
        )
    for name in ("total", "center", "level", "squares", "products"):
        torch.testing.assert_close(getattr(added, name), getattr(whole, name), rtol=1e-9, atol=1e-7)
    for fold, own in enumerate(both.numpy()):
        cov = np.cov(x.numpy().T, aweights=own, ddof=0)
        moments = whole.of_fold(fold)
        np.testing.assert_allclose(moments.squares[0] / moments.total[0], cov, rtol=1e-9)


@pytest.mark.parametrize("chunk", [1 << 22, 500])
def test_a_ridge_of_all_folds_at_once_is_that_of_each(chunk, monkeypatch):
    """Windows are gathered once for all folds, each standardised and drawn in by its own bars."""
    monkeypatch.setattr(estimators, "CHUNK", chunk)
    given = samples()
    learner = learn.Learner(learn.Ridge(0.1), window=3, horizon=2)
    folds = [np.arange(40, 120), np.arange(100, 200), np.r_[0:50, 150:300]]
    done = []
    together = learner.fit_folds(given, folds, tick=done.append)
    assert sum(done) == pytest.approx(3.0)
    for k, rows in enumerate(folds):
        alone = learner.fit(given, rows, fold=k)
        np.testing.assert_allclose(
            together[k].models[0].coefficients, alone.models[0].coefficients, rtol=1e-9, atol=1e-15
        )
        np.testing.assert_array_equal(together[k].scale.mean, alone.scale.mean)
        assert together[k].size == pytest.approx(alone.size, rel=1e-9)
        if given.weights is None:
            own = estimators.predicted(
                alone.models, learn.Windows(given.on("cpu"), alone.scale, 3), rows
            )
            labelled = np.isfinite(given.first_label[rows]) & (rows < 297)[:, None]
            assert alone.size == pytest.approx(np.nanstd(np.where(labelled, own, np.nan)))


@pytest.mark.parametrize("name", ["Ridge", "LinearRegression"])
def test_without_labels_it_says_so(name):
    made = learn.Ridge() if name == "Ridge" else None
    if made is None:
        made = pytest.importorskip("sklearn.linear_model").LinearRegression()
    given = samples()
    none = learn.Samples(given.features, np.full((300, 7), np.nan))
    with pytest.raises(DataError, match="no training bar has every feature and a label"):
        learn.Learner(made).fit(none, ROWS)
