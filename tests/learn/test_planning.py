"""The memory that a plan states is what a training takes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import gpuquant
from gpuquant import learn
from gpuquant.errors import InputError
from gpuquant.system import memory

ROOT = Path(gpuquant.__file__).parent.parent
LINUX = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads /proc")
SMALL = [{"network": "MLP", "size": 3000, "windows": 8000}]
MORE = [
    {"network": "CrossSection", "size": 1024, "windows": 2000, "recompute": True, "microbatch": 5},
    {"network": "MLP", "size": 1000, "windows": 32000},
    {"network": "MLP", "size": 5000, "windows": 4000},
    {"network": "TCN", "size": 128, "windows": 8000},
    {"network": "TCN", "size": 512, "windows": 2000},
    {"network": "TCN", "size": 256, "windows": 8000},
    {"network": "CrossSection", "size": 512, "windows": 4000},
    {"network": "CrossSection", "size": 1024, "windows": 1000},
    {"network": "Transformer", "size": 128, "windows": 4000},
    {"network": "Transformer", "size": 512, "windows": 2000, "recompute": True},
    {"network": "Transformer", "size": 1024, "windows": 500},
    {"network": "CrossSection", "size": 1024, "windows": 4000, "ranks": 2, "parallel": "data"},
    {"network": "CrossSection", "size": 1024, "windows": 4000, "ranks": 2, "parallel": "sharded"},
    {"network": "CrossSection", "size": 2048, "windows": 1000, "ranks": 2}
    | {"parallel": "sharded", "recompute": True},
]

LARGEST = {  # 1.05 billion weights, half of them in each process
    "network": "CrossSection", "size": 2560, "layers": 20, "windows": 200, "steps": 2, "ranks": 2,
    "parallel": "sharded", "recompute": True,
}  # fmt: skip
ENOUGH = pytest.mark.skipif((memory() or 0) < 22 * 10**9, reason="needs 22 GB of memory")


def label(case):
    return " ".join(map(str, case.values()))


@LINUX
@pytest.mark.parametrize(
    "case",
    [
        *SMALL,
        *(pytest.param(case, marks=pytest.mark.slow) for case in MORE),
        pytest.param(LARGEST, marks=[pytest.mark.slow, ENOUGH]),
    ],
    ids=label,
)
def test_a_plan_is_within_a_tenth_of_what_was_measured(case):
    """By the system, of a process whose freed memory goes back at once."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.learn.measured", json.dumps(case)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["measured"] > 200 * 2**20, told
    assert 0.9 < told["planned"] / told["measured"] < 1.1, told


def made(network=None, **how):
    network = learn.networks.CrossSection(64, layers=4) if network is None else network
    config = learn.TrainingConfig(**{"batch_windows": 1000, **how})
    return learn.Learner(network, window=5, training=config)


def test_what_is_shared_is_less_on_each():
    one = learn.plan(made(), features=10, assets=50)
    count = sum(
        p.numel() for p in learn.networks.CrossSection(64, layers=4).build(5, 10).parameters()
    )
    assert one.parameters == one.gradients == 4 * count and one.optimiser == 8 * count
    data = learn.plan(made(parallel="data"), features=10, assets=50, ranks=4)
    assert data.parameters == one.parameters
    assert data.activations == pytest.approx(one.activations / 4, rel=0.01)
    sharded = learn.plan(made(parallel="sharded"), features=10, assets=50, ranks=4)
    for name in ("parameters", "gradients", "optimiser"):
        assert getattr(sharded, name) == pytest.approx(getattr(one, name) / 4, rel=0.01)
    again = learn.plan(made(recompute=True), features=10, assets=50)
    assert again.activations < one.activations / 2
    parts = learn.plan(made(microbatch=2), features=10, assets=50)
    assert parts.activations < one.activations / 5
    half = learn.plan(made(batch_windows=500), features=10, assets=50)
    assert half.activations == pytest.approx(one.activations / 2, rel=0.01)


def test_nothing_of_the_planned_size_is_made():
    """A network of a billion weights is planned in a moment."""
    network = learn.networks.CrossSection(width=2560, heads=20, layers=20)
    before = torch.get_rng_state()
    plan = learn.plan(made(network, parallel="sharded"), features=60, assets=500, ranks=8)
    assert 8 * plan.parameters / 4 > 1e9
    assert torch.equal(before, torch.get_rng_state())


def test_wrong_calls_are_named():
    with pytest.raises(InputError, match="plan ranks = 0: must be"):
        learn.plan(made(), features=10, assets=50, ranks=0)
    with pytest.raises(InputError, match="plan: Ridge is no network"):
        learn.plan(learn.Learner(learn.Ridge()), features=10, assets=50)
