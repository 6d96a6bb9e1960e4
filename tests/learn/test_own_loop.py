"""Training as the caller wants it: a loop of one's own, callbacks, parameters by name, searches."""

import sys
import types
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import gpuquant as gq
from gpuquant import features, learn, sizing, splits
from gpuquant.errors import InputError, NameUnknown
from gpuquant.forecast import conformal_widths
from gpuquant.learn.distributed import Ranks, launched
from gpuquant.validation.overfitting import TrialLog

QUICK = learn.TrainingConfig(steps=20, batch_windows=256)


def samples(bars=400, assets=5, seed=0):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(bars, assets, 3))
    x[:40, 1] = np.nan  # lists late
    labels = 0.01 * (x[..., 0] - x[..., 2] + draw.normal(size=(bars, assets)))
    return learn.Samples(x, labels)


@pytest.mark.parametrize(
    ("kind", "shape"), [("windows", (1, 60, 1)), ("bars", (12, 1, 5)), ("runs", (4, 10, 5))]
)
def test_batches_are_the_samples_of_the_rows(kind, shape):
    data, rows = samples(), np.arange(50, 300)
    batch = next(learn.batches(data, rows, window=4, kind=kind, size=60, length=10))
    assert tuple(batch.labels.shape) == shape
    bars, assets = batch.bars.numpy(), batch.assets.numpy()
    assert (np.isin(bars, rows) | ~batch.mask.numpy()).all()
    known = batch.mask.numpy()
    np.testing.assert_allclose(
        batch.labels.numpy()[known], data.labels[bars, assets][known], rtol=1e-6
    )
    mean = np.nanmean(data.features[rows].reshape(-1, 3), axis=0)
    deviation = np.nanstd(data.features[rows].reshape(-1, 3), axis=0)
    last = batch.windows.reshape(*shape, 4, 3)[..., -1, :].numpy()
    expected = (data.features[bars, assets] - mean) / deviation
    np.testing.assert_allclose(last[known], expected[known], rtol=1e-4, atol=1e-5)


def test_a_loop_of_ones_own_learns():
    data, rows = samples(900), np.arange(700)
    network = torch.nn.Linear(3, 1)
    optimiser = torch.optim.Adam(network.parameters(), 3e-2)
    for _, batch in zip(range(150), learn.batches(data, rows), strict=False):
        output = network(batch.windows[:, :, 0]).reshape(batch.labels.shape)
        loss = ((output - 100 * batch.labels) ** 2)[batch.mask].mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    weight = network.weight.detach().numpy()[0]
    np.testing.assert_allclose(weight, [1.0, 0.0, -1.0], atol=0.15)
    with pytest.raises(NameUnknown, match="kind"):
        next(learn.batches(data, rows, kind="days"))


@pytest.mark.parametrize("network", ["stacked", "single"])
def test_callbacks_see_every_step_and_may_end_training(network):
    estimator = (
        learn.networks.MLP(hidden=4) if network == "stacked" else learn.networks.GRU(hidden=4)
    )
    seen = []
    learner = learn.Learner(
        estimator,
        ensemble=2,
        training=replace(QUICK, validation=0.2, judge_every=5),
        callbacks=[seen.append],
    )
    fitted = learner.fit(samples(), np.arange(300), fold=3)
    steps = [event for event in seen if event.kind == "step"]
    kinds = {event.kind for event in seen}
    assert kinds == {"step", "judgement", "end"} and {event.fold for event in seen} == {3}
    assert len(steps) == (20 if network == "stacked" else 40)
    told = np.concatenate([event.loss.numpy() for event in steps if 0 in event.members][:1])
    assert told[0] == fitted.history.loss[0, 0]
    short = replace(learner, callbacks=[lambda event: event.step == 7])
    assert np.isfinite(short.fit(samples(), np.arange(300)).history.loss).sum() == 14
    assert learner.describe() == replace(learner, callbacks=()).describe()


