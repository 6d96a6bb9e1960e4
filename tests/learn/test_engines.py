"""Engines: whatever runs the members, they learn the same; the fastest is chosen and named."""

import dataclasses
import itertools
import re
import types
from functools import partial

import numpy as np
import pytest
import torch

from gpuquant import learn
from gpuquant.errors import DataError, InputError
from gpuquant.family import names
from gpuquant.learn import draws, engines, fitting, members, train
from gpuquant.learn.batching import Batches, Choices
from gpuquant.learn.losses.base import find
from gpuquant.learn.windows import Standardizer, Windows

NETWORKS = sorted(names("gpuquant.learn.networks"))
TOGETHER = [n for n in NETWORKS if members.stackable(getattr(learn.networks, n))]
LEARNER = {}  # by the history of what it has learnt
FOLDS = [np.arange(20, 120), np.arange(20, 170), np.arange(60, 200)]


def small(name):
    sizes = {"MLP": {"hidden": 8}, "TCN": {"channels": 8}}
    return getattr(learn.networks, name)(**sizes.get(name, {"width": 8, "heads": 2}))


def samples(bars=220, assets=5, columns=3, weights=False, seed=0):
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(bars, assets, columns))
    features[:10, 3] = np.nan
    labels = 0.01 * (features[..., 0] + draw.normal(size=(bars, assets)))
    labels[50:60, 1] = np.nan
    given = draw.uniform(0.5, 2.0, size=labels.shape) if weights else None
    return learn.Samples(features, labels, given)


def states(network, engine, data=None, folds=FOLDS, loss="mse", window=3, **how):
    """The models of all folds, by an engine."""
    config = learn.TrainingConfig(
        **{"steps": 12, "batch_windows": 60, "sequence_length": 6, "weight_decay": 0.01, **how},
        engine=engine,
    )
    learner = learn.Learner(network, loss=loss, ensemble=3, window=window, training=config)
    result = learner.fit_folds(samples() if data is None else data, folds)
    LEARNER.update({id(one.history): learner for one in result})
    return result


def same(first, second, data=None, rtol=2e-3):
    """How their losses went, and what they say of assets above the mean of a bar, up to rounding.
    Weights are not compared: one whose gradient is but rounding moves by a learning rate, too.
    """
    data = samples() if data is None else data
    rows = np.arange(20, 220)
    for one, two in zip(first, second, strict=True):
        np.testing.assert_allclose(one.history.loss, two.history.loss, rtol=rtol, atol=rtol / 2)
        both = [LEARNER[id(state.history)].predict(state, data, rows) for state in (one, two)]
        known = np.isfinite(both[0])
        np.testing.assert_array_equal(known, np.isfinite(both[1]))
        above = [values - np.nanmean(values, axis=1, keepdims=True) for values in both]
        np.testing.assert_allclose(above[0][known], above[1][known], atol=10 * rtol)


@pytest.mark.parametrize("name", TOGETHER)
def test_seeds_and_folds_as_one_program_are_each_alone(name):
    together = states(small(name), "vmap", max_grad_norm=0.1)
    same(together, states(small(name), "sequential", max_grad_norm=0.1))
    assert [one.history.engine for one in together] == ["vmap of 9"] * 3


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("loss", ["mse", "sharpe", "ic"])
def test_losses_and_weights_agree(loss, weights):
    data = samples(weights=weights)
    how = {"data": data, "loss": loss, "learning_rate": 1e-3}
    same(*(states(small("MLP"), engine, **how) for engine in ("vmap", "sequential")), data=data)


def test_all_folds_are_those_of_one_fit_each():
    data = samples()
    config = learn.TrainingConfig(steps=12, batch_windows=60, engine="sequential")
    learner = learn.Learner(small("MLP"), ensemble=2, training=config)
    for k, state in enumerate(learner.fit_folds(data, FOLDS, first=4)):
        alone = learner.fit(data, FOLDS[k], fold=4 + k)
        for key, value in state.weights.items():
            assert torch.equal(value, alone.weights[key])


def test_members_have_their_own_batches_and_patience():
    """Judged members end when each by itself would: by its own best and its own patience."""
    data = samples(columns=8)
    how = {
        "data": data,
        "steps": 200,
        "learning_rate": 3e-2,
        "weight_decay": 0.0,
        "validation": 0.3,
        "patience": 2,
        "judge_every": 5,
    }
    both = [states(small("MLP"), engine, **how) for engine in ("vmap", "sequential")]
    used = [np.concatenate([np.isfinite(one.history.loss).sum(1) for one in each]) for each in both]
    assert len(set(used[1].tolist())) > 2, used
    np.testing.assert_array_equal(used[0], used[1])
    same(*both, data=data, rtol=2e-2)
    first = both[1][0].history.loss[:, 0]
    assert len(set(first.tolist())) == 3


