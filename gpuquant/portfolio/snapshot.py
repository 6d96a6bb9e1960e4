"""Files that are saved together in one folder. A reader gets all files of the last save, or all
files of the save before it, and never a mixture.

Each save has a folder of its own. The manifest names this folder and holds a hash of every file; it
is written last and in one step. The previous save is kept. File names are plain, without folders,
and links are refused.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gpuquant import disk, system
from gpuquant.errors import DataError, DiskError

MANIFEST = "manifest.json"
FORMAT = 1
MOST = 1 << 22  # bytes of a manifest
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
SAVE = re.compile(r"save-[0-9a-f]{16}")


def save(folder: Any, writers: Mapping[str, Callable[[Path], None]]) -> None:
    """Write files by name as one save; whatever fails, or is killed, leaves the save before it.

    Raises
    ------
    InputError, DiskError
        The folder cannot be written; the disk is full.
    """
    folder = disk.ready_folder(folder)
    with _locked(folder):
        before = _before(folder)
        _sweep(folder)  # the remains of killed saves take disk space that this save needs
        place = folder / f"save-{secrets.token_hex(8)}"
        try:
            place.mkdir()
            for name, writer in writers.items():
                writer(place / name)
            disk.forced_folder(place)
            files = {
                name: {"bytes": (place / name).stat().st_size, "sha256": disk.digest(place / name)}
                for name in writers
            }
            when = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
            text = _sealed(
                {
                    "format": FORMAT,
                    "current": {"folder": place.name, "saved": when, "files": files},
                    "previous": before,
                }
            )
            disk.write(place / MANIFEST, text)  # a copy, in case the one that counts is damaged
            disk.write(folder / MANIFEST, text)
        except BaseException as failure:
            _sweep(folder)
            if not (folder / MANIFEST).exists():  # a first save, which nothing names
                shutil.rmtree(place, ignore_errors=True)
            if isinstance(failure, OSError) and not isinstance(failure, DiskError):
                raise DiskError(
                    f"{folder} cannot be written: {failure.strerror or failure}; what was "
                    "saved before is there still"
                ) from failure
            raise
        _sweep(folder)


@contextmanager
def opened(folder: Any, *, previous: bool = False) -> Iterator[dict[str, Path]]:
    """The paths of the files of the last save, or of the save before it, by name. Every file is
    checked against its hash.

    Raises
    ------
    DataError
        There is no save, the save has another format, or a file is damaged. The message names the
        file.
    DiskError
        The system does not allow the folder to be read.
    """
    if not isinstance(folder, str | os.PathLike) or not os.path.isdir(
        disk.present(folder, "folder")
    ):
        raise DataError(f"{folder} is no folder that was saved")
    folder = Path(folder)
    with _locked(folder, shared=True):
        try:
            manifest = _read(folder / MANIFEST)
            kept = manifest["previous" if previous else "current"]
        except DataError as failure:
            whole = next(
                (one["current"] for one in _copies(folder) if not _damage(folder, one["current"])),
                None,
            )
            if whole is None:
                raise
            if not previous:
                raise DataError(
                    f"{failure}; the save of {whole['saved']} is whole: previous=True loads it"
                ) from failure
            kept = whole
        if kept is None:
            raise DataError(f"{folder} holds one save, and none before it")
        wrong = _damage(folder, kept)
        if wrong:
            before = manifest["previous"]
            whole = not previous and before is not None and not _damage(folder, before)
            hint = (
                f"; the save before it, of {before['saved']}, is whole: previous=True loads it"
                if before is not None and whole
                else ""
            )
            raise DataError(f"{wrong}{hint}")
        yield {name: folder / kept["folder"] / name for name in kept["files"]}


def _before(folder: Path) -> dict[str, Any] | None:
    """The latest save without damage, which a new save keeps as the previous one.

    Raises
    ------
    DataError
        The folder holds a manifest that is not ours, or is of a later format. The manifest is not
        overwritten.
    """
    path = folder / MANIFEST
    try:
        manifests = [_read(path)] if path.exists() else []
    except DataError:
        if b'"sha256"' not in path.read_bytes()[-200:]:
            raise DataError(
                f"{path} is no manifest of a saved fund: it is not overwritten; name another folder"
            ) from None
        if b'"format": 1,' not in path.read_bytes() and re.search(
            rb'"format": \d+', path.read_bytes()
        ):
            raise
        manifests = []
    for manifest in [*manifests, *_copies(folder)]:
        for kept in (manifest["current"], manifest["previous"]):
            if kept is not None and not _damage(folder, kept):
                return dict(kept)
    return None


def _copies(folder: Path) -> list[dict[str, Any]]:
    """The copies of manifests that lie within the saves, the latest first."""
    result = []
    for place in folder.iterdir():
        if SAVE.fullmatch(place.name) and not place.is_symlink():
            with suppress(DataError):
                result.append(_read(place / MANIFEST))
    return sorted(result, key=lambda manifest: str(manifest["current"]["saved"]), reverse=True)


def _sweep(folder: Path) -> None:
    """Remove the saves that the manifest does not name; none where it cannot be read."""
    try:
        manifest = _read(folder / MANIFEST)
    except DataError:
        return
    named = {
        kept["folder"] for kept in (manifest["current"], manifest["previous"]) if kept is not None
    }
    for left in folder.iterdir():
        if SAVE.fullmatch(left.name) and left.name not in named:
            shutil.rmtree(left, ignore_errors=True)


def _damage(folder: Path, kept: Mapping[str, Any]) -> str:
    """A message about the first file of a save that is damaged; empty where all are whole."""
    for name, entry in kept["files"].items():
        path = folder / kept["folder"] / name
        try:
            if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
                return f"{path} is missing, or no plain file"
            if path.stat().st_size != entry["bytes"] or disk.digest(path) != entry["sha256"]:
                return f"{path} is damaged or was changed: it is not what was saved"
        except OSError as failure:
            return str(disk.unreadable(path, "file", failure))
    return ""


def _sealed(body: dict[str, Any]) -> str:
    """The text of a manifest with its own hash. A manifest has only one valid text, so that every
    other text is damage.
    """
    text = json.dumps(body, indent=1, sort_keys=True)
    return (
        json.dumps(
            {"manifest": body, "sha256": hashlib.sha256(text.encode()).hexdigest()},
            indent=1,
            sort_keys=True,
        )
        + "\n"
    )


def _read(path: Path) -> dict[str, Any]:
    """The manifest, checked."""
    try:
        if not path.is_file() or path.is_symlink():
            raise DataError(
                f"{path.parent} holds no {MANIFEST}: it was not saved, or by a version "
                "whose format is no longer read"
            )
        if path.stat().st_size > MOST:
            raise ValueError("too long")
        text = path.read_bytes().decode()
        body = json.loads(text)["manifest"]
        whole = isinstance(body, dict) and _sealed(body) == text
    except DataError:
        raise
    except OSError as failure:
        raise disk.unreadable(path, "file", failure) from failure
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise DataError(f"{path} is damaged or was changed: it is not what was saved")
    if body.get("format") != FORMAT:
        raise DataError(f"{path} is of format {body.get('format')!r}; this version reads {FORMAT}")
    for which in ("current", "previous"):
        kept = body.get(which)
        if which == "previous" and kept is None:
            continue
        if (
            not isinstance(kept, dict)
            or not SAVE.fullmatch(str(kept.get("folder")))
            or not isinstance(kept.get("files"), dict)
        ):
            raise DataError(f"{path}: {which} must name a folder and its files")
        for name, entry in kept["files"].items():
            if (
                not PLAIN.fullmatch(name)
                or not isinstance(entry, dict)
                or not isinstance(entry.get("bytes"), int)
                or not isinstance(entry.get("sha256"), str)
            ):
                raise DataError(
                    f"{path}: {name!r} must be the plain name of a file, with its bytes "
                    "and its sha256"
                )
    return dict(body)


@contextmanager
def _locked(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a folder for reading, together with others, or for writing, alone, where the system has
    locks of folders.
    """
    if not system.opens_folders():
        yield
        return
    try:
        handle = os.open(folder, os.O_RDONLY | system.CLOEXEC | system.DIRECTORY)
    except OSError as failure:
        raise disk.unreadable(folder, "folder", failure) from failure
    try:
        disk.lock(handle, shared=shared)
        yield
    finally:
        disk.release(handle)
