"""Locks of a process that forks: in the child, no lock is held by a thread that exists only in the
parent.

A fork never interrupts the compiler: it waits until other threads have compiled their kernels.
LLVM's own locks are free then, too, since gpuquant calls LLVM only under the lock `compiling`.
Thread pools and other locks are made anew in the child.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from gpuquant import system

compiling = threading.RLock()  # held by whoever compiles or loads a kernel


def in_child(renew: Callable[[], object]) -> None:
    """Call `renew` in every child that this process forks."""
    system.on_fork(in_child=renew)


def _renew_bars() -> None:
    """Give tqdm a new lock: another thread may have held the old lock at the fork."""
    lock = threading.RLock()
    for name in ("tqdm", "tqdm.auto"):  # each has a class of bars, and each class its lock
        if name in sys.modules:
            sys.modules[name].tqdm.set_lock(lock)


system.on_fork(before=compiling.acquire, in_parent=compiling.release, in_child=compiling.release)
in_child(_renew_bars)
