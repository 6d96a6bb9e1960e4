"""A hedge and a surrogate come back from a file; what does not fit is named."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import gpuquant as gq
from gpuquant import learn
from gpuquant.errors import DataError, InputError
from gpuquant.learn import checkpoint
from tests.portfolio.test_saved_learners import Own

FEW = learn.TrainingConfig(steps=3, batch_windows=64, weight_decay=0.0)
CALL = gq.payoffs.European(option_type="call", strike=100.0, maturity=0.25)
MODEL = gq.models.BlackScholes(spot=100.0, volatility=0.2, rate=0.0)
PATHS = gq.simulate(CALL, MODEL, paths=200, steps=4)
X = np.linspace(0.0, 1.0, 100)[:, None]


class Wide(Own):
    """Three inputs."""

    def __init__(self, width: int = 5):
        super().__init__(width)
        self.first = torch.nn.Linear(3, width)


def hedge(**how):
    return learn.DeepHedger(training=FEW, **how).fit(PATHS)


def test_a_hedge_comes_back(tmp_path):
    for k, made in enumerate(
        (
            hedge(cost=0.01),
            hedge(loss=learn.losses.ExpectedShortfall(level=0.8), network=Wide(width=4)),
        )
    ):
        path = tmp_path / f"hedge {k}.safetensors"
        learn.save(made, path)
        again = learn.load(path, allow=[Wide])
        np.testing.assert_array_equal(made.profit(PATHS), again.profit(PATHS))
        assert made.premium(PATHS) == again.premium(PATHS)
        assert again.hedger.cost == made.hedger.cost and again.hedger.loss == made.hedger.loss
    with pytest.raises(DataError, match=r"Wide' is not among the classes that may be loaded"):
        learn.load(path)


def test_a_surrogate_comes_back(tmp_path):
    made = learn.Surrogate(training=FEW, weight=0.5).fit(X, X[:, 0] ** 2, 2.0 * X)
    learn.save(made, tmp_path / "surrogate")
    again = learn.load(tmp_path / "surrogate")
    for one, other in zip(made.predict(X), again.predict(X), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.surrogate.weight == 0.5


def changed(path, change):
    """Write a checkpoint anew with other tensors or another record, and a hash that fits."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        record = json.loads(file.metadata()["record"])
    tensors = {name.removeprefix("0."): value for name, value in tensors.items()}
    change(tensors, record)
    checkpoint.save([tensors], path, json.dumps(record))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t, r: t.pop("weights.last.bias"), "'last.bias' is missing"),
        (lambda t, r: t.update(more=torch.ones(2)), "'more' is no tensor of this network"),
        (lambda t, r: t["weights.last.bias"].fill_(np.nan), "last.bias must hold finite numbers"),
        (lambda t, r: t.update({"weights.last.bias": torch.ones(1, 9)}), r"last.bias has shape"),
        (lambda t, r: t["scale"].fill_(np.inf), "scale must hold finite numbers"),
        (lambda t, r: t.pop("scale"), "holds neither a hedge nor a surrogate"),
        (lambda t, r: r.update(record="learn.Pickle"), "'learn.Pickle' is not among the classes"),
        (lambda t, r: r["fields"].update(cost=-1.0), "DeepHedger cost = -1.0"),
        (lambda t, r: r["fields"].update(features="os.system"), "features = 'os.system'"),
        (lambda t, r: t["scale"][1].fill_(0.0), "scale must hold finite numbers, and spreads > 0"),
        (lambda t, r: t.update(assets=torch.tensor(-3)), "assets must be one whole number from 1"),
        (lambda t, r: t.update(assets=torch.empty(0)), "assets must be one whole number from 1"),
        (
            lambda t, r: r["fields"].update(network={"class": "learn.networks.MLP"}),
            "cannot be read|must be",
        ),
    ],
)
def test_what_does_not_fit_is_named(change, words, tmp_path):
    path = tmp_path / "hedge"
    learn.save(hedge(), path)
    changed(path, change)
    with pytest.raises(DataError, match=words):
        learn.load(path)


def test_damage_and_wrong_calls_are_named(tmp_path):
    path = tmp_path / "hedge"
    learn.save(hedge(), path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    tensors["0.weights.last.bias"] += 1.0
    save_file(tensors, path, metadata)
    with pytest.raises(DataError, match="is damaged or was changed"):
        learn.load(path)
    tensors["0.weights.last.bias"] -= 1.0
    metadata["record"] = metadata["record"].replace('"cost": 0.0', '"cost": 0.5')
    save_file(tensors, path, metadata)
    with pytest.raises(DataError, match="is damaged or was changed"):
        learn.load(path)
    with pytest.raises(InputError, match="must be a list of classes"):
        learn.load(path, allow=Wide)
    with pytest.raises(InputError, match="function cannot be saved"):
        learn.save(hedge(features=lambda paths: paths.spots[:, :-1, None]), path)
    with pytest.raises(InputError, match="MLP: must be what DeepHedger or Surrogate gives"):
        learn.save(learn.networks.MLP(), path)
    other = gq.payoffs.Basket(option_type="call", strike=80.0, maturity=1.0, weights=[[0.5, 0.5]])
    two = gq.models.MultiBlackScholes(
        spots=[[100.0, 60.0]], volatilities=[[0.2, 0.3]], correlation=0.5, rate=0.0
    )
    with pytest.raises(DataError, match="the paths show 3 columns, the hedge has learnt from 2"):
        hedge().profit(gq.simulate(other, two, paths=100, steps=4))