def test_losses_go_to_tensorboard_and_mlflow(tmp_path, monkeypatch):
    """In the packages' stead: what they are called with."""
    written, logged, closed = [], [], []

    class Writer:
        def __init__(self, folder):
            self.run = str(folder).rsplit("/", 1)[1]

        def add_scalar(self, name, value, step):
            written.append((self.run, name, step))

        def close(self):
            closed.append(self.run)

    writer = types.ModuleType("torch.utils.tensorboard.writer")
    writer.SummaryWriter = Writer
    mlflow = types.ModuleType("mlflow")
    mlflow.log_metric = lambda name, value, step: logged.append((name, step))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.ModuleType("tensorboard"))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", writer)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    learner = learn.Learner(
        learn.networks.MLP(hidden=4),
        ensemble=2,
        training=QUICK,
        callbacks=[learn.callbacks.TensorBoard(tmp_path, every=5), learn.callbacks.MLflow(10)],
    )
    learner.fit(samples(), np.arange(300), fold=1)
    runs = ["fold-1-member-0", "fold-1-member-1"]
    assert sorted(closed) == runs
    expected = [(run, "step", step) for run in runs for step in (5, 10, 15, 20)]
    assert sorted(written) == expected  # members run together or one after the other
    assert logged[-1] == ("fold 1 member 1 step", 20) and len(logged) == 4


def test_ridge_is_the_closed_form():
    from sklearn.linear_model import Ridge

    draw = np.random.default_rng(1)
    x, w = draw.normal(size=(300, 4)), draw.random(300)
    y = x @ [1.0, 0.0, -2.0, 0.5] + draw.normal(size=300) + 3.0
    ours = learn.Ridge(penalty=0.1).fit(x, y, w)
    theirs = Ridge(alpha=0.1 * w.sum()).fit(x, y, sample_weight=w)
    np.testing.assert_allclose(ours.coefficients[:-1], theirs.coef_, rtol=1e-9)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), rtol=1e-9)
    twice = np.concatenate([x, x[:, :1]], axis=1)
    free = learn.Ridge(penalty=0.0).fit(twice, y)  # the same column twice: half for each
    assert free.coefficients[0] == pytest.approx(free.coefficients[4], rel=1e-9)
    with pytest.raises(InputError, match="not fitted"):
        learn.Ridge().predict(x)


def strategy(**more):
    return gq.Strategy(
        features=[features.Momentum(window=5)],
        learner=learn.Learner(learn.networks.MLP(hidden=4), ensemble=1, training=QUICK, **more),
        sizing=sizing.Equal(),
    )


WALK = splits.WalkForward(train="1Y", test="6M")


def test_a_ridge_fund_is_saved_and_loaded(walk_panel, tmp_path):
    ridge = replace(strategy(), learner=learn.Learner(learn.Ridge(), horizon=2))
    fund = gq.Portfolio({"alpha": ridge, "cash": 1e6}).train(walk_panel, splits=WALK)
    fund.save(tmp_path / "fund")
    again = gq.Portfolio.load(tmp_path / "fund")
    pd.testing.assert_frame_equal(again.signals(walk_panel).frame, fund.signals(walk_panel).frame)


def test_parameters_by_name_as_scikit_learn_has_them():
    from sklearn.base import clone
    from sklearn.linear_model import ElasticNet

    one = strategy()
    params = one.get_params()
    assert params["learner__training__steps"] == 20
    assert params["learner__estimator__hidden"] == 4
    other = one.set_params(
        learner__training__steps=7, learner__estimator__hidden=6, learner__horizon=5
    )
    assert (other.learner.training.steps, other.learner.estimator.hidden) == (7, 6)
    assert other.learner.horizon == 5 and one.learner.horizon == 1
    assert clone(one).describe() == one.describe()
    assert clone(one.learner).describe() == one.learner.describe()
    net = replace(one, learner=learn.Learner(ElasticNet(alpha=0.5)))
    changed = net.set_params(learner__estimator__alpha=0.1)
    assert (changed.learner.estimator.alpha, net.learner.estimator.alpha) == (0.1, 0.5)
    for wrong in ("learner__step", "lerner", "learner__training__steps__x"):
        with pytest.raises(NameUnknown, match="parameter of"):
            one.set_params(**{wrong: 1})


