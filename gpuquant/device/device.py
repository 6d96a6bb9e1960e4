"""Where work runs: `cpu`, `cpu:2` (two threads), `cuda`, `cuda:1`, `auto`, and `python`, which a
debugger can follow.

A `Device` moves arrays to the device and back, notes both in the transfer log, and says why it was
chosen.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.device.arrays import gpu_of, on_gpu, on_host
from gpuquant.device.traffic import crossed
from gpuquant.errors import InputError
from gpuquant.forks import in_child
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


def share(
    work: Callable[[Any], Any],
    items: Sequence[Any],
    threads: int,
    done: Callable[[Any], Any] | None = None,
    halt: Any = None,
) -> None:
    """Call `work` for every item, on `threads` threads.

    Without `halt` the calling thread is one of them: a short run need not wait for a thread to
    wake, and Ctrl-C takes effect between two items. `halt` is for items that may take long: an
    array whose first element makes an item end early. The calling thread then only waits, and sets
    this element at once after Ctrl-C or a failure.

    `done` is called with each result, in the calling thread. When an item fails, and at Ctrl-C,
    items that have not begun are dropped, and running items end before the error is raised.
    """
    left, results = iter(list(items)), deque[Any]()  # next() and append() are atomic

    def some(report: Callable[[], None] | None = None) -> None:
        try:
            for item in left:
                results.append(work(item))
                if report:
                    report()
        except BaseException:
            for _ in left:
                pass
            raise

    def report() -> None:
        while results and done:
            done(results.popleft())

    helpers: list[Future[None]] = []
    workers = (
        pool(threads) if halt is None else ThreadPoolExecutor(threads)
    )  # a long run has a pool of its own, and blocks no other run
    try:
        helpers += [workers.submit(some) for _ in range(min(threads, len(items)) - (halt is None))]
        if halt is None:
            some(report)
        for helper in helpers:
            while not (halt is None and helper.cancel()) and not wait([helper], timeout=0.1).done:
                report()
            if not helper.cancelled():
                helper.result()
    except BaseException:
        if halt is not None:
            halt[0] = 1
        for _ in left:
            pass
        wait([helper for helper in helpers if not helper.cancel()])
        raise
    finally:
        if halt is not None:
            workers.shutdown(wait=False)
    report()


_pools: dict[int, ThreadPoolExecutor] = {}
_pools_lock = threading.Lock()


def _renew() -> None:
    """Forget the pools in a forked child, which has the pools but not their threads."""
    global _pools_lock
    _pools.clear()
    _pools_lock = threading.Lock()


in_child(_renew)


def pool(threads: int) -> ThreadPoolExecutor:
    """The thread pool of this size, made once."""
    with _pools_lock:
        if threads not in _pools:
            _pools[threads] = ThreadPoolExecutor(threads, thread_name_prefix=f"gpuquant-{threads}")
        return _pools[threads]


def resolve_device(
    device: str | Device = "auto",
    *,
    work: float | None = None,
    crossover: float = CROSSOVER_PATH_STEPS,
    inputs: Iterable[Any] = (),
) -> Device:
    """The device for a run.

    Parameters
    ----------
    device : str or Device
        `auto`, `cpu`, `cpu:N` (N threads), `cuda`, `cuda:N`, or `python`: slow, for a debugger.
    work : float, optional
        Path-steps or columns of the run; `auto` keeps work below `crossover` on the CPU.
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
