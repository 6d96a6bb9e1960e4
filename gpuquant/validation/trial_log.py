"""The file of a trial log: a line for each record of trials, added at the end and never changed,
safe with many processes.

The first line says how many lines and trials there are and where the last one ends; each further
line is JSON with its number and a checksum. A writer holds the file's lock, adds its lines, forces
them to the disk, and then moves the end: a line that a killed writer left half is no part of the
log. A line that is damaged, missing or added by hand is named.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from gpuquant import disk, system
from gpuquant.data.arrow import read_frame
from gpuquant.errors import DataError, DiskError

COLUMNS = ("when", "trial", "description", "sharpe", "bars", "count", "spread")
FORMAT = 1
HEAD = 144  # bytes of the first line
PARQUET = b"PAR1"  # how a log of the first versions begins


class Found(NamedTuple):
    """The lines of a log: trials, and in words what is wrong with each line that is none."""

    rows: list[dict[str, Any]]
    damage: list[str]


def append(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Add trials; the log is made where there is none.

    Raises
    ------
    DataError
        The file is no log, or its first line is damaged.
    DiskError
        It cannot be written; the trials before are there still.
    """
    with _held(path, writes=True) as handle:
        lines, tried, end = _head(handle, path)
        try:
            os.ftruncate(handle, end)  # what a killed writer left half
            _written(handle, b"".join(_line(lines + k, row) for k, row in enumerate(rows)), end)
            os.fsync(handle)
            _written(
                handle,
                _first(
                    lines + len(rows),
                    tried + sum(row["count"] for row in rows),
                    os.fstat(handle).st_size,
                ),
                0,
            )
            os.fsync(handle)
        except OSError as failure:
            with suppress(OSError):
                _written(handle, _first(lines, tried, end), 0)
                os.ftruncate(handle, end)
            raise DiskError(
                f"trial log {path} cannot be written: {failure.strerror or failure}; the "
                f"{tried} trials before are there still"
            ) from failure


def read(path: Path) -> list[dict[str, Any]]:
    """Every trial, oldest first; none where there is no file.

    Raises
    ------
    DataError
        Lines are damaged or missing: the message names the first.
    """
    result = scan(path)
    if result.damage:
        more = f" and {len(result.damage) - 1} more" if result.damage[1:] else ""
        raise DataError(
            f"trial log {path}: {result.damage[0]}{more}; mend() keeps the other "
            f"{len(result.rows)} lines and counts what is lost as trials, too"
        )
    return result.rows


def scan(path: Path) -> Found:
    """What a log holds, and what is wrong with it."""
    if not disk.exists(path, "trial log"):
        return Found([], [])
    with _held(path, writes=False) as handle:
        content = _content(handle)
    if content.startswith(PARQUET):
        return Found(_of_parquet(path), [])
    return _scanned(content, path)


def _scanned(content: bytes, path: Path) -> Found:
    """The good lines of a log by their own numbers, and the others."""
    if not content.startswith(b"gpuquant trials"[: len(content)]) or not content:
        raise DataError(f"trial log {path}: is no trial log")
    damage, rows = [], {}
    try:
        many, _, end = _parsed(content[:HEAD])
    except ValueError:
        damage.append("its first line is damaged")
        many, end = 0, len(content)
    if end > len(content):
        damage.append("it ends before its last trial does")
    for k, line in enumerate(content[HEAD:end].split(b"\n")[:-1]):
        try:
            number, row = _row(line)
            rows[number] = row
        except ValueError:
            damage.append(f"line {k + 2}, trial {k}, is damaged")
    if not damage and sorted(rows) != list(range(many)):
        damage.append(f"it has {len(rows)} lines, not {many}")
    return Found([rows[number] for number in sorted(rows)], damage)


def mend(path: Path) -> int:
    """Keep the good lines, add one line without a Sharpe ratio that counts the lost trials, and
    return the number of lost trials, which is never too low.

    The damaged file is kept beside the log under a name that ends in `.damaged`.
    """
    if not scan(path).damage:
        return 0
    with _held(path, writes=True) as handle:
        content = _content(handle)
        result = _scanned(content, path)
        if not result.damage:
            return 0
        try:
            tried = _parsed(content[:HEAD])[1]
        except ValueError:  # the counts that the damaged lines seem to say, one at least for each
            tried = sum(
                max(1, *map(int, re.findall(rb'"count": (\d{1,12})', line)), 1)
                for line in content.split(b"\n")[1:]
                if line
            )
        lost = max(tried - sum(row["count"] for row in result.rows), 1)
        blank = {
            "when": "",
            "trial": f"damaged {hashlib.sha256(content).hexdigest()[:12]}",
            "description": '"damaged records"',
            "sharpe": float("nan"),
            "bars": 0,
        }
        spare = path.with_name(f"{path.name}.damaged")
        disk.write(
            spare
            if not spare.exists()
            else path.with_name(f"{path.name}.{os.urandom(4).hex()}.damaged"),
            content,
        )
        disk.write(path, _whole([*result.rows, {**blank, "count": lost, "spread": 0.0}]))
    return lost


def check(path: Path) -> None:
    """Refuse a path that cannot be a log, before the work that it is to record."""
    result = disk.ready(path, "trial log")
    if result.exists():
        with _held(result, writes=False) as handle:
            old = system.read_at(handle, len(PARQUET), 0) == PARQUET
            if not old:
                _head(handle, result)
        if old:
            _of_parquet(result)