class Plain(torch.nn.Module):
    """A caller's network, which says nothing of itself."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Flatten(),
            torch.nn.Linear(9, 8),
            torch.nn.ReLU(),
            torch.nn.Dropout(dropout) if dropout else torch.nn.Identity(),
            torch.nn.Linear(8, 1),
        )

    def forward(self, x):
        return self.net(x)


class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.out = torch.nn.GRU(3, 4, batch_first=True), torch.nn.Linear(4, 1)

    def forward(self, x):
        return self.out(self.layer(x)[0][:, -1])


def test_a_callers_network_runs_as_one_program_where_a_trial_shows_that_it_can():
    same(states(Plain, "vmap"), states(Plain, "sequential"))
    for network in (lambda: Plain(0.5), Recurrent):
        auto = states(network, "auto")
        assert auto[0].history.engine == "sequential"
        same(auto, states(network, "sequential"))
        with pytest.raises(InputError, match="do not run as one program"):
            states(network, "vmap")


@pytest.mark.parametrize("name", ["MLP", "LSTM", "CrossSection"])
@pytest.mark.parametrize("loss", ["mse", "sharpe"])
def test_parts_of_a_batch_give_the_gradient_of_the_whole(name, loss):
    """Of a loss of all outputs, too, which is no mean of those of its parts."""
    network = small(name) if name != "LSTM" else learn.networks.LSTM(hidden=8)
    whole = states(network, "sequential", loss=loss, learning_rate=1e-3)
    parts = states(network, "sequential", loss=loss, learning_rate=1e-3, microbatch=7)
    same(whole, parts)
    assert parts[0].history.engine == "sequential, in parts of 7"


class Normed(torch.nn.Module):
    def __init__(self, momentum=0.1):
        super().__init__()
        self.blocks = torch.nn.ModuleList([torch.nn.BatchNorm1d(3, momentum=momentum)])
        self.last = torch.nn.Linear(3, 1)

    def forward(self, x):
        return self.last(self.blocks[0](x[:, -1]))


@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics_count_each_window_once(momentum):
    """They do not count again what is recomputed for a gradient."""
    plain = states(partial(Normed, momentum), "sequential")
    again = states(partial(Normed, momentum), "sequential", recompute=True)
    parts = states(partial(Normed, momentum), "sequential", microbatch=20)
    for one, two, three in zip(plain, again, parts, strict=True):
        for name, value in one.weights.items():
            assert torch.equal(value, two.weights[name]), name
        seen = [state.weights["blocks.0.num_batches_tracked"].tolist() for state in (one, three)]
        assert seen == [[12] * 3, [36] * 3]
        if momentum is None:  # then they are means over all windows
            both = [state.weights["blocks.0.running_mean"] for state in (one, three)]
            torch.testing.assert_close(*both, rtol=1e-4, atol=1e-6)


def test_a_recorded_step_is_the_step():
    """What a GPU records, run again on the same places, trains as ever."""
    same(
        states(small("MLP"), "cuda_graph", max_grad_norm=0.1),
        states(small("MLP"), "vmap", max_grad_norm=0.1),
    )


def test_half_precision_is_near():
    full, half = (states(small("MLP"), "vmap", precision=p) for p in ("float32", "bfloat16"))
    assert all(value.dtype == torch.float32 for value in half[0].weights.values())
    np.testing.assert_allclose(half[0].history.loss, full[0].history.loss, rtol=0.05)
    assert not np.array_equal(half[0].history.loss, full[0].history.loss)


@pytest.mark.parametrize("fastest", ["sequential", "vmap of 4", "vmap of 9"])
def test_the_fastest_is_chosen_once(fastest, monkeypatch, tmp_path):
    """By what was measured; a second training takes the choice from the disk."""
    monkeypatch.setenv("GPUQUANT_CACHE", str(tmp_path))
    asked = []

    def beside(work, one, other):
        asked.append(str(one))
        took = [1.0 if str(engine) == fastest else 1.2 for engine in (one, other)]
        return took[0] / took[1]

    monkeypatch.setattr(engines, "_beside", beside)
    first = states(small("MLP"), "auto", steps=20)
    assert asked == ["vmap of 2", "vmap of 3", "vmap of 4", "vmap of 8", "vmap of 9"]
    assert first[0].history.engine == fastest
    asked.clear()
    second = states(small("MLP"), "auto", steps=20)
    assert not asked
    for one, two in zip(first, second, strict=True):
        assert all(torch.equal(v, two.weights[k]) for k, v in one.weights.items())


def test_larger_programs_are_not_tried_where_they_are_much_slower(monkeypatch, tmp_path):
    monkeypatch.setenv("GPUQUANT_CACHE", str(tmp_path))
    asked = []

    def beside(work, one, other):
        asked.append((one.together, other.together))
        return one.together / other.together

    monkeypatch.setattr(engines, "_beside", beside)
    assert states(small("MLP"), "auto", steps=20)[0].history.engine == "sequential"
    assert asked == [(2, 1)]


def test_engines_are_timed_step_by_step_in_turn(monkeypatch):
    """So that what else the machine does slows both: the steps of one take twice those of the
    other, while all become slower.
    """
    slower, turns = itertools.count(1), []

    def steps(work, engine):
        while True:
            turns.append(engine.kind)
            yield next(slower) * (2.0 if engine.kind == "vmap" else 1.0)

    monkeypatch.setattr(engines, "_steps", steps)
    work = types.SimpleNamespace(members=[None], seed=lambda one: 0, device="cpu")
    work.config = types.SimpleNamespace(steps=100)
    took = engines._beside(work, engines.Engine("vmap", 2), engines.Engine("sequential"))
    assert turns == ["vmap", "sequential"] * (engines.ROUNDS + 1)
    assert took == pytest.approx(2.0, rel=0.2)


def test_memory_decides_how_much_passes_at_once(monkeypatch):
    """What is kept for the gradient is measured; where it is too much, parts of a batch pass one
    after the other, and where one window is too much, training says so.
    """
    whole = states(small("MLP"), "sequential")
    monkeypatch.setattr(engines, "memory", lambda device: 5_000)
    short = states(small("MLP"), "auto")
    assert short[0].history.engine.startswith("sequential, in parts of ")
    assert 1 < int(short[0].history.engine.split()[-1]) < 60
    same(whole, short)
    monkeypatch.setattr(engines, "memory", lambda device: 200)
    with pytest.raises(DataError, match=r"one window of MLP keeps 0 MiB for its gradient: more"):
        states(small("MLP"), "auto")


def test_what_is_kept_is_what_autograd_keeps():
    """A linear layer keeps its input, a rectifier its output: 32 bits each."""
    config = learn.TrainingConfig(batch_windows=64)
    learner = learn.Learner(learn.networks.MLP(hidden=8), window=3, training=config)
    caught = []
    real = engines._room

    def room(work):
        caught.append(work)
        return real(work)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "_room", room)
        learner.fit(samples(), FOLDS[1])
    job = engines.Job(caught[0], caught[0].members[:1], together=False, plain=True)
    kept = engines._kept(job, next(job.stream(0)), 64)
    assert kept == 64 * 4 * (9 + 8 + 8)


def test_draws_are_functions_of_seed_step_and_place():
    """By the mixing function of Steele, Lea and Flood, in whole numbers of Python."""

    def mixed(z):
        z &= (1 << 64) - 1
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & ((1 << 64) - 1)
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & ((1 << 64) - 1)
        return z ^ (z >> 31)

    golden = 0x9E3779B97F4A7C15
    seeds, steps = torch.tensor([0, 7, 2**40, -3]), torch.tensor([0, 5, 10**6])
    words = draws.words(seeds, steps, 50)
    for (k, step), (n, seed) in itertools.product(enumerate(steps), enumerate(seeds)):
        for place in (0, 1, 49):
            start = mixed(mixed(int(seed) + golden) + (int(step) + 1) * golden)
            expected = mixed(start + (place + 1) * golden) >> 32
            assert int(words[k, n, place]) == expected
    assert torch.equal(words[1:], draws.words(seeds, steps[1:], 50))
    below = torch.tensor([1, 10, 1 << 31, 3])
    found = draws.indices(seeds, torch.arange(400), 100, below)
    assert bool((found < below[:, None]).all()) and bool((found >= 0).all())
    counts = torch.bincount(found[:, 1].flatten(), minlength=10).double()
    chi2 = float(((counts - 4000) ** 2 / 4000).sum())
    assert chi2 < 27.9, counts  # the 99.9 % point of nine degrees of freedom
    u = draws.uniforms(seeds, torch.arange(400), 100)[:, 0].flatten()
    assert abs(float(u.mean()) - 0.5) < 4 / np.sqrt(12 * len(u))


def test_a_choice_comes_as_often_as_its_weight_says():
    data = samples(weights=True)
    resident = data.on("cpu")
    windows = Windows(resident, Standardizer.of(resident, FOLDS[0]), 1)
    fold = Choices.of(windows, FOLDS[0], "windows", 1000, 1)
    stream = Batches(windows, [fold, fold]).stream([1, 2])
    counts = torch.zeros(2, resident.labels.numel())
    for batch in itertools.islice(stream, 200):
        at = (batch.assets * resident.labels.shape[1] + batch.bars).flatten(1)
        for k in range(2):
            counts[k] += torch.bincount(at[k], minlength=counts.shape[1])
    weights = (resident.weights * resident.labelled).flatten()
    mask = counts.sum(0) > 0
    expected = 200_000 * weights[mask] / weights[mask].sum()
    for k in range(2):
        z = (counts[k][mask] - expected) / expected.sqrt()
        assert float(z.abs().max()) < 5.0
    assert not torch.equal(counts[0], counts[1])


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [("engine", "fast", "sequential"), ("precision", "half", "bfloat16"), ("microbatch", 0, "1")],
)
def test_settings_are_checked(name, value, allowed):
    with pytest.raises(InputError, match=f"TrainingConfig {name} = .*{allowed}"):
        learn.TrainingConfig(**{name: value})


def test_the_engine_is_no_part_of_what_was_built():
    one = learn.Learner(learn.networks.MLP())
    two = dataclasses.replace(one, training=learn.TrainingConfig(engine="vmap", microbatch=5))
    half = dataclasses.replace(one, training=learn.TrainingConfig(precision="bfloat16"))
    assert one.describe() == two.describe() != half.describe()


def test_losses_of_the_callers_see_each_member():
    def loss(outputs, labels, mask):
        return ((outputs - 100 * labels)[mask] ** 2).mean()

    same(*(states(small("MLP"), engine, loss=loss) for engine in ("vmap", "sequential")))
    assert not find(loss).vectorised


@pytest.mark.parametrize("quick", [0, 1])
def test_auto_takes_the_device_whose_step_is_the_fastest(quick, monkeypatch):
    """Two devices, of which one is a stand-in: what was measured is said."""
    monkeypatch.setattr(fitting, "devices", lambda: ["cpu", "cpu:0"])
    asked = []

    def seconds(work, engine):
        asked.append(work)
        return 1e-3 if len(asked) - 1 == quick else 2e-3

    monkeypatch.setattr(engines, "seconds", seconds)
    monkeypatch.setattr(
        train, "fit", lambda work, what, beside: pytest.fail(str(asked.index(work)))
    )
    learner = learn.Learner(small("MLP"), ensemble=3, training=learn.TrainingConfig(steps=2))
    with pytest.raises(pytest.fail.Exception, match=str(quick)):
        learner.fit_folds(samples(), FOLDS, device="auto")
    monkeypatch.undo()
    monkeypatch.setattr(fitting, "devices", lambda: ["cpu", "cpu:0"])
    state = learner.fit(samples(), FOLDS[0], device="auto")
    assert re.fullmatch(
        r"a step of all members takes: cpu [\d.,]+ ms, cpu[:\d]* [\d.,]+ ms", state.history.reason
    )
    known = learner.predict(state, samples(), np.arange(20, 40), device="auto")
    np.testing.assert_array_equal(known, learner.predict(state, samples(), np.arange(20, 40)))


def test_without_an_accelerator_auto_is_the_cpu():
    learner = learn.Learner(small("MLP"), ensemble=2, training=learn.TrainingConfig(steps=2))
    state = learner.fit(samples(), FOLDS[0], device="auto")
    assert (state.history.device, state.history.reason) == ("cpu", "") or torch.cuda.is_available()
    ridge = learn.Learner(learn.Ridge())
    assert ridge.fit(samples(), FOLDS[0], device="auto").models


def test_what_is_recomputed_is_not_stacked():
    network = learn.networks.CrossSection(8, 2)
    again = states(network, "auto", recompute=True)
    assert again[0].history.engine == "sequential"
    same(again, states(network, "sequential"))
    with pytest.raises(InputError, match="do not run as one program"):
        states(network, "vmap", recompute=True)


def test_a_member_that_has_ended_fails_no_more():
    """In one program it goes on with the others; what becomes of it is nobody's."""

    def ends(event):
        return np.bool_(event.step == 3)

    config = learn.TrainingConfig(steps=8, batch_windows=60, engine="vmap", learning_rate=1e-3)
    made = learn.Learner(small("MLP"), ensemble=2, training=config, callbacks=[ends])
    history = made.fit(samples(), FOLDS[0]).history
    assert np.isfinite(history.loss).sum(1).tolist() == [3, 3]
    heard = []
    dataclasses.replace(
        made,
        callbacks=[lambda event: heard.append(event.loss)],
        training=dataclasses.replace(config, engine="cuda_graph"),
    ).fit(samples(), FOLDS[0])
    assert len({tuple(one.tolist()) for one in heard}) == 8


def test_weights_that_are_all_zero_are_named():
    data = samples()
    none = learn.Samples(data.features, data.labels, np.zeros(data.labels.shape))
    with pytest.raises(DataError, match="weights of all labels of the training bars are zero"):
        states(small("MLP"), "sequential", data=none)


def test_a_run_that_no_fold_has_is_named():
    rows = [np.arange(20, 200, 2)]  # no two bars follow one another
    with pytest.raises(DataError, match="no run of 6 bars that follow one another"):
        states(small("MLP"), "sequential", folds=rows, loss="sharpe")
