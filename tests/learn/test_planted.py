"""Planted problems, whose attainable skill is known in closed form.

A network is judged by the correlation of its forecasts with the planted signal, which has no noise,
times the signal's own correlation with the label. So no tolerance for the noise of test labels is
needed.
"""

import numpy as np
import pytest

from gpuquant import learn
from gpuquant.forecast import mean_information


def linear(seed, rho=0.05, assets=100, bars=1500, columns=20):
    """Problem A: the label has correlation `rho` with one linear mixture of the features. Samples
    of twice `bars`, the signal, and the skill that least squares attains on `bars`.
    """
    draw = np.random.default_rng(seed)
    weights = draw.normal(size=columns)
    features = draw.normal(size=(2 * bars, assets, columns))
    signal = features @ weights / np.linalg.norm(weights)
    labels = 0.01 * (rho * signal + np.sqrt(1 - rho**2) * draw.normal(size=signal.shape))
    attainable = rho / np.sqrt(1 + (1 - rho**2) * columns / (bars * assets * rho**2))
    return learn.Samples(features, labels), signal, attainable


def product(seed, rho=0.2, lag=5, assets=50, bars=2400):
    """Problem B: the label has correlation `rho` with the product of a feature and its own value
    `lag` bars ago, which no linear model and no shorter window can see.
    """
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(bars, assets))
    signal = np.zeros(x.shape)
    signal[lag:] = x[lag:] * x[:-lag]
    labels = 0.01 * (rho * signal + np.sqrt(1 - rho**2) * draw.normal(size=x.shape))
    return learn.Samples(x[..., None], labels), signal


def attained(learner, samples, signal, cut, rho):
    """The skill of a learner that trains on the bars before `cut`."""
    rows = np.arange(cut + 20, len(signal))
    forecast = learner.predict(learner.fit(samples, np.arange(cut)), samples, rows)
    return rho * np.corrcoef(forecast.ravel(), signal[rows].ravel())[0, 1]


def test_a_linear_signal():
    samples, signal, attainable = linear(0)
    found = attained(learn.Learner(learn.networks.MLP()), samples, signal, 1500, 0.05)
    assert 0.95 * attainable < found <= 0.05, (found, attainable)
    regression = pytest.importorskip("sklearn.linear_model").LinearRegression()
    found = attained(learn.Learner(regression), samples, signal, 1500, 0.05)
    assert 0.95 * attainable < found <= 0.05, (found, attainable)


def test_a_product_over_time():
    samples, signal = product(0)
    learner = learn.Learner(learn.networks.MLP(hidden=64), ensemble=2, window=10)
    found = attained(learner, samples, signal, 1700, 0.2)
    assert 0.9 * 0.2 < found <= 0.2, found
    regression = pytest.importorskip("sklearn.linear_model").LinearRegression()
    blind = {
        "linear": learn.Learner(regression, window=10),
        "short": learn.Learner(learn.networks.MLP(hidden=64), ensemble=2, window=5),
    }
    for name, one in blind.items():
        found = attained(one, samples, signal, 1700, 1.0)
        assert abs(found) < 3.5 / np.sqrt(680 * 50), (name, found)


def noise(seed, horizon, persistence, bars=600, assets=10):
    """Forecasts and labels that know nothing of each other."""
    draw = np.random.default_rng(seed)
    forecast, fresh = np.zeros((bars, assets)), draw.normal(size=(bars, assets))
    forecast[0] = fresh[0]
    for t in range(1, bars):
        forecast[t] = persistence * forecast[t - 1] + np.sqrt(1 - persistence**2) * fresh[t]
    close = np.exp(np.cumsum(draw.normal(0, 0.01, (bars, assets)), axis=0))
    return forecast, learn.labels.ForwardReturn(horizon).of(close)


def spread(panels, horizon, persistence):
    """The deviation of mean over error in so many panels of noise."""
    each = [mean_information(*noise(k, horizon, persistence), horizon) for k in range(panels)]
    return np.std([mean / error for mean, error in each])


@pytest.mark.parametrize("horizon", [1, 21])
def test_the_error_of_the_information_coefficient_knows_overlap(horizon):
    panels = 120
    assert spread(panels, horizon, 0.95) == pytest.approx(1.0, abs=0.1 + 2 / np.sqrt(2 * panels))
    naive = []
    for k in range(panels):
        forecast, label = noise(k, horizon, 0.95)
        mean, error = mean_information(forecast, label, span=1)
        naive.append(mean / error)
    assert (np.std(naive) > 1.5) == (horizon > 1), np.std(naive)


@pytest.mark.slow
@pytest.mark.parametrize("persistence", [0.0, 0.98])
@pytest.mark.parametrize("horizon", [1, 5, 21, 63])
def test_the_error_of_the_information_coefficient_in_500_panels(horizon, persistence):
    assert 0.9 < spread(500, horizon, persistence) < 1.1
