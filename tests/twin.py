"""What a GPU's threads do, done by Python's: the form that a kernel has on a GPU, block by block,
with its barriers and the memory that a block shares.

It stands in for the GPU's host side where there is none, so that everything above it runs as on
one, at tiny size.
"""

import ast
import re
import sys
import threading
import types
from dataclasses import replace

import numpy as np
import scipy.special

from gpuquant.compiler import interpret, reduction
from gpuquant.compiler.kernel import Source
from gpuquant.compiler.targets import CUDA, TARGETS
from gpuquant.device import cuda

THREADS = 32  # of a block, in place of 256


class OnGPU(np.ndarray):
    """An array that says that it lies on GPU 0, as those of CuPy and of PyTorch do."""

    def __dlpack_device__(self):
        return (2, 0)

    @property
    def __cuda_array_interface__(self):
        return self.__array_interface__

    def __array_finalize__(self, other):
        self.reads = getattr(other, "reads", [])

    def get(self):
        """The array on the host, noted."""
        self.reads.append(self.shape)
        return np.array(self)


class Namespace:
    """NumPy in CuPy's place."""

    def __getattr__(self, name):
        return getattr(np, name)

    def empty(self, *shape):
        return np.empty(*shape).view(OnGPU)

    def zeros(self, *shape):
        return np.zeros(*shape).view(OnGPU)

    def from_dlpack(self, array):
        return array

    def ascontiguousarray(self, array, dtype=None):
        return np.ascontiguousarray(array, dtype).view(type(array))


def stand_in(monkeypatch):
    """Let `device="cuda"` mean these threads."""
    monkeypatch.setattr(cuda, "problem", lambda index: "")
    monkeypatch.setattr(cuda, "namespace", lambda index: Namespace())
    monkeypatch.setattr(cuda, "launch", launch)
    monkeypatch.setitem(sys.modules, "cupyx", types.ModuleType("cupyx"))
    monkeypatch.setitem(sys.modules, "cupyx.scipy", types.ModuleType("cupyx.scipy"))
    monkeypatch.setitem(sys.modules, "cupyx.scipy.special", scipy.special)
    monkeypatch.setitem(TARGETS, "cuda", replace(CUDA, width=THREADS))


def launch(text, units, arguments, device):
    """Every block of a launch, one after the other."""
    source = Source((*reduction.source(threads=True).values(), *ast.parse(text).body))
    for block in range(units):
        here, wait, tables = threading.local(), threading.Barrier(THREADS), {}

        def shared(shape, kind, here=here, tables=tables):
            here.asked = getattr(here, "asked", 0) + 1
            return tables.setdefault(here.asked, np.full(shape, np.nan, kind))

        duals = dict.fromkeys(re.findall(r"f\d+_with_\d+_slopes", text), object)
        entry = interpret.interpreted(
            source,
            **duals,
            LANES=1,
            WIDTH=THREADS,
            shared=shared,
            barrier=wait.wait,
            block_number=lambda block=block: block,
            thread_number=lambda here=here: here.number,
        )
        failures = []

        def thread(number, here=here, entry=entry, wait=wait, failures=failures):
            here.number = number
            try:
                entry(0, *arguments)
            except Exception as failure:
                failures.append(failure)
                wait.abort()

        threads = [threading.Thread(target=thread, args=(number,)) for number in range(THREADS)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        if failures:
            raise next(
                (f for f in failures if not isinstance(f, threading.BrokenBarrierError)),
                failures[0],
            )
