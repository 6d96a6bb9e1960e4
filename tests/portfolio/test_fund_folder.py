"""A saved fund is one thing: hostile files do nothing, damage is named, a kill leaves the old or
the new, and the one before is kept.
"""

import errno
import importlib
import io
import json
import os
import pickle
import sys
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch

import gpuquant as gq
from gpuquant import features, learn, serialize, sizing, splits
from gpuquant.errors import DataError, DiskError, GpuquantError, InputError
from gpuquant.features.base import Feature
from gpuquant.learn import checkpoint
from gpuquant.learn.config import TrainingConfig
from gpuquant.portfolio import snapshot
from gpuquant.portfolio.trained import WALK_FORWARD
from tests.conftest import ROOT
from tests.killing import killed

BOOK = pd.DataFrame(
    [
        {
            "id": 1,
            "product": "european",
            "option_type": "call",
            "underlying": "A",
            "strike": 100.0,
            "maturity": 1.0,
        }
    ]
)


@dataclass(frozen=True)
class Distance(Feature):
    """A feature of the caller's own: how far the close is from its mean."""

    abstract = True  # of no family that tests go through

    window: int = 5

    @property
    def lookback(self):
        return self.window

    @property
    def columns(self):
        return ("distance",)

    def compute(self, panel, device):
        mean = pd.DataFrame(panel.close).rolling(self.window).mean().to_numpy()
        return (panel.close / mean - 1.0)[..., None]


def strategy(*more):
    learner = learn.Learner(
        learn.networks.MLP(hidden=4), ensemble=2, training=TrainingConfig(steps=2)
    )
    return gq.Strategy(
        features=[features.Momentum(window=5), *more],
        learner=learner,
        sizing=sizing.VolatilityTarget(0.1),
    )


def trained(panel, *more):
    made = gq.Portfolio(
        {
            "alpha": strategy(*more),
            "options": gq.Contracts.from_frame(BOOK),
            "../odd name": {"A": 2.0},
            "cash": 1000.0,
        }
    )
    return made.train(panel, splits=splits.WalkForward(train="24M", test="2M", expanding=True))


@pytest.fixture(scope="module")
def fund(walk_panel):
    return trained(walk_panel)


@pytest.fixture
def saved(fund, tmp_path):
    fund.save(tmp_path / "fund")
    return tmp_path / "fund"


def place(folder):
    """The folder of the files saved last."""
    return (
        folder / json.loads((folder / "manifest.json").read_text())["manifest"]["current"]["folder"]
    )


def forged(folder, name, content):
    """Put another content into a file, and seal the manifest anew, as whoever can write there
    could.
    """
    path = place(folder) / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    resealed(
        folder,
        lambda body: body["current"]["files"].__setitem__(
            name, {"bytes": path.stat().st_size, "sha256": snapshot.disk.digest(path)}
        ),
    )


def resealed(folder, change):
    body = json.loads((folder / "manifest.json").read_text())["manifest"]
    change(body)
    (folder / "manifest.json").write_text(snapshot._sealed(body))


def recipe(folder):
    return json.loads((place(folder) / "0.json").read_text())


def with_feature(record):
    """The strategy with this in place of its feature."""

    def change(folder):
        kept = recipe(folder)
        kept["strategy"]["fields"]["features"] = [record]
        forged(folder, "0.json", kept)

    return change


def with_learner(name, value):
    def change(folder):
        kept = recipe(folder)
        kept["strategy"]["fields"]["learner"]["fields"][name] = value
        forged(folder, "0.json", kept)

    return change


def with_position(entry):
    def change(folder):
        kept = json.loads((place(folder) / "portfolio.json").read_text())
        kept["positions"][2] = entry
        forged(folder, "portfolio.json", kept)

    return change


def momentum(**fields):
    return {"record": "features.Momentum", "fields": fields}


def deep(levels):
    record = momentum(window=5)
    for _ in range(levels):
        record = [record]
    return record


class Bomb:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (exec, (f"open({str(self.mark)!r}, 'w')",))


def pickled(folder):
    return pickle.dumps(Bomb(folder.parent / "it ran"))


def pickled_array(folder):
    out = io.BytesIO()
    np.save(out, np.array([Bomb(folder.parent / "it ran")], dtype=object), allow_pickle=True)
    return out.getvalue()


def other_weights(folder):
    tensors = checkpoint.load(place(folder) / "0.safetensors")
    for fold in tensors:
        fold["first.weight"] = torch.zeros(2, 4, 7)
    checkpoint.save(tensors, folder.parent / "w")
    forged(folder, "0.safetensors", (folder.parent / "w").read_bytes())


