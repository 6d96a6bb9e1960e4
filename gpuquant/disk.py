"""Atomic writes: a path holds either its old content or all of the new content, never a part.

The content goes to a sibling, a file with a random name in the same folder. The sibling is forced
to the disk and replaces the path in one step. A killed writer leaves its sibling, and the next
writer of the same path removes it. A path that is not writable is refused before the work starts.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gpuquant import system
from gpuquant.errors import DataError, DiskError, InputError

SCRATCH = ".{name}.{token}.part"  # beside the path, hidden
YOUNG = 60.0  # seconds; a writer has surely locked its sibling so long after creating it
LONGEST_NAME = 200  # bytes of a file's name, so that its sibling's fits into 255


def ready(path: Any, what: str = "path", *, parents: bool = False) -> Path:
    """A path that can be written: its folder exists, or is created if `parents`, and takes files;
    the path itself is not a folder.

    Raises
    ------
    InputError
        The value is not a path.
    DiskError
        The path cannot be written; the message says why.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise InputError(f"{what} = {path!r}: must be the path of a file")
    try:
        result = Path(
            os.path.realpath(os.fspath(path))
        )  # a link stays, what it points to is written
        os.fsencode(result)
    except ValueError as failure:
        raise InputError(f"{what} = {path!r}: no file can be called so: {failure}") from failure
    if len(os.fsencode(result.name)) > LONGEST_NAME:
        raise InputError(f"{what} {path}: its name has more than {LONGEST_NAME} bytes")
    try:
        if result.is_dir():
            raise DiskError(f"{what} {path}: is a folder; a file is wanted")
        if result.exists() and not (result.is_file() and os.access(result, os.W_OK)):
            raise DiskError(
                f"{what} {path}: is no plain file that may be written; it stays as it is"
            )
        if parents:
            result.parent.mkdir(parents=True, exist_ok=True)
        os.close(_opened(scratch := _sibling(result)))
        scratch.unlink(missing_ok=True)
    except DiskError:
        raise
    except OSError as failure:
        raise _refused(result, what, failure) from failure
    return result


def present(path: Any, what: str = "file") -> Path:
    """The path of a file or folder that exists.

    Raises
    ------
    InputError
        The value is not a path.
    DataError
        The path does not exist.
    DiskError
        The system denies access to the path.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"{what} = {path!r}: must be the path of a file")
    if not exists(path, what):
        raise DataError(f"{what} {path} does not exist")
    return Path(path)


def exists(path: Any, what: str = "file") -> bool:
    """Whether a path exists; denied access is an error, not False.

    Raises
    ------
    DiskError
        The system denies access to the path.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as failure:
        raise unreadable(path, what, failure) from failure
    return True


def unreadable(path: Any, what: str, failure: OSError) -> DiskError:
    """What is said of a file that the system does not give."""
    return DiskError(f"{what} {path} cannot be read: {failure.strerror or failure}")


