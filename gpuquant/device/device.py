"""Where work runs: `cpu`, `cpu:2` (two threads), `cuda`, `cuda:1`, `auto`, and `python`, which a
debugger can follow.

A `Device` moves arrays to the device and back, notes both in the transfer log, and says why it was
chosen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.device.arrays import gpu_of, on_gpu, on_host
from gpuquant.device.threads import share
from gpuquant.device.traffic import crossed
from gpuquant.errors import InputError
from gpuquant.shown import Shown
from gpuquant.system import cores

CROSSOVER_PATH_STEPS = 1e5  # with less work the CPU is faster than a launch and its transfers
CROSSOVER_COLUMNS = 10_000


@dataclass(frozen=True)
class Device(Shown):
    """One device to run on.

    Parameters
    ----------
    kind : str
        `cpu`, `cuda`, or `python`: the same kernel source, run by Python.
    index : int
        The number of the GPU.
    threads : int
        Threads of the pool, on a CPU.
    reason : str
        Why this device was chosen, for the result's `meta`.
    """

    kind: str
    index: int = 0
    threads: int = 1
    reason: str = ""

    @property
    def name(self) -> str:
        """How the user would ask for it: `cpu` or `cuda:0`."""
        return self.kind if self.kind != "cuda" else f"cuda:{self.index}"

    @property
    def bus(self) -> str:
        """The PCI address of a GPU; empty for a CPU."""
        if self.kind != "cuda":
            return ""
        from gpuquant.device import cuda

        return cuda.bus(self.index)

    @property
    def xp(self) -> Any:
        """The array namespace: numpy, or CuPy on a GPU."""
        if self.kind != "cuda":
            return np
        from gpuquant.device import cuda

        return cuda.namespace(self.index)

    @property
    def special(self) -> Any:
        """The namespace of `ndtr` and its like for `xp`."""
        if self.kind != "cuda":
            import scipy.special as special
        else:
            import cupyx.scipy.special as special
        return special

    def each(self, work: Callable[[slice], None], n: int, size: int) -> None:
        """Call `work` for all parts of `n` rows. On a CPU a part has `size` rows, and threads share
        the parts, since NumPy releases the GIL. On a GPU all rows are one part.
        """
        share(
            work,
            [slice(0, n)]
            if self.kind == "cuda"
            else [slice(begin, begin + size) for begin in range(0, n, size)],
            self.threads,
        )

    def holds(self, array: Any) -> bool:
        """Whether an array of any library lies on this GPU."""
        return self.kind == "cuda" and gpu_of(array) == self.index

    def put(self, array: Any, name: str, dtype: Any = None) -> Any:
        """The array on this device, contiguous; the transfer log notes it under `name` unless it
        was there already.
        """
        if self.holds(array):
            return self.contiguous(on_gpu(array, self.index, name), dtype)
        host = HOST.contiguous(on_host(array, name), dtype)
        crossed("up", name, host.nbytes)
        return host if self.kind != "cuda" else self.xp.asarray(host)

    def contiguous(self, array: Any, dtype: Any = None) -> Any:
        """An array of this device in the form that a kernel reads: C-contiguous, and each number
        at an address that is a multiple of its size.
        """
        packed = self.xp.ascontiguousarray(array, dtype)
        return packed if self.kind == "cuda" or packed.flags.aligned else packed.copy()

    def get(self, array: Any, name: str) -> np.ndarray:
        """The array on the host; the transfer log notes it under `name`."""
        crossed("down", name, array.nbytes)
        result: np.ndarray = array.get() if hasattr(array, "get") else array
        return result


HOST = Device("cpu")


def resolve_device(
    device: str | Device = "auto",
    *,
    work: float | Callable[[], float] | None = None,
    crossover: float = CROSSOVER_PATH_STEPS,
    inputs: Iterable[Any] = (),
) -> Device:
    """The device for a run.

    Parameters
    ----------
    device : str or Device
        `auto`, `cpu`, `cpu:N` (N threads), `cuda`, `cuda:N`, or `python`: slow, for a debugger.
    work : float or callable that counts it, optional
        Path-steps or columns of the run; `auto` keeps work below `crossover` on the CPU. It is
        counted only where there is a choice.
    inputs : iterable, optional
        The caller's arrays: where one of them lies on a GPU, `auto` takes that GPU.

    Raises
    ------
    DeviceUnavailable
        A GPU was asked for and cannot be used: the message says what is missing and how to get it.
    """
    if isinstance(device, Device):
        return device
    match = re.fullmatch(r"(auto|cpu|cuda|python)(?::(\d+))?", str(device))
    if not match or (match[1] in ("auto", "python") and match[2]):
        raise InputError(
            f"device = {device!r}: must be 'auto', 'cpu', 'cpu:THREADS', 'cuda', "
            "'cuda:INDEX' or 'python'"
        )
    from gpuquant.device import cuda

    kind, number = match[1], match[2]
    if kind == "cpu":
        if number == "0":
            raise InputError("device = 'cpu:0': a run needs at least one thread")
        return Device("cpu", threads=int(number or cores()), reason="asked for")
    if kind == "python":
        return Device("python", reason="asked for")
    if kind == "cuda":
        cuda.require(int(number or 0))
        return Device("cuda", index=int(number or 0), reason="asked for")
    here = next((gpu for gpu in map(gpu_of, inputs) if gpu is not None), None)
    if here is not None:
        cuda.require(here)
        return Device("cuda", index=here, reason=f"auto: the inputs lie on cuda:{here}")
    problem = cuda.problem(0)
    if problem:
        return Device("cpu", threads=cores(), reason=f"auto: no usable GPU ({problem})")
    work = work() if callable(work) else work
    if work is not None and work < crossover:
        return Device(
            "cpu",
            threads=cores(),
            reason=f"auto: {work:.3g} units of work, below the crossover of {crossover:.3g}",
        )
    return Device("cuda", reason="auto: a GPU is present and the work is above the crossover")


def available() -> list[str]:
    """The kinds of device this machine can run on."""
    from gpuquant.device import cuda

    return ["cpu", *([] if cuda.problem(0) else ["cuda"])]