@contextmanager
def _held(path: Path, *, writes: bool) -> Iterator[int]:
    """The file, open and locked: exclusive for a writer, shared for readers. A writer creates the
    file if it is absent, and converts a log of the first versions.
    """
    while True:
        if writes and not os.path.exists(path):
            _make(path)
        try:
            handle = os.open(path, (os.O_RDWR if writes else os.O_RDONLY) | system.CLOEXEC)
        except OSError as failure:
            raise DiskError(
                f"trial log {path} cannot be opened: {failure.strerror or failure}"
            ) from failure
        try:
            disk.lock(handle, shared=not writes)
            if not path.exists() or os.fstat(handle).st_ino != path.stat().st_ino:
                continue  # another put a new file in its place while this one waited
            if writes and system.read_at(handle, len(PARQUET), 0) == PARQUET:
                disk.write(path, _whole(_of_parquet(path)))
                continue
            yield handle
            return
        finally:
            disk.release(handle)


def _make(path: Path) -> None:
    """An empty log, in one step, unless another makes it first."""
    scratch = disk.ready(path, "trial log").with_name(f".{path.name}.{os.urandom(8).hex()}.part")
    try:
        scratch.write_bytes(_first(0, 0, HEAD))
        with suppress(FileExistsError):
            os.link(scratch, path)
            disk.forced(path.parent)
    except OSError as failure:
        raise DiskError(
            f"trial log {path} cannot be written: {failure.strerror or failure}"
        ) from failure
    finally:
        scratch.unlink(missing_ok=True)


def _first(lines: int, tried: int, end: int) -> bytes:
    """The first line, always of one length."""
    head = (
        f"gpuquant trials, format {FORMAT}: {lines:>12} lines, {tried:>12} trials, {end:>16} bytes"
    )
    return f"{head}, check {_check(head.encode())}".ljust(HEAD - 1).encode() + b"\n"


def _head(handle: int, path: Path) -> tuple[int, int, int]:
    """How many lines and trials there are, and where the last line ends."""
    head = system.read_at(handle, HEAD, 0)
    try:
        lines, tried, end = _parsed(head)
    except ValueError:
        reason = (
            "its first line is damaged; mend() restores it"
            if head.startswith(b"gpuquant")
            else "is no trial log"
        )
        raise DataError(f"trial log {path}: {reason}") from None
    if os.fstat(handle).st_size < end:
        raise DataError(
            f"trial log {path}: it ends before its last trial does; mend() keeps what is there"
        )
    return lines, tried, end


def _parsed(head: bytes) -> tuple[int, int, int]:
    match = re.match(
        rb"gpuquant trials, format \d+: +(\d+) lines, +(\d+) trials, +(\d+) bytes", head
    )
    lines, tried, end = (int(match[1]), int(match[2]), int(match[3])) if match else (0, 0, 0)
    if _first(lines, tried, end) != head:
        raise ValueError("not what was written")
    return lines, tried, end


def _line(number: int, row: dict[str, Any]) -> bytes:
    """A trial as a line."""
    values = {
        name: None if isinstance(row[name], float) and row[name] != row[name] else row[name]
        for name in COLUMNS
    }
    text = json.dumps({"number": number, **values})
    return f'{text[:-1]}, "check": "{_check(text.encode())}"}}\n'.encode()


def _row(line: bytes) -> tuple[int, dict[str, Any]]:
    """The inverse of `_line`; a ValueError where the line is not what was written."""
    row = json.loads(line.decode("ascii"))
    try:
        number, result = (
            int(row["number"]),
            {name: float("nan") if row[name] is None else row[name] for name in COLUMNS},
        )
    except (KeyError, TypeError) as failure:
        raise ValueError(f"{failure} is missing") from failure
    if _line(number, result) != line + b"\n":
        raise ValueError("not what was written")
    return number, result


def _whole(rows: Sequence[dict[str, Any]]) -> bytes:
    lines = b"".join(_line(k, row) for k, row in enumerate(rows))
    return _first(len(rows), sum(row["count"] for row in rows), HEAD + len(lines)) + lines


def _check(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _content(handle: int) -> bytes:
    size, parts = os.fstat(handle).st_size, []
    at = 0
    while at < size and (part := system.read_at(handle, size - at, at)):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def _written(handle: int, content: bytes, at: int) -> None:
    """Write all of it, however little the system takes at once."""
    while content:
        done = system.write_at(handle, content, at)
        content, at = content[done:], at + done


def _of_parquet(path: Path) -> list[dict[str, Any]]:
    """The trials of a log of the first versions, which counted one by one."""
    frame = read_frame(path)
    if not {"when", "trial", "description", "sharpe", "bars"} <= set(frame):
        raise DataError(f"trial log {path}: is no trial log, but another table")
    frame = frame.reindex(columns=list(COLUMNS)).fillna({"count": 1, "spread": 0.0})
    return [
        {
            **{name: str(row[name]) for name in ("when", "trial", "description")},
            **{name: int(row[name]) for name in ("bars", "count")},
            **{name: float(row[name]) for name in ("sharpe", "spread")},
        }
        for row in frame.to_dict("records")
    ]