def ready_folder(path: Any, what: str = "folder") -> Path:
    """A folder that takes files; it is made if need be.

    Raises
    ------
    InputError, DiskError
        As of `ready`.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise InputError(f"{what} = {path!r}: must be the path of a folder")
    result = Path(path)
    try:
        result.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise _refused(result, what, failure) from failure
    ready(result / f"probe-{secrets.token_hex(8)}", what)
    return result


@contextmanager
def whole(path: Any, what: str = "path") -> Iterator[Path]:
    """A sibling of `path` to write to. If the block succeeds, the sibling replaces `path`;
    otherwise `path` does not change.

    Raises
    ------
    InputError, DiskError
        As in `ready`; or the disk is full, or the write fails: the old content is kept.
    """
    result = ready(path, what)
    _sweep(result)
    scratch = _sibling(result)
    try:
        handle = _opened(scratch)
    except OSError as failure:
        raise _refused(result, what, failure) from failure
    try:
        lock(handle)  # while its writer lives, no other process removes it as a leftover
        yield scratch
        with suppress(FileNotFoundError):
            system.set_mode(handle, stat.S_IMODE(result.stat().st_mode))
        forced(scratch)
        os.replace(scratch, result)
        try:
            forced(result.parent)
        except OSError as failure:
            raise DiskError(
                f"{what} {result} is written, but the system does not say that it will "
                f"outlive a power cut: {failure.strerror or failure}"
            ) from failure
    except BaseException as failure:
        with suppress(OSError):
            scratch.unlink()
        if isinstance(failure, OSError) and not isinstance(failure, DiskError):
            raise _refused(result, what, failure) from failure
        raise
    finally:
        release(handle)


def lock(handle: int, *, shared: bool = False) -> None:
    """Hold the lock of an open file, until `release`; a child that is forked meanwhile does not."""
    _held.add(handle)
    system.lock(handle, shared=shared)


def release(handle: int) -> None:
    """Give back the lock of an open file, in a forked child's name, too, and close it."""
    _held.discard(handle)
    try:
        system.unlock(handle)
    finally:
        os.close(handle)


_held: set[int] = set()


def _let_go() -> None:
    """Close the locked files in a forked child: the threads that would close them are not there."""
    for handle in _held:
        with suppress(OSError):
            os.close(handle)
    _held.clear()


system.on_fork(in_child=_let_go)


def write(path: Any, content: bytes | str, what: str = "path") -> None:
    """Write a file whole; see `whole`."""
    with whole(path, what) as scratch:
        scratch.write_bytes(content.encode() if isinstance(content, str) else content)


def rescued(path: Any, writer: Callable[[Path], None]) -> Path:
    """Write with `writer(path)`; if that fails, write to a temporary folder instead.

    Raises
    ------
    DiskError
        The file could not be written to `path`; the message says where the file is now, or that it
        could not be written there either.
    """
    try:
        writer(Path(path))
    except Exception as failure:  # whatever it is, an hour's work is not lost to it
        try:
            refuge = Path(tempfile.mkdtemp(prefix="gpuquant-rescued-")) / Path(path).name
            writer(refuge)
        except Exception as second:
            raise DiskError(
                f"{failure}; nor could it be written to the temporary files: {second}"
            ) from failure
        raise DiskError(f"{failure}; the results are in {refuge}") from failure
    return Path(path)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def forced_folder(folder: Path) -> None:
    """Force a folder and every file in it to the disk."""
    for path in sorted(folder.rglob("*")):
        forced(path)
    forced(folder)


def _sibling(path: Path) -> Path:
    return path.with_name(SCRATCH.format(name=path.name, token=secrets.token_hex(8)))


def _opened(scratch: Path) -> int:
    return os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_WRONLY | system.CLOEXEC, 0o666)


def _sweep(path: Path) -> None:
    """Remove what killed writers of this path left; a living one holds the lock of its own, or
    is about to take it.
    """
    for left in path.parent.glob(SCRATCH.format(name=_literal(path.name), token="*")):
        with suppress(OSError):
            handle = os.open(left, os.O_RDONLY | system.CLOEXEC | system.NOFOLLOW)
            try:
                system.lock(handle, wait=False)
                if time.time() - os.fstat(handle).st_mtime > YOUNG:
                    left.unlink()
            finally:
                os.close(handle)


def _literal(name: str) -> str:
    """A name in which a pattern's signs stand for themselves."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)


def forced(path: Path) -> None:
    """Force a file or a folder to the disk; a folder where the system can."""
    if not system.opens_folders() and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY | system.CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refused(path: Path, what: str, failure: OSError) -> DiskError:
    if not path.parent.is_dir():
        return DiskError(f"{what} {path}: its folder does not exist")
    return DiskError(
        f"{what} {path} cannot be written: {failure.strerror or failure}; what was there "
        "before is there still"
    )
