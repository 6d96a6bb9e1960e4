"""The cache of kernels: only what this user alone could have written is run, and where there is
no such place nothing is kept.
"""

import os

import pytest

from gpuquant import diagnostics
from gpuquant.compiler import cache
from gpuquant.errors import DiskError


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of its own, and no other place to go to."""
    (tmp_path / "home").mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GPUQUANT_CACHE", "")
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: "/proc/none")
    return tmp_path / "home"


def put():
    """What is kept under one name, made anew or found."""
    made = []
    return cache.cached_bytes("text", lambda: made.append(1) or b"content", "name"), bool(made)


def test_a_file_is_kept_and_found(home):
    assert put() == (b"content", True) and put() == (b"content", False)
    folder, why = cache.folder()
    assert folder == home / ".cache" / "gpuquant" / "kernels" and not why
    assert folder.stat().st_mode & 0o777 == 0o700
    assert cache.clear() == 1 and put() == (b"content", True)


def test_a_flipped_file_is_made_anew(home):
    put()
    (file,) = (home / ".cache" / "gpuquant" / "kernels").iterdir()
    whole = file.read_bytes()
    for k in range(len(whole)):
        file.write_bytes(whole[:k] + bytes([whole[k] ^ 1]) + whole[k + 1 :])
        assert put() == (b"content", True)
    file.write_bytes(whole[:20])
    assert put() == (b"content", True)


@pytest.mark.parametrize("which", [".", ".cache", ".cache/gpuquant", ".cache/gpuquant/kernels"])
def test_a_folder_that_others_can_write_to_is_not_used(which, home):
    put()
    (home / which).chmod(0o777)
    assert put() == (b"content", True) and put() == (b"content", True)
    folder, why = cache.folder()
    assert folder is None and "can be written by others (mode 777)" in why
    (home / which).chmod(
        0o1777
    )  # sticky: others cannot put another folder in a folder's place; but files they could
    assert (cache.folder()[0] is None) == which.endswith("kernels")


def test_a_folder_of_another_user_is_not_used(home, monkeypatch):
    put()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    folder, why = cache.folder()
    assert folder is None and "belongs to user" in why


def test_a_link_to_a_file_is_not_followed(home, tmp_path):
    put()
    (file,) = (home / ".cache" / "gpuquant" / "kernels").iterdir()
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DiskError, match="cannot be read"):
        put()


def test_a_folder_in_a_files_place_is_an_error_of_ours(home):
    put()
    (file,) = (home / ".cache" / "gpuquant" / "kernels").iterdir()
    file.unlink()
    file.mkdir()
    with pytest.raises(DiskError, match="is a folder where a file of ours belongs"):
        put()


def test_a_home_that_takes_nothing_is_no_error_and_the_doctor_says_so(home):
    (home / ".cache").write_text("a file")
    assert put() == (b"content", True) and put() == (b"content", True)
    report = str(diagnostics.checkup())
    assert "cache: none" in report and "compiles its kernels anew" in report


def test_the_folder_that_is_named_comes_first(home, tmp_path, monkeypatch):
    monkeypatch.setenv("GPUQUANT_CACHE", str(tmp_path / "own"))
    assert cache.folder() == (tmp_path / "own" / "kernels", "")
    (tmp_path / "own").chmod(0o777)
    folder, why = cache.folder()
    assert folder == home / ".cache" / "gpuquant" / "kernels" and str(tmp_path / "own") in why
    assert f"since {tmp_path / 'own'}" in str(diagnostics.checkup())


def test_a_full_disk_costs_time_alone(home, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    assert put() == (b"content", True)
    assert not list((home / ".cache" / "gpuquant" / "kernels").iterdir())
