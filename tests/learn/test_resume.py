"""Training goes on after its process has died, to the same bits."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import gpuquant
from gpuquant import learn
from gpuquant.errors import DataError, InputError
from gpuquant.learn import engines
from tests.killing import killed

ROOT = Path(gpuquant.__file__).parent.parent
FOLDS = [np.arange(120), np.arange(50, 190)]


class Noisy(torch.nn.Module):
    """Its dropout draws from torch's random state, its norm has running statistics."""

    def __init__(self):
        super().__init__()
        self.norm, self.drop = torch.nn.BatchNorm1d(3), torch.nn.Dropout(0.3)
        self.out = torch.nn.Linear(3, 1)

    def forward(self, x):
        return self.out(self.drop(self.norm(x[:, -1])))


def samples(seed=0):
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(200, 6, 3))
    return learn.Samples(features, features[..., 0] + draw.normal(size=(200, 6)))


def learner(network, steps=30, **how):
    config = {"steps": steps, "batch_windows": 50, "validation": 0.25, "judge_every": 4, **how}
    return learn.Learner(network, ensemble=2, training=learn.TrainingConfig(**config))


class Died(Exception):
    pass


def dies_at(step):
    def callback(event):
        if event.kind == "step" and event.step == step:
            raise Died

    return callback


CASES = pytest.mark.parametrize(
    ("network", "engine"),
    [
        pytest.param(learn.networks.MLP(hidden=6), "vmap", id="vmap"),
        pytest.param(learn.networks.MLP(hidden=6), "sequential", id="sequential"),
        pytest.param(Noisy, "sequential", id="dropout"),
        pytest.param(learn.networks.LSTM(hidden=4), "sequential", id="lstm"),
    ],
)


def equal(first, second):
    for one, two in zip(first, second, strict=True):
        for name, value in one.weights.items():
            assert torch.equal(value, two.weights[name]), name
        np.testing.assert_array_equal(one.history.loss, two.history.loss)
        np.testing.assert_array_equal(one.history.validation, two.history.validation)
        assert (one.size, one.unit) == (two.size, two.unit)


@CASES
@pytest.mark.parametrize("every", [0.0, 1e9])
def test_a_training_that_died_goes_on_to_the_same_bits(network, engine, every, tmp_path):
    """With a state after each step, and with none but those of programs that were done."""
    made, data = learner(network, engine=engine, patience=30), samples()
    seen = []
    counting = dataclasses.replace(made, callbacks=[lambda event: seen.append(event.step)])
    whole = counting.fit_folds(data, FOLDS)
    total = len(seen)
    kept = learn.Checkpoints(tmp_path / "kept", every=every)
    for step in (3, 17, 30):
        dying = dataclasses.replace(made, callbacks=[dies_at(step)])
        with pytest.raises(Died):
            dying.fit_folds(data, FOLDS, checkpoint=kept)
    seen.clear()
    equal(whole, counting.fit_folds(data, FOLDS, checkpoint=kept))
    assert every > 0.0 or len(seen) < total
    seen.clear()
    equal(whole, counting.fit_folds(data, FOLDS, checkpoint=kept))
    assert len(seen) == (2 if engine == "vmap" else 4), "what was done is only told of"


def test_members_that_had_ended_stay_ended(tmp_path):
    made = learner(learn.networks.MLP(hidden=6), engine="vmap", patience=1, learning_rate=0.1)
    data = samples()
    whole = made.fit_folds(data, FOLDS)
    ends = sorted({int(np.isfinite(row).sum()) for one in whole for row in one.history.loss})
    assert len(ends) > 1, ends
    with pytest.raises(Died):  # when some have ended and others have not
        dataclasses.replace(made, callbacks=[dies_at(ends[0] + 2)]).fit_folds(
            data, FOLDS, checkpoint=learn.Checkpoints(tmp_path, every=0.0)
        )
    equal(whole, made.fit_folds(data, FOLDS, checkpoint=tmp_path))