def test_a_search_logs_every_trial(walk_panel, tmp_path):
    log = TrialLog(tmp_path / "trials")
    space = {"learner__horizon": [1, 5], "learner__training__weight_decay": [0.1, 1.0]}
    found = gq.search(strategy(), walk_panel, space, splits=WALK, ledger=log)
    assert len(found.frame) == 4 == log.trials()[0]
    assert found.frame["excess_sharpe"].is_monotonic_decreasing
    row = found.frame.iloc[0]
    assert found.best.learner.horizon == row["learner__horizon"]
    assert 0.0 <= found.deflated_sharpe <= 1.0
    with pytest.raises(InputError, match="space is empty"):
        gq.search(strategy(), walk_panel, {}, splits=WALK, ledger=log)
    with pytest.raises(NameUnknown, match="horzon"):
        gq.search(strategy(), walk_panel, {"learner__horzon": [1]}, splits=WALK, ledger=log)


def searched(device, tick, panel, folder, **more):
    """What a process finds of a search, as a tensor."""
    space = {"learner__horizon": [1, 5]}
    one = strategy()
    how = {"splits": WALK, "ledger": TrialLog(folder), "device": device, "progress": False}
    found = gq.search(one, panel, space, **how, **more)
    own = found.frame[["learner__horizon", "excess_sharpe"]].to_numpy(np.float64)
    parts = {"frame": torch.tensor(own), "deflated": torch.tensor(found.deflated_sharpe)}
    others = Ranks.here().exchange(parts)
    return {name: torch.stack([other[name] for other in others]) for name in parts}


