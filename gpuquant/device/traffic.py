"""The transfer log: how many bytes and arrays crossed between host and device, on the CPU too.

On a CPU nothing moves, but the crossing points are the same, so a test without a GPU can assert
that each array of a run crosses at most once each way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from gpuquant.shown import Shown


@dataclass
class TransferLog(Shown):
    """The arrays that crossed while the log was open: (name, bytes) of each array."""

    up: list[tuple[str, int]] = field(default_factory=list)
    down: list[tuple[str, int]] = field(default_factory=list)

    def bytes(self, way: str) -> int:
        """Bytes that went `"up"` or `"down"`."""
        return sum(size for _, size in (self.up if way == "up" else self.down))

    def times(self, name: str, way: str = "up") -> int:
        """How often the array called `name` crossed."""
        return sum(entry == name for entry, _ in (self.up if way == "up" else self.down))


_open: ContextVar[tuple[TransferLog, ...]] = ContextVar("gpuquant_transfer_logs", default=())


@contextmanager
def transfer_log() -> Iterator[TransferLog]:
    """Count the crossings inside the block."""
    log = TransferLog()
    token = _open.set((*_open.get(), log))
    try:
        yield log
    finally:
        _open.reset(token)


def crossed(way: str, name: str, size: int) -> None:
    """Note one array crossing in every open log."""
    for log in _open.get():
        (log.up if way == "up" else log.down).append((name, size))
