"""Devices: choosing, refusing, counting what crosses, keeping kernels, stopping when told."""

import os
import threading
import time

import numpy as np
import pytest

import gpuquant as gq
from gpuquant.device import Device, cuda, resolve_device, transfer_log
from gpuquant.device.threads import share
from gpuquant.errors import DeviceUnavailable, InputError


@pytest.mark.parametrize("wrong", ["gpu", "cpu:0", "cuda:x", "auto:1", "", "cpu:-1"])
def test_an_unknown_device_is_refused(wrong):
    with pytest.raises(InputError, match="device = "):
        resolve_device(wrong)


def test_an_absent_gpu_is_an_error_that_helps(monkeypatch):
    monkeypatch.setattr(cuda, "problem", lambda index: "cupy is not installed")
    with pytest.raises(
        DeviceUnavailable, match=r"cupy is not installed.*pip install 'gpuquant\[cuda13\]'"
    ):
        resolve_device("cuda")


def test_auto_says_why(monkeypatch):
    monkeypatch.setattr(cuda, "problem", lambda index: "no driver")
    assert "no driver" in resolve_device("auto").reason
    monkeypatch.setattr(cuda, "problem", lambda index: "")
    assert resolve_device("auto", work=10).kind == "cpu"
    assert "crossover" in resolve_device("auto", work=10).reason
    assert resolve_device("auto", work=1e12).kind == "cuda"


def test_each_array_crosses_once(walk_panel):
    call = gq.payoffs.Asian(option_type="call", strike=[90.0, 100.0], maturity=1.0, fixings=4)
    model = gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=0.2)
    with transfer_log() as book:
        gq.price(call, model, paths=20_000, engine="monte_carlo", greeks=True)
    names = [name for name, _ in book.up]
    own = {"unit_row", "unit_first", "unit_count", "unit_net"}  # of each launch
    own |= {"nets", "betas", "weights", "stop"}
    bumps = {"scale", "moves of the spot", "shift", "later", "slopes", "rotations"}  # of a kernel
    # the columns of the control variate, for its exact Greeks and for its gamma by bumps
    formula = {"first dates", *call.columns(), *model.columns()}
    once = [name for name in names if name not in own | bumps | formula]
    assert len(once) == len(set(once)), names
    assert all(names.count(name) == 2 for name in bumps | formula - {"passed"}), names
    assert all(names.count(name) == 4 for name in own), names
    # a pilot tells the betas of the control variate, whose price is a formula's
    assert [name for name, _ in book.down] == ["price", "price", *["sums"] * 4]
    price, sums = 2 * 6 * 8, 2 * 6 * 4 * 8  # rows x outputs x (count, mean, squares, cubes)
    # a price beside gamma, too; the pilot has three betas, the run ten tiles for each row: no path
    # came back
    assert book.bytes("down") == price + 2 * 8 + 3 * sums + 10 * sums
    with transfer_log() as book:
        for fast in (2, 3):
            gq.backtest(walk_panel, gq.rules.MovingAverageCross(fast=fast, slow=5))
    assert book.times("close") <= 1
    assert book.times("sums", "down") == 2


def test_items_are_shared_once():
    for threads, length in ((1, 7), (2, 1), (2, 1000), (3, 10)):
        seen = np.zeros(101, int)

        def work(first, seen=seen, length=length):
            seen[first : first + length] += 1
            return min(length, 101 - first)

        done = []
        share(work, range(0, 101, length), threads, done.append)
        assert (seen == 1).all()
        assert sum(done) == 101


def test_a_failing_item_stops_the_run():
    def work(first):
        raise ValueError("broken item")

    with pytest.raises(ValueError, match="broken item"):
        share(work, range(1000), 2)


def test_an_item_that_fails_on_another_thread_stops_the_run():
    """The rest is dropped, and the error is the caller's."""
    here, begun = threading.get_ident(), []

    def work(first):
        begun.append(first)
        if threading.get_ident() != here:
            raise ValueError("broken item")
        time.sleep(0.01)

    with pytest.raises(ValueError, match="broken item"):
        share(work, range(10_000), 2)
    assert len(begun) < 1000


def test_a_new_process_uses_the_kept_kernel(python, tmp_path):
    source = """
        import sys
        import gpuquant as gq
        from gpuquant.compiler import llvm
        made, compiled = [], llvm.compiled
        llvm.compiled = lambda text: made.append(text) or compiled(text)
        call = gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0)
        model = gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=0.2)
        found = gq.price(call, model, paths=1000, engine="monte_carlo", device="cpu")
        print(found.price, len(made), "numba" in sys.modules)
        """
    first, second = (python(source, GPUQUANT_CACHE=str(tmp_path)).split() for _ in range(2))
    assert first == [second[0], "1", "False"]
    assert second[1:] == ["0", "False"]


def test_a_kept_file_that_was_cut_short_is_made_anew(python, tmp_path):
    source = """
        import gpuquant as gq
        call = gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0)
        flat = gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=0.2)
        print(gq.price(call, flat, paths=1000, engine="monte_carlo", device="cpu").price)
        """
    first = python(source, GPUQUANT_CACHE=str(tmp_path))
    files = [path for path in (tmp_path / "kernels").iterdir() if path.suffix in (".o", ".text")]
    assert {path.suffix for path in files} == {".o", ".text"}
    for path in files:
        path.write_bytes(path.read_bytes()[:-100])
    assert python(source, GPUQUANT_CACHE=str(tmp_path)) == first


def test_a_member_that_changes_between_processes_is_compiled_anew(python, tmp_path):
    source = """
        import sys, gpuquant as gq
        from gpuquant.pricing.kernels import build
        sys.path.insert(0, FOLDER)
        import changing
        flat = gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=0.2)
        fixed = changing.Fixed(option_type="call", strike=1.0, maturity=1.0)
        price = gq.price(fixed, flat, paths=10, engine="monte_carlo")
        pair = build.Pair(gq.models.BlackScholes, changing.Fixed, (), "double")
        # what is kept is what would be made
        assert build.source(pair, "cpu") == build._source(pair, "cpu").text()
        print(price.price)
        """.replace("FOLDER", repr(str(tmp_path)))
    payoff = """
from dataclasses import dataclass
from gpuquant.payoffs import European
SIZE = {size}
def doubled(x):
    return {factor} * x
@dataclass(frozen=True)
class Fixed(European):
    @staticmethod
    def finish(p, i, acc, log_spots):
        return doubled(SIZE)
"""
    for size, factor in ((1.0, 2.0), (3.0, 2.0), (3.0, 5.0)):
        (tmp_path / "changing.py").write_text(payoff.format(size=size, factor=factor))
        found = python(source, GPUQUANT_CACHE=str(tmp_path / "cache"), PYTHONDONTWRITEBYTECODE="1")
        assert float(found) == size * factor


def test_place_names():
    assert Device("cpu", threads=2).name == "cpu"
    assert Device("cuda", index=1).name == "cuda:1"
    assert resolve_device("cpu:2").threads == 2
    assert resolve_device(Device("cpu", threads=1)).threads == 1
    assert os.cpu_count()
