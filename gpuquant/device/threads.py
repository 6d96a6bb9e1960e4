"""Work shared by threads, which Ctrl-C may strike at any moment.

Ctrl-C comes between any two bytecodes, also within a lock of `threading` or a future of
`concurrent.futures`. Such a lock stays locked then, and whoever needs it next waits for ever. So
nothing here holds a lock of Python's while it waits.
"""

from __future__ import annotations

import threading
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from gpuquant.forks import in_child

Tasks = SimpleQueue[Callable[[], None]]


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
    left, results = iter(list(items)), deque[Any]()

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

    helpers = _Helpers(some, min(threads, len(items)) - (halt is None))
    try:
        helpers.begin(None if halt is not None else pool(threads))
        if halt is None:
            some(report)
        helpers.finish(report, drop=halt is None)
    except BaseException:
        if halt is not None:
            halt[0] = 1
        for _ in left:
            pass
        helpers.end()
        raise
    report()


class _Helpers:
    """Threads that run one task beside the caller. Their state changes by single calls of C alone:
    `setdefault`, an item's assignment, a SimpleQueue.
    """

    def __init__(self, task: Callable[[], None], count: int) -> None:
        self.task, self.count = task, count
        self.claims: dict[int, str] = {}  # of each: it has begun, or the caller has dropped it
        self.outcomes: dict[int, BaseException | None] = {}  # of those that ended
        self.ended = SimpleQueue[None]()

    def begin(self, pool: Tasks | None) -> None:
        """Begin on the threads of a pool, or on threads of their own."""
        for k in range(self.count):
            if pool is None:
                start_new_thread(self._run, (k,))
            else:
                pool.put(partial(self._run, k))

    def _run(self, k: int) -> None:
        if self.claims.setdefault(k, "begun") == "dropped":
            return
        try:
            self.task()
            self.outcomes[k] = None
        except BaseException as failure:
            self.outcomes[k] = failure
        self.ended.put(None)

    def finish(self, report: Callable[[], None], *, drop: bool) -> None:
        """Wait for all; with `drop`, for those alone that have begun. Raise what one raised."""
        while any(
            k not in self.outcomes
            and not (drop and self.claims.setdefault(k, "dropped") == "dropped")
            for k in range(self.count)
        ):
            with suppress(Empty):
                self.ended.get(timeout=0.1)
            report()
        for failure in self.outcomes.values():
            if failure is not None:
                raise failure

    def end(self) -> None:
        """Wait for those that have begun, whatever they raise: the caller has its own failure."""
        with suppress(BaseException):
            self.finish(lambda: None, drop=True)


_pools: dict[int, Tasks] = {}
_pools_lock = threading.Lock()


def _renew() -> None:
    """Forget the pools in a forked child, which has the pools but not their threads."""
    global _pools_lock
    _pools.clear()
    _pools_lock = threading.Lock()


in_child(_renew)


def pool(threads: int) -> Tasks:
    """The tasks that this many waiting threads take; made once."""
    with _pools_lock:
        if threads not in _pools:
            tasks: Tasks = SimpleQueue()
            for _ in range(threads):
                start_new_thread(_serve, (tasks,))
            _pools[threads] = tasks
        return _pools[threads]


def _serve(tasks: Tasks) -> None:
    while True:
        tasks.get()()
