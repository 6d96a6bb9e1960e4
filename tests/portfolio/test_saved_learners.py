"""Everything that can be trained is saved and comes back, or is refused by name."""

import importlib
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import gpuquant as gq
from gpuquant import features, learn, sizing
from gpuquant.errors import DataError, InputError
from gpuquant.learn import foreign
from tests.portfolio.test_retraining import WALK, panel

QUICK = learn.TrainingConfig(steps=2)


class Own(torch.nn.Module):
    """A network of the caller's."""

    def __init__(self, width: int = 5):
        super().__init__()
        self.width = width
        self.first, self.last = torch.nn.Linear(1, width), torch.nn.Linear(width, 1)

    def forward(self, x):
        return self.last(torch.relu(self.first(x[:, -1])))


class Forgets(torch.nn.Module):
    """Does not keep its argument."""

    def __init__(self, width: int = 5):
        super().__init__()
        self.inner = Own(width)

    def forward(self, x):
        return self.inner(x)


def trained(estimator):
    learner = learn.Learner(estimator, ensemble=2, training=QUICK)
    made = gq.Strategy([features.Reversal(1)], learner, sizing.Equal())
    return gq.Portfolio({"signal": made, "cash": 1e6}).train(panel(500), splits=WALK)


def comes_back(fund, folder, allow=()):
    fund.save(folder)
    again = gq.Portfolio.load(folder, allow=allow)
    for one, other in zip(
        fund.positions["signal"].trained.states,
        again.positions["signal"].trained.states,
        strict=True,
    ):
        assert (one.size, one.unit, len(one.models)) == (other.size, other.unit, len(other.models))
    first, second = (f.signals(panel(600)).frame for f in (fund, again))
    np.testing.assert_array_equal(first["forecast"], second["forecast"])
    assert np.isfinite(first["forecast"]).all()
    retrained = again.retrain(panel(600), splits=WALK)
    assert len(retrained.positions["signal"].trained.states) == 8
    return again


@pytest.mark.parametrize("name", ["forest", "pipeline", "classifier"])
def test_scikit_learn(name, tmp_path):
    pytest.importorskip("skops")
    pytest.importorskip("sklearn")
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    made = {
        "forest": RandomForestRegressor(n_estimators=3, max_depth=2),
        "pipeline": make_pipeline(StandardScaler(), Ridge()),
        "classifier": LogisticRegression(),
    }[name]
    # skops does not trust the compiled tree, which could read beyond its arrays
    tree = importlib.import_module("sklearn.tree._tree").Tree
    comes_back(trained(made), tmp_path / "fund", allow=[tree] if name == "forest" else [])


@pytest.mark.parametrize("name", ["LGBMRegressor", "LGBMClassifier"])
def test_lightgbm(name, tmp_path):
    pytest.importorskip("skops")
    lightgbm = pytest.importorskip("lightgbm")
    made = getattr(lightgbm, name)(n_estimators=5, num_leaves=4, verbose=-1, n_jobs=1)
    fund = trained(made)
    assert len(fund.positions["signal"].trained.states[0].models) == 2  # it has a random_state
    comes_back(fund, tmp_path / "fund", allow=[type(made), lightgbm.Booster])
    with pytest.raises(DataError, match=rf"holds lightgbm.basic.Booster, lightgbm.sklearn.{name}"):
        gq.Portfolio.load(tmp_path / "fund")


def test_a_network_of_the_callers(tmp_path):
    for k, estimator in enumerate((Own, Own(width=3))):
        fund = trained(estimator)
        comes_back(fund, tmp_path / f"fund {k}", allow=[Own])
        with pytest.raises(DataError, match=r"Own' is not among the classes that may be loaded"):
            gq.Portfolio.load(tmp_path / f"fund {k}")
    with pytest.raises(InputError, match="Forgets cannot be saved: it does not keep its argument"):
        trained(Forgets()).save(tmp_path / "forgets")
    with pytest.raises(InputError, match="function cannot be saved"):
        trained(lambda: Own(3)).save(tmp_path / "factory")


@dataclass(frozen=True)
class Mean:
    """An estimator of the caller's that is a record: its model is saved beside it."""

    shrink: float = 0.5

    def fit(self, x, y):
        made = Mean(self.shrink)
        object.__setattr__(made, "level", self.shrink * float(np.mean(y)))
        return made

    def predict(self, x):
        return np.full(len(x), self.level)


def test_a_record_that_is_an_estimator(tmp_path):
    pytest.importorskip("skops")
    comes_back(trained(Mean()), tmp_path / "fund", allow=[Mean])


def squashed(x):
    return np.tanh(x)


def test_a_function_of_an_estimator_is_allowed_by_name(tmp_path):
    pytest.importorskip("skops")
    pytest.importorskip("sklearn")
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    fund = trained(make_pipeline(FunctionTransformer(squashed), Ridge()))
    comes_back(fund, tmp_path / "fund", allow=[squashed])
    with pytest.raises(DataError, match=r"squashed: not among the classes"):
        gq.Portfolio.load(tmp_path / "fund")


def test_without_skops_it_is_refused_by_name(tmp_path, monkeypatch):
    linear_model = pytest.importorskip("sklearn.linear_model")
    fund = trained(linear_model.LinearRegression())
    monkeypatch.setitem(sys.modules, "skops", None)
    with pytest.raises(InputError, match=r"LinearRegression cannot be saved: .* pip install skops"):
        fund.save(tmp_path / "fund")
    assert not [one for one in (tmp_path / "fund").iterdir() if one.name.startswith("save-")]


class Bomb:
    """Runs when it is made from a file."""

    def __reduce__(self):
        return exec, ("raise SystemExit('it ran')",)


def test_a_hostile_file_does_nothing(tmp_path):
    pytest.importorskip("skops")
    path = tmp_path / "models.skops"
    foreign.save([[Bomb()]], path)
    with pytest.raises(DataError, match="not among the classes that may be loaded"):
        foreign.load(path, [])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="is damaged"):
        foreign.load(path, [])
