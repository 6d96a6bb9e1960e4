"""Several processes train what one trains: seeds and folds apart, a batch in parts, a network in
parts; and go on after they have died.
"""

import dataclasses
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import gpuquant
from gpuquant import learn
from gpuquant.errors import DataError, InputError
from gpuquant.learn import optimise
from gpuquant.learn.distributed import Ranks, launched
from gpuquant.learn.programs import blocks

ROOT = Path(gpuquant.__file__).parent.parent
FOLDS = [np.arange(120), np.arange(50, 190)]
CASES = {
    "members, one program": ("members", learn.networks.MLP(hidden=8), "mse", {}),
    "members, one by one": ("members", learn.networks.LSTM(hidden=6), "mse", {}),
    "data": ("data", learn.networks.MLP(hidden=8), "mse", {"max_grad_norm": 0.5}),
    "data, a loss of time": ("data", learn.networks.MLP(hidden=8), "sharpe", {}),
    "data, in parts": ("data", learn.networks.CrossSection(8, 2), "mse", {"microbatch": 2}),
    "sharded": ("sharded", learn.networks.LSTM(hidden=6), "mse", {"max_grad_norm": 0.5}),
    "sharded, judged": ("sharded", learn.networks.TCN(channels=6), "mse", {"validation": 0.3}),
    "sharded blocks": (
        "sharded",
        learn.networks.CrossSection(8, 2, layers=2),
        "mse",
        {"recompute": True, "microbatch": 3},
    ),
}

AGAIN = ("sharded", "data")


def samples():
    draw = np.random.default_rng(0)
    features = draw.normal(size=(200, 6, 3))
    return learn.Samples(features, features[..., 0] + draw.normal(size=(200, 6)))


def learner(case, **how):
    parallel, network, loss, more = CASES[case]
    config = learn.TrainingConfig(
        batch_windows=51,  # no multiple of two
        sequence_length=5,
        judge_every=3,
        learning_rate=1e-3,
        **{"steps": 10, "parallel": parallel, **more, **how},
    )
    return learn.Learner(network, loss=loss, ensemble=2, window=4, training=config)


class Normed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.last = torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1)

    def forward(self, x):
        return self.last(self.norm(x[:, -1]))


class Died(Exception):
    pass


def dies(training, batch):
    """A step of every process; the 28th fails."""
    if training.done == 27:
        raise Died
    STEP(training, batch)


STEP = optimise.Training.step


def everything(device, tick, folder):
    """What a process learns of all cases; and of some through a death and what it had kept."""
    result = {}
    for case in CASES:
        for k, state in enumerate(learner(case).fit_folds(samples(), FOLDS, device=device)):
            own = state.weights | {"loss": torch.from_numpy(state.history.loss)}
            result |= {f"{case}.{k}.{name}": value.contiguous() for name, value in own.items()}
    normed = learn.Learner(
        Normed, ensemble=1, training=dataclasses.replace(learner("data").training, microbatch=4)
    )
    own = normed.fit(samples(), FOLDS[0], device=device).weights
    each = Ranks.here().exchange({k: v.contiguous() for k, v in own.items()})
    assert all(torch.equal(v, other[k]) for other in each for k, v in own.items())
    result["normed"] = own["norm.running_mean"].contiguous()
    for parallel in ("data", "sharded"):
        config = dataclasses.replace(normed.training, parallel=parallel, validation=0.3)
        judged = dataclasses.replace(normed, training=config).fit(
            samples(), FOLDS[0], device=device
        )
        result[f"normed.{parallel}"] = torch.from_numpy(judged.history.validation)
    heard = []
    ending = learner("data", steps=20)
    ending = dataclasses.replace(
        ending, callbacks=[lambda event: heard.append(event.step) or event.step == 7]
    )
    history = ending.fit(samples(), FOLDS[0], device=device).history
    result["ended"] = torch.from_numpy(np.isfinite(history.loss).sum(1))
    assert bool(heard) == (Ranks.here().rank == 0)
    for case in AGAIN:
        made, data = learner(case, steps=40), samples()
        kept = learn.Checkpoints(f"{folder}/{case}", every=0.0)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Died):
            patch.setattr(optimise.Training, "step", dies)
            made.fit(data, FOLDS[0], device=device, checkpoint=kept)
        again = made.fit(data, FOLDS[0], device=device, checkpoint=kept)
        for name, value in made.fit(data, FOLDS[0], device=device).weights.items():
            result[f"{case}.whole.{name}"] = value.contiguous()
            result[f"{case}.again.{name}"] = again.weights[name].contiguous()
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def told(folder):
    return launched(everything, 2, "cpu", str(folder))


@pytest.mark.parametrize("case", CASES)
def test_two_processes_learn_what_one_learns(case, told):
    made = learner(case)
    alone = dataclasses.replace(
        made, training=dataclasses.replace(made.training, engine="sequential", recompute=False)
    )
    for k, state in enumerate(alone.fit_folds(samples(), FOLDS)):
        own = f"{case}.{k}."
        np.testing.assert_allclose(told[f"{own}loss"], state.history.loss, rtol=1e-6, atol=1e-6)
        for name, value in state.weights.items():
            if "split.bias" not in name:  # a key's has no gradient but rounding, and moves by that
                torch.testing.assert_close(told[own + name], value, rtol=1e-5, atol=1e-6)


