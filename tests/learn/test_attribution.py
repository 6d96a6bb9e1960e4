"""What features add to forecasts sums to the forecasts."""

import numpy as np
import pytest

from gpuquant import learn
from gpuquant.errors import InputError
from gpuquant.learn.windows import Samples

QUICK = learn.TrainingConfig(steps=60, batch_windows=512)
ROWS = np.arange(250, 300)


def panel(columns=3):
    """The label rests on the first column, and half as much on the second."""
    draw = np.random.default_rng(0)
    x = draw.normal(2.0, 3.0, size=(300, 6, columns))
    y = 0.01 * (x[..., 0] + 0.5 * x[..., 1] + draw.normal(size=x.shape[:2]))
    x[260, 2, 1] = np.nan
    return learn.Samples(x, y)


@pytest.mark.parametrize(
    "network",
    [
        learn.networks.MLP(hidden=8, activation="silu"),
        learn.networks.LSTM(hidden=8),
        learn.networks.Transformer(width=8, heads=2),
        learn.networks.CrossSection(width=8, heads=2),
    ],
    ids=lambda n: type(n).__name__,
)
def test_they_sum_to_the_forecast_less_that_of_the_mean(network):
    samples = panel()
    learner = learn.Learner(network, ensemble=2, window=2, training=QUICK)
    state = learner.fit(samples, np.arange(250))
    forecast = learner.predict(state, samples, ROWS)
    mean = np.broadcast_to(state.scale.mean, samples.features.shape)
    base = learner.predict(state, Samples(np.array(mean)), ROWS)
    added = learner.attribute(state, samples, ROWS)
    unknown = np.isnan(forecast)
    assert unknown[10, 2] and unknown.sum() == 1
    np.testing.assert_array_equal(np.isnan(added).all(axis=2), unknown)
    if getattr(network, "cross_sectional", False):  # an asset's features move the others' forecasts
        whole = ~unknown.any(axis=1)
        total, wanted = added.sum(axis=2).sum(axis=1)[whole], (forecast - base).sum(axis=1)[whole]
    else:
        total, wanted = added.sum(axis=2)[~unknown], (forecast - base)[~unknown]
    assert np.abs(total - wanted).max() < 0.02 * np.abs(wanted).max()


def test_what_counts_is_told_apart():
    samples = panel()
    learner = learn.Learner(
        learn.networks.MLP(hidden=8), ensemble=4, training=learn.TrainingConfig(steps=200)
    )
    state = learner.fit(samples, np.arange(250))
    size = np.nanmean(np.abs(learner.attribute(state, samples, ROWS)), axis=(0, 1))
    assert size[0] / size[1] == pytest.approx(2.0, rel=0.25)
    assert size[2] < 0.15 * size[0]


def test_an_estimator_has_no_gradients():
    samples = panel()
    learner = learn.Learner(learn.Ridge())
    with pytest.raises(InputError, match="estimator = Ridge: has no gradients"):
        learner.attribute(learner.fit(samples, np.arange(250)), samples, ROWS)
