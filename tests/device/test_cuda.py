"""The GPU's host side without a GPU: what is given to CuPy is what the kernel's PTX takes."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import gpuquant as gq
from gpuquant.device import Device, cuda

SIZES = {"u8": 1, "u32": 4, "u64": 8, "f32": 4, "f64": 8, "b8": 1, "b32": 4, "b64": 8}


class Array(np.ndarray):
    """An array that says it lies on a GPU."""

    @property
    def __cuda_array_interface__(self):
        return self.__array_interface__


@pytest.fixture
def cupy(monkeypatch):
    """A CuPy that notes what it is asked to load and to launch."""
    made = types.ModuleType("cupy")
    made.loaded, made.launched = [], []

    class Device:
        compute_capability = "120"

        def __init__(self, index):
            pass

        def use(self):
            made.current = self

    class RawModule:
        def __init__(self, path):
            self.text = Path(path).read_text()
            made.loaded.append(self.text)

        def get_function(self, name):
            return lambda grid, block, given: made.launched.append((name, grid, block, given))

    made.stream = types.SimpleNamespace(synchronize=lambda: made.launched.append("done"))
    made.cuda = types.SimpleNamespace(Device=Device, get_current_stream=lambda: made.stream)
    made.RawModule = RawModule
    made.empty = lambda *a, **k: np.zeros(*a, **k).view(Array)
    made.asarray = lambda array: np.asarray(array).view(Array)
    made.ascontiguousarray = np.ascontiguousarray
    monkeypatch.setattr(cuda, "problem", lambda index: "")
    monkeypatch.setitem(sys.modules, "cupy", made)
    cuda._loaded.cache_clear()
    yield made
    cuda._loaded.cache_clear()


def check(cupy):
    """Every launch gave as many scalars, of as many bytes, as its kernel takes."""
    text = cupy.loaded[-1]
    wanted = [
        SIZES[kind] for kind in re.findall(r"\.param \.(\w+) (?:\.ptr [^r]*)?run_param_\d+", text)
    ]
    launches = [one for one in cupy.launched if one != "done"]
    assert cupy.launched[-1] == "done" and launches
    for name, _, block, given in launches:
        sizes = [8 if isinstance(one, Array) else one.dtype.itemsize for one in given]
        assert name == "run" and block == (256,) and sizes == wanted, (sizes, wanted)
    return launches, text


def test_a_launch_gives_what_the_kernel_takes(cupy):
    # without a strike there is no control variate, whose price would be computed on the GPU
    call = gq.payoffs.FloatingLookback(
        option_type="call", maturity=[1.0, 2.0], monitoring="discrete", observations=4
    )
    model = gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=0.2)
    gq.price(call, model, paths=5000, engine="monte_carlo", device="cuda", greeks=True)
    launches, text = check(cupy)
    # three units of 2048 paths for each of two rows: of the derivatives, and of the bumps of gamma
    assert sum(grid[0] for _, grid, *_ in launches) == 12
    assert ".target sm_90" in text  # the newest that LLVM is asked for, which a later GPU takes


def test_a_back_tests_launch_too(cupy, walk_panel):
    gq.backtest(
        walk_panel,
        gq.rules.MovingAverageCross(fast=range(2, 60), slow=range(60, 80)),
        device="cuda",
    )
    launches, _ = check(cupy)
    assert sum(grid[0] for _, grid, *_ in launches) == -(-6 * 58 * 20 // 256)


def test_a_long_run_is_several_launches(cupy, monkeypatch):
    monkeypatch.setattr(cuda, "MOST_BLOCKS", 4)
    text = "def run(unit0, x, n):\n    x[unit0 + block_number(), thread_number()] = n\n"
    cuda.launch(text, 10, (np.zeros((10, 256)).view(Array), 7), Device("cuda"))
    launches, _ = check(cupy)
    assert [(grid, int(given[0])) for _, grid, _, given in launches] == [
        ((4,), 0),
        ((4,), 4),
        ((2,), 8),
    ]
    assert [type(one) for one in launches[0][3][2:]] == [np.int64, np.int64, np.int64]


def test_rows_that_are_apart_have_strides(cupy):
    text = "def run(unit0, x):\n    x[0, thread_number()] = 1.0\n"
    cuda.launch(text, 1, (np.zeros((4, 6)).view(Array)[:, ::2],), Device("cuda"))
    ((_, _, _, given),), _ = check(cupy)
    assert [int(one) for one in given[2:]] == [4, 3, 48, 16]


def test_a_callers_stream_is_the_one_that_is_waited_for(cupy, walk_panel):
    """CuPy launches on the stream that is current; no other is waited for."""
    waited = []
    cupy.stream = types.SimpleNamespace(synchronize=lambda: waited.append(len(cupy.launched)))
    gq.backtest(walk_panel, gq.rules.MovingAverageCross(fast=2, slow=5), device="cuda")
    assert waited == [len(cupy.launched)] == [1] and "done" not in cupy.launched
