"""Features that an operating system may lack: file locks, users, forks, descriptors of folders.

The library asks for such features only here, and runs without them. Without file locks, two writers
of one file are not kept apart; each file is still written whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

CLOEXEC: int = getattr(os, "O_CLOEXEC", 0)
NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)
DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)


def opens_folders() -> bool:
    """Whether a folder can be opened, and files be opened from it."""
    return DIRECTORY != 0 and os.open in os.supports_dir_fd


def user() -> int | None:
    """The number of this user, if the system numbers its users."""
    return os.getuid() if hasattr(os, "getuid") else None


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int | None:
    """The bytes of memory of this machine, if it says so."""
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def lock(handle: int, *, shared: bool = False, wait: bool = True) -> None:
    """Lock an open file, alone or together with others; without waiting a BlockingIOError says that
    another holds it.
    """
    if fcntl is not None:
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(handle, how if wait else how | fcntl.LOCK_NB)


def unlock(handle: int) -> None:
    """Give back the lock of an open file."""
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_UN)


def set_mode(handle: int, mode: int) -> None:
    """Give an open file its permissions."""
    if hasattr(os, "fchmod"):
        os.fchmod(handle, mode)


def read_at(handle: int, count: int, offset: int) -> bytes:
    """So many bytes of an open file, from an offset on."""
    if hasattr(os, "pread"):
        return os.pread(handle, count, offset)
    os.lseek(handle, offset, os.SEEK_SET)
    return os.read(handle, count)


def write_at(handle: int, content: bytes, offset: int) -> int:
    """Write bytes to an open file from an offset on; how many the system took."""
    if hasattr(os, "pwrite"):
        return os.pwrite(handle, content, offset)
    os.lseek(handle, offset, os.SEEK_SET)
    return os.write(handle, content)


def on_fork(
    *,
    before: Callable[[], object] | None = None,
    in_parent: Callable[[], object] | None = None,
    in_child: Callable[[], object] | None = None,
) -> None:
    """Call these at every fork of this process."""
    if hasattr(os, "register_at_fork"):
        given = {"before": before, "after_in_parent": in_parent, "after_in_child": in_child}
        os.register_at_fork(**{name: call for name, call in given.items() if call is not None})