def test_processes_share_the_training_of_each_trial_of_a_search(walk_panel, tmp_path):
    told = launched(searched, 2, "cpu", walk_panel, tmp_path / "shared")
    assert TrialLog(tmp_path / "shared").trials()[0] == 2
    alone = searched("cpu", None, walk_panel, tmp_path / "alone")
    started = searched("cpu", None, walk_panel, tmp_path / "started", launch=2)
    assert TrialLog(tmp_path / "started").trials()[0] == 2
    for name, value in alone.items():
        for one in [*told[name], *started[name]]:
            torch.testing.assert_close(one, value[0], rtol=1e-6, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_search_by_optuna(walk_panel, tmp_path):
    pytest.importorskip("optuna")
    log = TrialLog(tmp_path / "trials")

    def space(trial):
        return {"learner__horizon": trial.suggest_int("horizon", 1, 21)}

    found = gq.search(strategy(), walk_panel, space, splits=WALK, ledger=log, trials=3)
    assert len(found.frame) == 3 and 1 <= log.trials()[0] <= 3
    with pytest.raises(InputError, match="trials = None"):
        gq.search(strategy(), walk_panel, space, splits=WALK, ledger=log)


def test_what_was_learnt_is_shown(tmp_path):
    """A feature that moves prices at the next bar, and one of noise: the first is what forecasts
    rest on, and the groups of forecasts earn in their order.
    """
    draw = np.random.default_rng(9)
    bars, assets = 1500, 8
    days, names = pd.bdate_range("2015-01-01", periods=bars), [f"A{k}" for k in range(assets)]
    signal, noise = draw.normal(size=(2, bars, assets))
    moves = 0.01 * draw.normal(size=(bars, assets))
    moves[2:] += 0.003 * signal[:-2]  # decided at t, filled at t + 1, earned until t + 2
    prices = pd.DataFrame(100 * np.exp(np.cumsum(moves, axis=0)), days, names)
    made = replace(
        strategy(),
        features=[
            features.Frame(pd.DataFrame(signal, days, names), name="signal"),
            features.Frame(pd.DataFrame(noise, days, names), name="noise"),
        ],
        learner=learn.Learner(
            learn.networks.MLP(hidden=8),
            ensemble=2,
            training=learn.TrainingConfig(steps=100, batch_windows=512, validation=0.2),
        ),
    )
    walk = splits.WalkForward(train="2Y", test="1Y")
    made = made.train(prices, splits=walk)
    found = gq.learning_report(made, prices, splits=walk)
    assert list(found.importance.index) == ["signal", "noise"]
    loss, error, added = found.importance.loc["signal"]
    assert added > 4 * found.importance.loc["noise", "attribution"]
    assert loss > 5 * error and abs(found.importance.loc["noise", "loss_of_ic"]) < 3 * error
    groups = found.groups
    assert groups["earned"].is_monotonic_increasing and groups["samples"].min() > 1000
    share = groups.loc[[1, 5], "forecast"] / groups.loc[[1, 5], "earned"]
    assert share.between(0.3, 1.3).all(), groups  # weight decay makes forecasts cautious
    assert found.curves.shape[0] <= 100 and "judged" in found.curves.columns[0]
    ic = found.information["ic"]
    assert ic.mean() == pytest.approx(made.trained.ic[0])
    assert (found.turnover >= 0.0).all() and len(found.turnover) > 600
    page = found.report(tmp_path / "learning.html").read_text()
    for word in ("Training loss", "signal", "What forecasts were worth", "Turnover"):
        assert word in page
    with pytest.raises(InputError, match="the strategy has"):
        gq.learning_report(made, prices, splits=splits.WalkForward(train="1Y", test="3M"))


def test_conformal_intervals_hold_their_share():
    """Of 20 panels of noise with heavy tails; labels of three bars end three bars later."""
    draw = np.random.default_rng(3)
    for level in (0.5, 0.9):
        held = []
        for _ in range(20):
            forecast = draw.normal(size=(600, 5))
            earned = forecast + draw.standard_t(4, size=(600, 5))
            earned[100:110] = np.nan
            width = conformal_widths(forecast, earned, 3, level=level, window=100)
            assert np.isnan(width[:3]).all() and np.isfinite(width[10:]).all()
            held.append(np.nanmean((np.abs(earned - forecast) <= width[:, None])[110:]))
        assert np.mean(held) == pytest.approx(level, abs=0.01)


def test_costs_are_traded_against_the_forecast():
    """Planted: a forecast that loses 5 % a bar, quadratic costs. The closed form's mean objective
    against the best of a grid of speeds and aims, and above trading without patience.
    """
    phi, gamma, lam, sigma, typical = 0.05, 10.0, 50.0, 0.01, 1e-3
    draw = np.random.default_rng(4)
    bars, assets = 4000, 20
    f = np.zeros((bars, assets))
    for t in range(1, bars):
        f[t] = (1.0 - phi) * f[t - 1] + draw.normal(size=assets) * np.sqrt(1.0 - (1.0 - phi) ** 2)
    steps = np.where(np.arange(bars) % 2 == 0, sigma, -sigma)[:, None]
    close = 100.0 * np.cumprod(1.0 + np.broadcast_to(steps, (bars, assets)), axis=0)

    def worth(weights):
        moved = np.diff(weights, axis=0)
        earned = (weights[1:] * typical * f[1:]).mean()
        risk = 0.5 * gamma * sigma**2 * (weights[1:] ** 2).mean()
        return earned - risk - 0.5 * lam * sigma**2 * (moved**2).mean()

    def traded(speed, aim):
        held, out = np.zeros(assets), np.zeros((bars, assets))
        for t in range(bars):
            held = held + speed * (aim * typical * f[t] / (gamma * sigma**2) - held)
            out[t] = held
        return out

    rule = sizing.GarleanuPedersen(gamma, lam, phi, typical)
    ours = worth(np.nan_to_num(rule.size(f, close)))
    grid = {
        (speed, aim): worth(traded(speed, aim))
        for speed in np.linspace(0.05, 0.95, 13)
        for aim in np.linspace(0.3, 1.1, 9)
    }
    best = max(grid, key=grid.get)
    assert ours >= 0.97 * grid[best], (ours, best, grid[best])
    assert abs(rule.speed - best[0]) < 0.1
    blind = worth(traded(1.0, 1.0))
    assert ours > blind + 0.1 * abs(grid[best])
