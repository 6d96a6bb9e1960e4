"""Locks of a process that forks: none is held in the child by a thread that the child does not
have.

What the compiler does is never cut in two: a fork waits until another thread has made its kernel.
LLVM's own locks are free then, too, since nothing of ours calls LLVM without this one. What is only
looked up is made anew in the child.
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
    """Progress bars of another thread may have been drawn at the fork."""
    lock = threading.RLock()
    for name in ("tqdm", "tqdm.auto"):  # each has a class of bars, and each class its lock
        if name in sys.modules:
            sys.modules[name].tqdm.set_lock(lock)


system.on_fork(before=compiling.acquire, in_parent=compiling.release, in_child=compiling.release)
in_child(_renew_bars)
