"""Learning faults: labels over splits, one missing price, the caller's own network, errors of
the information coefficient.
"""

import numpy as np
import pandas as pd
import pytest
import torch

import gpuquant as gq
from gpuquant import features, learn, sizing, splits
from gpuquant.device import resolve_device
from gpuquant.errors import LeakFound
from gpuquant.forecast import mean_information
from gpuquant.learn.config import TrainingConfig
from gpuquant.validation import lookahead

DRAW = np.random.default_rng(3)
DAYS = pd.bdate_range("2010-01-01", periods=900)
PRICES = pd.DataFrame(
    100 * np.exp(np.cumsum(DRAW.normal(0, 0.01, (900, 3)), axis=0)), DAYS, ["A", "B", "C"]
)
TARGET = sizing.VolatilityTarget(0.1, max_gross=1, smooth=1.0)
LEARNER = learn.Learner(learn.networks.MLP())


@pytest.fixture(scope="module")
def panel():
    raw, split = PRICES.copy(), pd.DataFrame(1.0, DAYS, PRICES.columns)
    raw.iloc[500:, 0] /= 10.0
    split.iloc[500, 0] = 10.0
    return gq.Panel.from_frames(close=raw, splits=split, dividends=split * 0)


def test_the_label_over_a_split(panel):
    np.testing.assert_allclose(
        LEARNER.label(panel.total_return_index), LEARNER.label(PRICES.to_numpy()), rtol=1e-9
    )


def test_momentum_over_a_split(panel):
    found, right = (
        features.Momentum(21).compute(p, resolve_device("cpu"))
        for p in (panel, gq.Panel.of(PRICES))
    )
    np.testing.assert_allclose(found, right, atol=1e-12)


def test_a_volatility_target_over_a_split(panel):
    forecast = np.full(PRICES.shape, 0.5)
    np.testing.assert_allclose(
        TARGET.size(forecast, panel.total_return_index),
        TARGET.size(forecast, PRICES.to_numpy()),
        rtol=1e-9,
    )


def test_one_missing_close_of_one_asset():
    missing = PRICES.to_numpy().copy()
    missing[600, 1] = np.nan
    held = np.nansum(np.abs(TARGET.size(np.full(missing.shape, 0.5), missing)), axis=1)
    assert (held[600:] > 0).all()


def train(network, frame=PRICES, feature=None, **how):
    made = gq.Strategy(
        features=feature or [features.Momentum(window=21)],
        learner=learn.Learner(network, ensemble=4, training=TrainingConfig(steps=10), **how),
        sizing=TARGET,
    )
    return made.train(frame, splits=splits.WalkForward(train="12M", test="6M"), device="cpu")


def test_folds_trained_when_one_of_three_assets_lists_late():
    late = PRICES.copy()
    late.iloc[:600, 2] = np.nan
    whole = len(train(learn.networks.MLP(hidden=4)).trained.states)
    assert (
        len(train(learn.networks.MLP(hidden=4), gq.Panel.of(late, allow_halts=True)).trained.states)
        == whole
    )


class Memory(torch.nn.Module):
    """An LSTM as anyone writes it."""

    def __init__(self):
        super().__init__()
        self.lstm, self.head = torch.nn.LSTM(1, 8, batch_first=True), torch.nn.Linear(8, 1)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])[:, 0]


class Frozen(torch.nn.Module):
    """A network with a part that must stay as it is."""

    def __init__(self):
        super().__init__()
        self.known, self.free = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
        self.known.weight.data.fill_(7.0)
        self.known.requires_grad_(False)

    def forward(self, x):
        return self.free(self.known(x[:, -1]))[:, 0]


class Bare(torch.nn.Module):
    """A network whose weights are plain parameters."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(1))

    def forward(self, x):
        return (x[:, -1] * self.weight)[:, 0]


class Drop(torch.nn.Module):
    """Dropout."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(1, 16), torch.nn.Dropout(0.5), torch.nn.Linear(16, 1)
        )

    def forward(self, x):
        return self.net(x[:, -1])[:, 0]


def test_an_lstm():
    assert len(train(Memory(), window=10).trained.states) == len(
        train(learn.networks.MLP(hidden=4)).trained.states
    )


def test_weights_that_are_frozen():
    assert train(Frozen()).trained.states[0].weights["known.weight"].flatten().tolist() == [7.0] * 4


def test_four_seeds_of_a_bare_parameter():
    assert len(set(train(Bare()).trained.states[0].weights["weight"].flatten().tolist())) == 4


@pytest.mark.parametrize("network", [Drop, Drop()])
def test_the_same_run_twice_with_dropout(network):
    """A class is drawn from the learner's seed; an instance keeps the weights that it has."""
    one, two = (train(network).trained.forecast.values for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_a_leak_check_of_a_feature_that_is_the_return_to_come():
    tomorrow = PRICES.pct_change().shift(-2)
    trained = train(learn.networks.MLP(hidden=4), feature=[tomorrow])
    with pytest.raises((LeakFound, gq.errors.InputError)):
        lookahead.check(trained, PRICES)


def test_spread_of_the_information_coefficient_over_its_standard_error():
    z = []
    for seed in range(100):
        noise = np.random.default_rng(seed)
        close = 100 * np.exp(np.cumsum(0.01 * noise.normal(size=(1000, 20)), 0))
        forecast = np.zeros((1000, 20))
        moves = noise.normal(size=(1000, 20))
        for t in range(1, 1000):
            forecast[t] = 0.98 * forecast[t - 1] + np.sqrt(1 - 0.98**2) * moves[t]
        label = learn.Learner(learn.networks.MLP(), horizon=21).label(close)
        mean, error = mean_information(forecast, label, span=21)
        z.append(mean / error)
    assert float(np.std(z)) == pytest.approx(1.0, abs=0.3)