def not_finite(folder):
    tensors = checkpoint.load(place(folder) / "0.safetensors")
    tensors[0]["last.bias"][:] = torch.nan
    checkpoint.save(tensors, folder.parent / "w")
    forged(folder, "0.safetensors", (folder.parent / "w").read_bytes())


def forecast_of(value):
    def change(folder):
        frame = pd.read_parquet(place(folder) / "0.parquet")
        frame.iloc[-1, 0] = value
        frame.to_parquet(folder.parent / "f")
        forged(folder, "0.parquet", (folder.parent / "f").read_bytes())

    return change


def named(name):
    """A manifest that names a file elsewhere."""

    def change(folder):
        (folder.parent / "portfolio.json").write_text('{"positions": [], "trials": null}')
        target = folder.parent / "portfolio.json"

        def put(body):
            body["current"]["files"][name.replace("HERE", str(folder.parent))] = {
                "bytes": target.stat().st_size,
                "sha256": snapshot.disk.digest(target),
            }

        resealed(folder, put)

    return change


def linked(name):
    def change(folder):
        path = place(folder) / name if name else place(folder)
        elsewhere = folder.parent / "elsewhere"
        path.rename(elsewhere)
        path.symlink_to(elsewhere)

    return change


HOSTILE = {  # what is done to a saved fund, and what the refusal says
    "a function that runs text": (
        with_feature({"record": "timeit.timeit", "fields": {"stmt": "open('it ran', 'w')"}}),
        "not among the classes",
    ),
    "a module that acts when imported": (
        with_feature({"record": "hostile_module.Thing", "fields": {}}),
        "not among the classes",
    ),
    "a command": (
        with_feature({"record": "os.system", "fields": {"command": "touch it_ran"}}),
        "not among the classes",
    ),
    "a class as a value": (with_feature({"class": "subprocess.Popen"}), "not among the classes"),
    "a builtin": (
        with_feature({"record": "eval", "fields": {"source": "1"}}),
        "not among the classes",
    ),
    "a private name": (
        with_feature({"record": "features.__getattr__", "fields": {}}),
        "not among the classes",
    ),
    "a field that the class lacks": (
        with_feature(momentum(window=5, evil=1)),
        "has no field 'evil'",
    ),
    "a text for a number": (with_feature(momentum(window="5")), "must be int"),
    "a truth value for a number": (with_feature(momentum(window=True)), "must be int"),
    "a number out of its range": (
        with_feature(momentum(window=-5)),
        "must be a whole number of bars",
    ),
    "records too deep": (with_feature(deep(40)), "deep"),
    "JSON too deep": (lambda folder: forged(folder, "0.json", b"[" * 100_000), r"0\.json"),
    "another record in the strategy's place": (
        lambda folder: forged(
            folder,
            "0.json",
            {
                "strategy": momentum(window=5),
                "ic": [0.0, 0.1],
                "sample": WALK_FORWARD,
                "folds": [],
                "seconds": {},
            },
        ),
        "must hold a Strategy",
    ),
    "a learner that is none": (
        lambda folder: forged(
            folder,
            "0.json",
            {
                "strategy": {
                    "record": "Strategy",
                    "fields": {
                        "features": [],
                        "learner": momentum(window=5),
                        "sizing": {"record": "sizing.Equal", "fields": {}},
                    },
                },
                "ic": [0.0, 0.1],
                "sample": WALK_FORWARD,
                "folds": [],
                "seconds": {},
            },
        ),
        "must be a Learner",
    ),
    "a sizing that is none": (
        lambda folder: forged(
            folder,
            "0.json",
            {
                "strategy": {
                    "record": "Strategy",
                    "fields": {"features": [], "learner": None, "sizing": momentum(window=5)},
                },
                "ic": [0.0, 0.1],
                "sample": WALK_FORWARD,
                "folds": [],
                "seconds": {},
            },
        ),
        "must be Sizing",
    ),
    "a network that fills the memory": (
        with_learner("estimator", {"record": "learn.networks.MLP", "fields": {"hidden": 10**9}}),
        "from 1 to",
    ),
    "a network of another shape": (
        with_learner("estimator", {"record": "learn.networks.MLP", "fields": {"hidden": 5}}),
        "has shape",
    ),
    "an ensemble of another size": (with_learner("ensemble", 10**6), "has shape"),
    "weights of another network": (other_weights, "has shape"),
    "weights that are not finite": (not_finite, "must hold finite numbers"),
    "a pickle for weights": (
        lambda folder: forged(folder, "0.safetensors", pickled(folder)),
        "damaged",
    ),
    "a pickle for an array": (
        lambda folder: forged(folder, "0-information.parquet", pickled_array(folder)),
        "cannot be read",
    ),
    "a pickle for a table": (
        lambda folder: forged(folder, "0.parquet", pickled(folder)),
        "cannot be read",
    ),
    "a forecast that is no number": (forecast_of(np.inf), "must hold numbers"),
    "a name that stands twice": (
        lambda folder: forged(
            folder, "portfolio.json", b'{"positions": [], "trials": null, "trials": null}'
        ),
        "stands twice",
    ),
    "a field nobody knows": (
        lambda folder: forged(
            folder, "portfolio.json", {"positions": [], "trials": None, "ledger": "/etc/passwd"}
        ),
        "must have the names",
    ),
    "a kind nobody knows": (
        with_position({"name": "x", "kind": "code", "value": None}),
        "kind = 'code'",
    ),
    "shares that are text": (
        with_position({"name": "x", "kind": "shares", "value": {"A": "many"}}),
        "value =",
    ),
    "trials below zero": (
        lambda folder: forged(folder, "portfolio.json", {"positions": [], "trials": [-3, 0.1]}),
        "trials =",
    ),
    "trials that are no numbers": (
        lambda folder: forged(
            folder, "portfolio.json", b'{"positions": [], "trials": [NaN, Infinity]}'
        ),
        "trials =",
    ),
    "a number beyond all": (
        with_position({"name": "x", "kind": "shares", "value": {"A": 10**400}}),
        "cannot be read",
    ),
    "a list of letters that fills the memory": (
        with_feature(
            {
                "record": "features.RuleReturns",
                "fields": {
                    "rule": {
                        "record": "rules.MovingAverageCross",
                        "fields": {"fast": {"array": ["a" * 10_000, *[""] * 10_000]}, "slow": 5},
                    }
                },
            }
        ),
        "could not convert|array",
    ),
    "a number for a feature": (with_feature(5), "must be a feature"),
    "a class for a feature": (with_feature({"class": "features.Momentum"}), "must be a feature"),
    "an archive for an array": (
        lambda folder: forged(folder, "0-information.parquet", b"PK\x03\x04" + b"x" * 100),
        "read",
    ),
    "a manifest that is a list": (
        lambda folder: (folder / "manifest.json").write_text('[{"sha256": 1}]'),
        "damaged",
    ),
    "a file above the folder": (named("../portfolio.json"), "plain name"),
    "an absolute file": (named("HERE/portfolio.json"), "plain name"),
    "a hidden file": (named(".bashrc"), "plain name"),
    "a link in a file's place": (linked("0.json"), "no plain file"),
    "a link in the folder's place": (linked(""), "no plain file"),
    "another format": (
        lambda folder: resealed(folder, lambda body: body.__setitem__("format", 99)),
        "format 99",
    ),
    "a folder elsewhere": (
        lambda folder: resealed(
            folder, lambda body: body["current"].__setitem__("folder", "../elsewhere")
        ),
        "must name a folder",
    ),
    "a file of 20 MB": (lambda folder: forged(folder, "0.json", b" " * 20_000_000), "at most"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_does_nothing(name, saved, tmp_path, monkeypatch):
    change, said = HOSTILE[name]
    (tmp_path / "hostile_module.py").write_text(f"open({str(tmp_path / 'it ran')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    change(saved)
    modules = set(sys.modules)
    with pytest.raises(DataError, match=said):
        gq.Portfolio.load(saved)
    assert not (tmp_path / "it ran").exists()
    assert not {
        m
        for m in set(sys.modules) - modules
        if m.startswith(("hostile", "subprocess", "ctypes.util"))
    }


def test_a_loader_that_imports_what_a_file_names_would_be_seen(saved, tmp_path, monkeypatch):
    """A mutant: the module's mark is there, and only with it."""

    def naive(name, records, path):
        if name in records:
            return records[name]
        module, _, cls = name.rpartition(".")
        return getattr(importlib.import_module(module), cls)

    monkeypatch.setattr(serialize, "_find", naive)
    change, _ = HOSTILE["a module that acts when imported"]
    (tmp_path / "hostile_module.py").write_text(f"open({str(tmp_path / 'it ran')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    change(saved)
    with pytest.raises((AttributeError, GpuquantError)):
        gq.Portfolio.load(saved)
    assert (tmp_path / "it ran").exists()


def same(one, two, panel):
    assert list(one.positions) == list(two.positions)
    assert one.positions["../odd name"] == two.positions["../odd name"] and one.cash == two.cash
    pd.testing.assert_frame_equal(one.signals(panel).frame, two.signals(panel).frame)
    np.testing.assert_array_equal(
        one.positions["alpha"].trained.forecast.values,
        two.positions["alpha"].trained.forecast.values,
    )
    pd.testing.assert_frame_equal(
        one.positions["options"].to_frame(), two.positions["options"].to_frame()
    )


def test_what_is_saved_comes_back(fund, saved, walk_panel):
    same(gq.Portfolio.load(saved), fund, walk_panel)


def test_a_class_of_ones_own_is_allowed_by_name_alone(walk_panel, tmp_path):
    made = trained(walk_panel, Distance(window=7))
    made.save(tmp_path / "fund")
    with pytest.raises(
        DataError, match=r"test_fund_folder.Distance' is not among .* allow=\[TheClass\]"
    ):
        gq.Portfolio.load(tmp_path / "fund")
    same(gq.Portfolio.load(tmp_path / "fund", allow=[Distance]), made, walk_panel)
    with pytest.raises(InputError, match="must hold classes"):
        gq.Portfolio.load(tmp_path / "fund", allow=["Distance"])


def test_a_damaged_file_is_named_and_the_save_before_is_there(fund, saved, walk_panel):
    before = place(saved)
    gq.Portfolio({**fund.positions, "cash": 5.0}).save(saved)
    assert (
        gq.Portfolio.load(saved).cash == 5.0
        and gq.Portfolio.load(saved, previous=True).cash == 1000.0
    )
    damaged = place(saved) / "0.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"0\.safetensors is damaged .* previous=True loads it"):
        gq.Portfolio.load(saved)
    same(gq.Portfolio.load(saved, previous=True), fund, walk_panel)
    gq.Portfolio({**fund.positions, "cash": 7.0}).save(
        saved
    )  # what is kept is the last whole one, not the damaged one
    assert (
        gq.Portfolio.load(saved).cash == 7.0
        and gq.Portfolio.load(saved, previous=True).cash == 1000.0
    )
    assert sorted(p.name for p in saved.iterdir()) == sorted(
        ["manifest.json", before.name, place(saved).name]
    )


@pytest.mark.parametrize("count", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_every_flip_and_truncation_is_found(count, saved):
    """Of every file of a saved fund, the manifest among them."""
    draw = np.random.default_rng(count)
    files = [
        path for path in sorted(place(saved).iterdir()) if path.name != "manifest.json"
    ]  # the copy is read where the manifest itself is damaged
    for path in [saved / "manifest.json", *files]:
        whole = path.read_bytes()
        for k in range(count):
            damaged = bytearray(whole)
            if k % 4:
                damaged[draw.integers(len(whole))] ^= 1 << int(draw.integers(8))
            else:
                damaged = damaged[: draw.integers(len(whole))]
            path.write_bytes(damaged)
            with pytest.raises(DataError) as caught:
                gq.Portfolio.load(saved)
            assert path.name in str(caught.value), (path.name, k, str(caught.value))
        path.write_bytes(whole)
    gq.Portfolio.load(saved)


SAVING = """
import numpy as np
import pandas as pd
import gpuquant as gq
from tests.portfolio.test_fund_folder import trained
from pathlib import Path
draw = np.random.default_rng(0)
close = np.exp(np.cumsum(draw.normal(0.0, 0.01, (900, 3)), axis=0)) * 50.0
days = pd.date_range("2015-01-01", periods=900)
fund = trained(gq.Panel.of(pd.DataFrame(close, days, ["A", "B", "C"])))
folder, seen = Path("fund"), []
def work(k):
    for name in range(k * 1000, k * 1000 + 3):
        options = {"options" + str(name): fund.positions["options"]}
        gq.Portfolio({**fund.positions, "cash": float(name), **options}).save(folder)
def check(k):
    for previous in (False, True):
        found = gq.Portfolio.load(folder, previous=previous)
        assert f"options{found.cash:.0f}" in found.positions, "a mixture"
        states = [f.positions["alpha"].trained.states for f in (found, fund)]
        assert len(states[0]) == len(states[1])
    assert len([p for p in folder.iterdir() if p.is_dir()]) <= 3
"""


@pytest.mark.parametrize("kills", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_a_save_that_is_killed_leaves_the_old_or_the_new(kills, tmp_path):
    setup = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{SAVING}"
    said, whole = killed(setup, kills=kills, longest=0.3, folder=tmp_path)
    assert whole, said


def test_a_disk_that_is_full_at_any_write_leaves_the_save_before(fund, saved, monkeypatch):
    """The first, the second, ... call of the system to write fails."""
    held, failed = {name: getattr(os, name) for name in ("open", "fsync", "replace", "mkdir")}, 0
    for name, call in held.items():
        for turn in range(60):
            calls = iter(range(1000))

            def refuse(*arguments, call=call, calls=calls, turn=turn, name=name, **named):
                writes = name != "open" or (len(arguments) > 1 and arguments[1] & os.O_CREAT)
                if writes and next(calls) == turn:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return call(*arguments, **named)

            monkeypatch.setattr(os, name, refuse)
            try:
                gq.Portfolio({**fund.positions, "cash": 77.0}).save(saved)
                break
            except DiskError as failure:
                failed += 1
                assert "No space left" in str(failure) and (
                    "there still" in str(failure) or "is written" in str(failure)
                )
            finally:
                monkeypatch.setattr(os, name, call)
            assert gq.Portfolio.load(saved).cash in (1000.0, 77.0)
    assert failed >= 10
    gq.Portfolio({**fund.positions, "cash": 78.0}).save(saved)
    assert gq.Portfolio.load(saved).cash == 78.0
    assert len(list(saved.iterdir())) == 3, "the manifest and two saves, and nothing half"


TRAINING = """
import numpy as np
import pandas as pd
import gpuquant as gq
from tests.portfolio.test_fund_folder import strategy
from gpuquant import splits
from gpuquant.validation.overfitting import TrialLog
from pathlib import Path
draw = np.random.default_rng(0)
close = np.exp(np.cumsum(draw.normal(0.0, 0.01, (900, 3)), axis=0)) * 50.0
panel = gq.Panel.of(pd.DataFrame(close, pd.date_range("2015-01-01", periods=900), ["A", "B", "C"]))
def work(k):
    alpha = gq.Portfolio({"alpha": strategy(), "cash": float(k + 1)})
    walk = splits.WalkForward(train="24M", test="2M", expanding=True)
    fund = alpha.train(panel, splits=walk, ledger="trials")
    fund.save("fund")
def check(k):
    tried = len(TrialLog("trials").frame())
    assert tried >= check.tried, "a trial was lost"
    check.tried = tried
    fund = gq.Portfolio.load("fund")
    assert 1.0 <= fund.cash <= k + 1.0 and fund.ledger.trials()[0] == 1
check.tried = 1
"""


@pytest.mark.parametrize("kills", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_training_that_is_killed_loses_no_trial_and_no_fund(kills, tmp_path):
    said, whole = killed(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{TRAINING}",
        kills=kills,
        longest=0.8,
        folder=tmp_path,
    )
    assert whole, said


def test_a_damaged_manifest_costs_no_save(fund, saved, walk_panel):
    gq.Portfolio({**fund.positions, "cash": 5.0}).save(saved)
    manifest = saved / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"manifest\.json is damaged .* previous=True loads it"):
        gq.Portfolio.load(saved)
    assert gq.Portfolio.load(saved, previous=True).cash == 5.0
    gq.Portfolio({**fund.positions, "cash": 6.0}).save(saved)
    assert (
        gq.Portfolio.load(saved).cash == 6.0 and gq.Portfolio.load(saved, previous=True).cash == 5.0
    )
    manifest.unlink()  # and what is not named is not swept before there is something else
    gq.Portfolio({**fund.positions, "cash": 7.0}).save(saved)
    assert gq.Portfolio.load(saved, previous=True).cash == 6.0


def test_a_manifest_of_another_program_is_not_overwritten(fund, tmp_path):
    (tmp_path / "manifest.json").write_text('{"name": "a web page"}')
    with pytest.raises(DataError, match="is no manifest of a saved fund"):
        fund.save(tmp_path)
    assert (tmp_path / "manifest.json").read_text() == '{"name": "a web page"}' and len(
        list(tmp_path.iterdir())
    ) == 1


def test_a_fund_may_lie_beside_anything(fund, tmp_path):
    (tmp_path / "probe").mkdir()
    fund.save(tmp_path)
    assert gq.Portfolio.load(tmp_path).cash == 1000.0


@pytest.mark.parametrize("wrong", [3, None, "absent", ""])
def test_what_is_no_folder_is_an_error_of_ours(wrong):
    with pytest.raises(GpuquantError):
        gq.Portfolio.load(wrong)


def test_a_first_save_that_fails_leaves_nothing(fund, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(DiskError):
        fund.save(tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())
