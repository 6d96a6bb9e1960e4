"""The cache of compiled code on disk. The name of each file is a hash of the file's inputs; each
file has a checksum; the folder is one that no other user can write to.

The folder is `$GPUQUANT_CACHE`, else `~/.cache/gpuquant`, else (where the home folder cannot be
used) a folder of this user under the system's temporary files. The library runs the code in the
folder. So every folder on the path must belong to this user or to root, and no other user may be
able to replace a folder or a file on it. Files are opened through the descriptor of the folder that
was checked. Where there is no such folder, nothing is kept, and each process compiles for itself;
`gpuquant doctor` says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gpuquant import system
from gpuquant.errors import DiskError

DIRECTORY = os.O_RDONLY | system.DIRECTORY | system.NOFOLLOW | system.CLOEXEC


def cached_bytes(ending: str, make: Callable[[], bytes], *made_of: str) -> bytes:
    """The bytes that `make` returns: read from the cache folder, or made now and saved there. The
    file's name is a hash of `made_of`. A damaged file is made again.

    Raises
    ------
    DiskError
        A folder has the file's name, or the file cannot be opened.
    """
    name = f"{fingerprint(*made_of)}.{ending}"
    with opened() as (folder, path, _):
        held = None if folder is None else _read(folder, name, path)
        if held is not None and held[:32] == hashlib.sha256(held[32:]).digest():
            return held[32:]
        made = make()
        if folder is not None:
            with contextlib.suppress(
                OSError
            ):  # a failed write is no error: the next process compiles again
                _write(folder, name, hashlib.sha256(made).digest() + made)
        return made


def fingerprint(*parts: str) -> str:
    """A hash of these texts, which serves as a file's name."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


@contextmanager
def opened() -> Iterator[tuple[int | None, str, str]]:
    """Open the cache folder: its descriptor, its path, and why the choices before it were refused.
    The descriptor is None where no choice is a folder that only this user can write to.
    """
    reasons = [] if system.opens_folders() else ["this system opens no files from a folder"]
    for choice in _choices() if system.opens_folders() else []:
        handle = None
        try:
            path = Path(os.path.realpath(choice() / "kernels"))
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = _opened(path)
        except (OSError, RuntimeError) as failure:
            reasons.append(str(failure))
            continue
        try:
            yield handle, str(path), "; ".join(reasons)
        finally:
            os.close(handle)
        return
    yield None, "", "; ".join(reasons)


def folder() -> tuple[Path | None, str]:
    """The folder of compiled kernels, if there is one, and why the choices before it were
    refused.
    """
    with opened() as (handle, path, why):
        return (None if handle is None else Path(path)), why


def clear() -> int:
    """Empty the cache folder; the number of files removed."""
    removed = 0
    with opened() as (handle, _, _):
        for name in [] if handle is None else os.listdir(handle):
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=handle)
                removed += 1
    return removed


def _choices() -> list[Callable[[], Path]]:
    named = os.environ.get("GPUQUANT_CACHE")
    return [
        *([lambda: Path(named)] if named else []),
        lambda: Path.home() / ".cache" / "gpuquant",
        lambda: Path(tempfile.gettempdir()) / f"gpuquant-{system.user()}",
    ]


def _opened(path: Path) -> int:
    """Open a folder, one folder at a time from the root, and follow no link. Raises
    PermissionError where another user could change one of these folders.
    """
    handle = os.open("/", DIRECTORY)
    try:
        for depth, name in enumerate(path.parts[1:], 2):
            inner = os.open(name, DIRECTORY, dir_fd=handle)
            os.close(handle)
            handle = inner
            _trusted(os.fstat(handle), Path(*path.parts[:depth]), last=depth == len(path.parts))
        if not os.access(path, os.W_OK):
            raise PermissionError(f"{path} takes no files")
    except BaseException:
        os.close(handle)
        raise
    return handle


def _trusted(result: os.stat_result, path: Path, *, last: bool) -> None:
    """Refuse a folder that another user owns or can write to. Above the `last` folder, root may
    own a folder, and others may write to a sticky one (they cannot rename this user's files there).
    """
    if result.st_uid not in (system.user(), 0) or (last and result.st_uid != system.user()):
        raise PermissionError(f"{path} belongs to user {result.st_uid}")
    others = result.st_mode & stat.S_IWOTH or (
        result.st_mode & stat.S_IWGRP and not _alone(result.st_gid)
    )
    if others and (last or not result.st_mode & stat.S_ISVTX):
        raise PermissionError(
            f"{path} can be written by others (mode {stat.S_IMODE(result.st_mode):o})"
        )


def _alone(group: int) -> bool:
    """Whether a group is this user's own and has no other member. Many systems make such a group
    for each user.
    """
    try:
        import grp
        import pwd

        user, result = pwd.getpwuid(system.user() or 0), grp.getgrgid(group)
    except (ImportError, KeyError):
        return False
    return (
        user.pw_gid == group
        and result.gr_name == user.pw_name
        and not set(result.gr_mem) - {user.pw_name}
    )


def _read(folder: int, name: str, path: str) -> bytes | None:
    """The content of a file in a folder; None where this user has no such file."""
    try:
        handle = os.open(
            name,
            os.O_RDONLY | system.NOFOLLOW | system.NONBLOCK | system.CLOEXEC,
            dir_fd=folder,
        )
    except FileNotFoundError:
        return None
    except OSError as failure:
        raise DiskError(
            f"kernel cache {path}/{name} cannot be read: {failure.strerror}; `gpuquant "
            "doctor --clear-cache` empties the cache"
        ) from failure
    result = os.fstat(handle)
    if stat.S_ISDIR(result.st_mode):
        os.close(handle)
        raise DiskError(
            f"kernel cache {path}/{name} is a folder where a file of ours belongs: remove "
            "it, or name another folder in GPUQUANT_CACHE"
        )
    with os.fdopen(handle, "rb") as file:
        return (
            file.read() if stat.S_ISREG(result.st_mode) and result.st_uid == system.user() else None
        )


def _write(folder: int, name: str, content: bytes) -> None:
    """Write a file under another name and rename it in one step, so that no other process reads
    half a file. A power cut may damage the file; the checksum then shows the damage.
    """
    scratch = f".{name}.{secrets.token_hex(8)}.part"
    handle = os.open(
        scratch, os.O_CREAT | os.O_EXCL | os.O_WRONLY | system.CLOEXEC, 0o600, dir_fd=folder
    )
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(scratch, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(scratch, dir_fd=folder)
        raise