def test_a_damaged_file_is_passed_over_for_the_one_before(tmp_path):
    made, data = learner(learn.networks.MLP(hidden=6), engine="vmap"), samples()
    whole = made.fit_folds(data, FOLDS)
    with pytest.raises(Died):
        dataclasses.replace(made, callbacks=[dies_at(9)]).fit_folds(
            data, FOLDS, checkpoint=learn.Checkpoints(tmp_path, every=0.0)
        )
    last, before = (tmp_path / f"fold-0-program-0.{end}safetensors" for end in ("", "before."))
    assert before.exists()
    content = bytearray(last.read_bytes())
    content[-3] ^= 1
    last.write_bytes(content)
    equal(whole, made.fit_folds(data, FOLDS, checkpoint=tmp_path))
    for path in (last, before):
        path.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"checkpoint .*fold-0-program-0\.safetensors is damaged"):
        made.fit_folds(data, FOLDS, checkpoint=tmp_path)


def test_another_training_is_refused_by_what_differs(tmp_path):
    made, data = learner(learn.networks.MLP(hidden=6)), samples()
    made.fit_folds(data, FOLDS, checkpoint=tmp_path)
    for other, given, folds, what in (
        (learner(learn.networks.MLP(hidden=7)), data, FOLDS, "learner"),
        (made, samples(1), FOLDS, "samples"),
        (made, data, [FOLDS[0], FOLDS[1][1:]], "folds"),
    ):
        with pytest.raises(DataError, match=f"is of another training: its {what} was"):
            other.fit_folds(given, folds, checkpoint=tmp_path)
    (tmp_path / "fold-0.json").write_text("{")
    with pytest.raises(DataError, match=r"fold-0\.json is damaged"):
        made.fit_folds(data, FOLDS, checkpoint=tmp_path)
    for wrong in (5, ""):
        with pytest.raises(InputError, match="Checkpoints folder"):
            made.fit_folds(data, FOLDS, checkpoint=wrong)


def test_the_engine_of_the_state_is_kept(tmp_path, monkeypatch):
    """Another machine would choose another engine, and round otherwise."""
    made, data = learner(learn.networks.MLP(hidden=6)), samples()
    first = made.fit_folds(data, FOLDS, checkpoint=tmp_path)
    record = json.loads((tmp_path / "fold-0.json").read_text())
    assert record["engine"]["together"] >= 1
    monkeypatch.setattr(engines, "choose", lambda work: pytest.fail("chosen anew"))
    equal(first, made.fit_folds(data, FOLDS, checkpoint=tmp_path))


KILLED = """
import os, shutil, sys
sys.path.insert(0, {root!r})
import numpy as np
import torch
torch.set_num_threads(1)
from pathlib import Path
from gpuquant import learn
from tests.learn import test_resume as shared

folder, wrong, done = Path("state"), Path("wrong"), Path("done")
data = shared.samples()
made = [
    shared.learner(learn.networks.MLP(hidden=6), steps=200, engine="vmap", patience=200),
    shared.learner(shared.Noisy, steps=100, engine="sequential", patience=200),
]
whole = [one.fit_folds(data, shared.FOLDS) for one in made]

def work(k):
    turn = len(done.read_text()) if done.exists() else 0
    kept = learn.Checkpoints(folder, every=0.02)
    again = made[turn % 2].fit_folds(data, shared.FOLDS, checkpoint=kept)
    try:
        shared.equal(whole[turn % 2], again)
    except AssertionError as failure:
        wrong.write_text(str(failure))
        raise
    shutil.rmtree(folder)
    with done.open("a") as file:
        file.write(".")

def check(k):
    assert not wrong.exists(), wrong.read_text()
    if k == {kills} - 1:
        print(len(done.read_text()), "trainings")
"""


@pytest.mark.parametrize("kills", [13, pytest.param(100, marks=pytest.mark.slow)])
def test_training_that_is_killed_ends_with_the_same_bits(kills, tmp_path):
    """At random moments, in the middle of a step, a write or a replacement."""
    setup = KILLED.format(root=str(ROOT), kills=kills)
    said, whole = killed(setup, kills=kills, longest=0.4, folder=tmp_path)
    assert whole, said
    assert int(said.split(" trainings")[0].split()[-1]) >= 2, said
