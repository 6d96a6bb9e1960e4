"""Membership over time: who belongs has features, labels and forecasts; nobody else does."""

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant import features, learn, sizing, splits
from gpuquant.device import resolve_device
from gpuquant.errors import DataError
from gpuquant.features.table import FeatureTable


@pytest.fixture(scope="module")
def universe(walk_panel):
    """F joins at bar 300 and B leaves at bar 600; the frame has the days of the changes alone."""
    days = pd.DatetimeIndex(walk_panel.dates)[[0, 300, 600]]
    frame = pd.DataFrame(True, days, list("FABCDE"))
    frame.loc[days[0], "F"] = False
    frame.loc[days[2], "B"] = False
    return frame


@pytest.fixture(scope="module")
def panel(walk_panel, universe):
    return gq.Panel.of(walk_panel, members=universe)


def test_a_row_counts_until_the_next(panel, universe):
    assert panel.members[:300, 5].sum() == 0 and panel.members[300:, 5].all()
    assert panel.members[:600, 1].all() and panel.members[600:, 1].sum() == 0
    assert panel.members[:, [0, 2, 3, 4]].all()
    later = gq.Panel.of(panel.to_frame(), members=universe.iloc[1:])
    assert not later.members[:300].any()


def test_it_goes_where_the_panel_goes(panel, tmp_path):
    np.testing.assert_array_equal(panel.rows(slice(290, 310)).members, panel.members[290:310])
    np.testing.assert_array_equal(panel.columns(slice(4, 6)).members, panel.members[:, 4:])
    panel.to_parquet(tmp_path / "p.parquet")
    again = gq.Panel.read(tmp_path / "p.parquet")
    np.testing.assert_array_equal(again.members, panel.members)
    np.testing.assert_array_equal(again.close, panel.close)
    assert gq.Panel.of(panel.to_frame()).members is None


def test_ranks_and_the_market_are_of_members(panel, walk_panel):
    device = resolve_device("cpu")
    rank = features.Rank(features.Momentum()).compute(panel, device)[..., 0]
    assert np.isnan(rank[:300, 5]).all() and np.isnan(rank[600:, 1]).all()
    alone = gq.Panel(walk_panel.close[:, :5], walk_panel.dates, walk_panel.assets[:5])
    for feature in (features.Rank(features.Momentum()), features.Beta(60)):
        five = feature.compute(alone, device)[:300]
        np.testing.assert_allclose(feature.compute(panel, device)[:300, :5], five, rtol=1e-9)


def test_who_does_not_belong_has_no_features_and_no_forecasts(panel):
    own = features.Frame(panel.to_frame())
    table = FeatureTable.of([features.Momentum(5), own], panel, resolve_device("cpu"))
    assert np.isnan(table.values[:300, 5]).all() and not table.known[600:, 1].any()
    np.testing.assert_array_equal(table.known[5:], panel.members[5:])
    strategy = gq.Strategy(
        features=[features.Momentum(5)],
        learner=learn.Learner(
            learn.networks.MLP(hidden=4), ensemble=1, training=learn.TrainingConfig(steps=5)
        ),
        sizing=sizing.Equal(),
    ).train(panel, splits=splits.WalkForward(train="6M", test="6M"))
    forecast = strategy.trained.forecast.values
    assert np.isnan(forecast[600:, 1]).all() and np.isfinite(forecast[600:, 5]).all()
    _, weights = strategy.weights(panel)
    assert (weights[-100:, 1] == 0.0).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop(columns="C"), "lack the asset 'C'"),
        (lambda f: f.astype(float), r"members\['A'\] has the type float64"),
        (lambda f: f.iloc[::-1], "dates must increase"),
        (lambda f: f.tz_localize("UTC"), "members have the time zone UTC"),
        (lambda f: [1, 2], "members = list"),
    ],
)
def test_what_is_no_membership_is_refused(walk_panel, universe, change, words):
    with pytest.raises(DataError, match=words):
        gq.Panel.of(walk_panel, members=change(universe))