def test_running_statistics_are_those_of_the_first_process(told):
    """Both give the same ones, though each has counted its own days."""
    assert bool((told["normed"] != 0.0).all())


def test_running_statistics_of_the_first_process_judge(told):
    """Whether each process holds the network or a part of it."""
    assert bool(torch.isfinite(told["normed.data"]).any())
    torch.testing.assert_close(
        told["normed.data"], told["normed.sharded"], rtol=1e-6, atol=0.0, equal_nan=True
    )


def test_callbacks_of_the_first_process_end_all(told):
    assert told["ended"].tolist() == [7, 7]


@pytest.mark.parametrize("case", AGAIN)
def test_two_processes_go_on_as_if_nothing_had_happened(case, told, folder):
    names = [name for name in told if name.startswith(f"{case}.whole.")]
    assert names
    for name in names:
        assert torch.equal(told[name], told[name.replace(".whole.", ".again.")]), name
    ranks = {path.name.split("-rank-")[1][0] for path in (folder / case).glob("*-rank-*")}
    assert ranks == {"0", "1"}


def test_launch_starts_them_and_gives_the_models_back():
    made, data = learner("members, one by one"), samples()
    alone = made.fit_folds(data, FOLDS)
    ticks = []
    two = made.fit_folds(data, FOLDS, launch=2, tick=ticks.append)
    assert sum(ticks) == pytest.approx(len(FOLDS)) and len(ticks) >= 10
    for one, other in zip(alone, two, strict=True):
        for name, value in one.weights.items():
            assert torch.equal(value, other.weights[name])
        np.testing.assert_array_equal(one.history.loss, other.history.loss)
        assert (one.size, one.unit, one.history.engine) == (
            other.size,
            other.unit,
            other.history.engine,
        )


SCRIPT = """
import sys
sys.path.insert(0, {root!r})
import torch
from gpuquant import learn
from tests.learn import test_distributed as shared

with learn.joined() as ranks:
    made = shared.learner("data").fit(shared.samples(), shared.FOLDS[0])
if ranks.rank == 0:
    torch.save(made.weights, "weights.pt")
"""


def test_torchrun_starts_them(tmp_path):
    (tmp_path / "s.py").write_text(SCRIPT.format(root=str(ROOT)))
    run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "s.py"]
    done = subprocess.run(
        [sys.executable, *run],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    alone = learner("data", engine="sequential").fit(samples(), FOLDS[0])
    for name, value in torch.load(tmp_path / "weights.pt").items():
        torch.testing.assert_close(value, alone.weights[name], rtol=1e-5, atol=1e-6)


def test_wrong_calls_are_named(tmp_path):
    made = learner("members, one by one")
    told = dataclasses.replace(made, callbacks=[print])
    with pytest.raises(InputError, match="launch = 2: callbacks see nothing of other processes"):
        told.fit(samples(), FOLDS[0], launch=2)
    with pytest.raises(InputError, match="checkpoint: Ridge is no network: it has no steps"):
        learn.Learner(learn.Ridge()).fit(samples(), FOLDS[0], checkpoint=tmp_path / "none")
    with pytest.raises(DataError, match="of another training: its learner was"):
        other = learner("members, one by one", steps=4)
        other.fit(samples(), FOLDS[0], checkpoint=tmp_path)
        made.fit(samples(), FOLDS[0], checkpoint=tmp_path, launch=2)
    local = dataclasses.replace(made, estimator=lambda: learn.networks.MLP(in_features=12))
    with pytest.raises(InputError, match="launch = 2: something cannot be sent to another process"):
        local.fit(samples(), FOLDS[0], launch=2)
    with pytest.raises(InputError, match="launch = 0: must be"):
        made.fit(samples(), FOLDS[0], launch=0)
    ridge = learn.Learner(learn.Ridge())
    with pytest.raises(InputError, match="launch = 2: Ridge is no network"):
        ridge.fit(samples(), FOLDS[0], launch=2)
    with pytest.raises(InputError, match="RANK is not set: start the script"), learn.joined():
        pass
    with pytest.raises(InputError, match="parallel = 'model': must be members, data, sharded"):
        learn.TrainingConfig(parallel="model")


def test_ranks_share_all_items_once():
    items = list(range(7))
    parts = [Ranks(rank, 3).share(items) for rank in range(3)]
    assert (
        sorted(itertools.chain(*parts)) == items
        and max(map(len, parts)) - min(map(len, parts)) <= 1
    )


def test_blocks_are_the_repeated_parts():
    """The outermost: what lies in a block is a part of it."""
    inner = [torch.nn.ModuleList([torch.nn.Linear(1, 1)]) for _ in range(2)]
    nested = torch.nn.Sequential(torch.nn.ModuleList(inner))
    assert len(blocks(nested)) == 2
    network = learn.networks.CrossSection(8, 2, layers=3).build(4, 3)
    assert len(blocks(network)) == 3 and not blocks(learn.networks.MLP().build(4, 3))
