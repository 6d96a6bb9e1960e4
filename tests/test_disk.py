"""Files are written whole or not at all: killed writers, full disks, folders that take nothing,
and what was there before.
"""

import contextlib
import errno
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant import disk
from gpuquant.errors import DataError, DiskError, GpuquantError, InputError
from gpuquant.forecast import Forecast
from gpuquant.validation.overfitting import TrialLog
from tests.killing import NAIVE, killed

DAYS = pd.bdate_range("2024-01-01", periods=30)
CLOSE = pd.DataFrame({"A": 100.0 + np.arange(30.0), "B": 50.0 + np.sin(np.arange(30.0))}, DAYS)
BOOK = pd.DataFrame(
    [
        {
            "id": k,
            "product": "european",
            "option_type": "call",
            "underlying": "A",
            "strike": 90.0 + k,
            "maturity": 1.0,
        }
        for k in range(24)
    ],
)
MARKET = {"rate": 0.02, "A": {"spot": 100.0, "volatility": 0.2}}


def writers():
    """Every verb that writes one file, by name: what it calls with a path."""
    panel, found = gq.Panel.of(CLOSE), gq.backtest(CLOSE, weights=CLOSE * 0.0 + 0.4)
    book = gq.Contracts.from_frame(BOOK)
    risk = gq.Portfolio({"o": book}).risk(
        MARKET, gq.Scenarios.grid(spot=[-0.1, 0.1]), progress=False
    )
    return {
        "a panel": panel.to_parquet,
        "contracts": book.to_parquet,
        "prices": gq.price(book, market=MARKET).to_parquet,
        "a forecast": Forecast(
            CLOSE.to_numpy() / 1000.0, CLOSE.index.to_numpy(), ("A", "B")
        ).to_parquet,
        "a market": gq.Market(MARKET).write,
        "a back-test's page": found.report,
        "a risk page": risk.report,
        "a trial log": lambda path: TrialLog(path).record(
            {"what": "tried"}, np.linspace(-0.01, 0.012, 50)
        ),
    }


WRITERS = writers()


def test_what_is_written_is_whole_and_keeps_mode_and_link(tmp_path):
    path, link = tmp_path / "kept.txt", tmp_path / "link.txt"
    disk.write(path, "one")
    path.chmod(0o640)
    link.symlink_to(path)
    disk.write(link, "two")
    assert link.is_symlink() and path.read_text() == "two" and path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["kept.txt", "link.txt"]


def test_a_leftover_is_swept_and_a_living_writers_file_is_not(tmp_path):
    left, other = tmp_path / ".kept.txt.00.part", tmp_path / ".else.txt.00.part"
    for path in (left, other):
        path.write_text("half")
        os.utime(path, (0, 0))
    with disk.whole(tmp_path / "kept.txt") as scratch:
        scratch.write_text("first")
        disk.write(tmp_path / "kept.txt", "second")  # while the first is being written
        assert scratch.exists() and not left.exists() and other.exists()
        os.utime(scratch, (0, 0))  # however old it is, its writer lives
        disk.write(tmp_path / "kept.txt", "third")
        assert scratch.exists()
    assert (tmp_path / "kept.txt").read_text() == "first"


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
    disk.write(tmp_path / "kept", b"before")
    with pytest.raises(ZeroDivisionError), disk.whole(tmp_path / "kept") as scratch:
        scratch.write_bytes(b"half")
        _ = 1 / 0
    assert (tmp_path / "kept").read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("verb", WRITERS)
@pytest.mark.parametrize("wrong", ["a folder", "a file as a folder", "a number", "", "too long"])
def test_a_path_that_takes_no_file_is_refused_by_name(verb, wrong, tmp_path):
    (tmp_path / "file").write_text("x")
    path = {
        "a folder": tmp_path,
        "a file as a folder": tmp_path / "file" / "x",
        "a number": 3,
        "": "",
        "too long": tmp_path / ("n" * 300),
    }[wrong]
    with pytest.raises((DiskError, InputError)) as caught:
        WRITERS[verb](path)
    assert str(path)[-20:] in str(caught.value)
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.parametrize("verb", WRITERS)
def test_a_disk_that_is_full_at_any_write_costs_nothing(verb, tmp_path, monkeypatch):
    """The first, the second, ... call of the system to write fails; what was there is there, and
    the error names the path.
    """
    path = tmp_path / "kept"
    WRITERS[verb](path)
    before, held = path.read_bytes(), {}
    for name in ("open", "fsync", "replace", "write", "pwrite"):
        held[name] = getattr(os, name)
    failed = 0
    for name, call in held.items():
        for turn in range(20):
            calls = iter(range(100))

            def refuse(*arguments, call=call, calls=calls, turn=turn, name=name, **named):
                writes = name != "open" or (
                    len(arguments) > 1 and arguments[1] & (os.O_CREAT | os.O_RDWR)
                )
                if writes and next(calls) == turn:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return call(*arguments, **named)

            monkeypatch.setattr(os, name, refuse)
            try:
                WRITERS[verb](path)
                break
            except DiskError as failure:
                failed += 1
                assert "kept" in str(failure) and "No space left" in str(failure)
                if "is written, but" in str(failure):
                    before = path.read_bytes()
                if verb == "a trial log":
                    assert len(TrialLog(path).frame()) >= 1
                    monkeypatch.setattr(os, name, call)
                    path.write_bytes(before)
                assert path.read_bytes() == before
            finally:
                monkeypatch.setattr(os, name, call)
        if verb != "a trial log":
            before = path.read_bytes()
        else:
            path.write_bytes(before)
    assert failed >= 3
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


LIMITED = """
import resource, sys
from tests.test_disk import WRITERS
from gpuquant.errors import DiskError
from pathlib import Path
folder = Path(sys.argv[1])
for name, write in WRITERS.items():
    path = folder / name.replace(" ", "_")
    path.write_bytes(b"before") if name != "a trial log" else write(path)
    before = path.read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before), resource.RLIM_INFINITY))
    try:
        write(path)
        print("written past the limit:", name)
    except DiskError as failure:
        assert "cannot be written" in str(failure), failure
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert path.read_bytes() == before, name
assert len(list(folder.iterdir())) == len(WRITERS)
print("kept", len(WRITERS))
"""


def test_a_limit_on_the_size_of_files_costs_nothing(tmp_path, python):
    """The system itself refuses, within pyarrow's writing as within ours."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == f"kept {len(WRITERS)}\n", done.stdout + done.stderr


def test_results_that_cannot_be_written_are_put_elsewhere(tmp_path, monkeypatch, capsys):
    from gpuquant import cli

    BOOK.to_parquet(tmp_path / "book.parquet")
    gq.Market(MARKET).write(tmp_path / "market.toml")
    held = os.replace

    def refuse(source, target):
        if "out.parquet" in str(target) and str(tmp_path) in str(target):
            raise OSError(errno.ENOSPC, "No space left on device")
        return held(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    assert (
        cli.main(
            [
                "price",
                str(tmp_path / "book.parquet"),
                "--market",
                str(tmp_path / "market.toml"),
                "-o",
                str(tmp_path / "out.parquet"),
            ]
        )
        == 2
    )
    said = capsys.readouterr().err
    where = said.rsplit("the results are in ", 1)[1].strip()
    assert len(pd.read_parquet(where)) == 24 and "No space left" in said


def test_a_path_is_refused_before_the_work(tmp_path, monkeypatch):
    from gpuquant import cli
    from gpuquant.pricing import engine

    monkeypatch.setattr(engine, "price", lambda *_, **__: pytest.fail("it priced"))
    BOOK.to_parquet(tmp_path / "book.parquet")
    assert (
        cli.main(
            [
                "price",
                str(tmp_path / "book.parquet"),
                "-o",
                str(tmp_path / "absent" / "out.parquet"),
            ]
        )
        == 2
    )


PRICING = """
import contextlib
import numpy as np
import pandas as pd
from gpuquant import cli
from pathlib import Path
book = pd.concat([pd.read_parquet("book.parquet")] * 400, ignore_index=True).drop(columns="id")
# so that writing takes a part of the time
book["strike"] += np.random.default_rng(0).random(len(book))
for name in ("same.parquet", "in.parquet"):
    book.to_parquet(name)
market = ["--market", "market.toml"]
def work(k):
    source, out = ("same.parquet", "same.parquet") if k % 2 else ("in.parquet", "out.parquet")
    with contextlib.redirect_stdout(None):
        assert cli.main(["price", source, *market, "-o", out]) == 0
def check(k):
    made = ["out.parquet"] if Path("out.parquet").exists() else []
    for name in ("in.parquet", "same.parquet", *made):
        found = pd.read_parquet(name)
        assert found.strike.tolist() == book.strike.tolist(), name
        assert "price" not in found or found.price.notna().all(), name
"""


def pricing_folder(folder):
    BOOK.to_parquet(folder / "book.parquet")
    gq.Market(MARKET).write(folder / "market.toml")
    return folder


@pytest.mark.parametrize("kills", [12, pytest.param(100, marks=pytest.mark.slow)])
def test_pricing_that_is_killed_loses_neither_book_nor_results(kills, tmp_path):
    said, whole = killed(PRICING, kills=kills, longest=0.3, folder=pricing_folder(tmp_path))
    assert whole, said
    for left in tmp_path.glob(".*.part"):
        os.utime(left, (0, 0))
    for name in ("out.parquet", "same.parquet"):
        disk.write(tmp_path / name, b"")
    assert not list(tmp_path.glob(".*.part"))


def test_a_naive_writer_fails_the_same_test(tmp_path):
    """A mutant: files written where they are to be."""
    said, whole = killed(
        textwrap.dedent(NAIVE) + textwrap.dedent(PRICING),
        kills=100,
        longest=0.3,
        folder=pricing_folder(tmp_path),
    )
    assert not whole and ("Arrow" in said or "parquet" in said), said


TWO = """
import sys
import numpy as np, pandas as pd
import gpuquant as gq
who, path = int(sys.argv[1]), sys.argv[2]
days = pd.bdate_range("2000-01-01", periods=2000)
panel = gq.Panel.of(pd.DataFrame(np.full((2000, 5), 1.0 + who), days, list("ABCDE")))
for _ in range(60):
    panel.to_parquet(path)
"""


def test_of_two_writers_of_one_path_one_comes_later(tmp_path):
    """Whoever reads meanwhile finds what the one wrote or what the other did, whole."""
    path = tmp_path / "prices.parquet"
    writers = [subprocess.Popen([sys.executable, "-c", TWO, str(who), str(path)]) for who in (0, 1)]
    seen = set()
    while any(one.poll() is None for one in writers):
        if path.exists():
            found = gq.Panel.read(path).close
            assert found.shape == (2000, 5) and np.ptp(found) == 0.0
            seen.add(found[0, 0])
    assert [one.returncode for one in writers] == [0, 0] and seen == {1.0, 2.0}
    assert list(tmp_path.iterdir()) == [path]


FLIPPED = {
    "a panel": gq.Panel.read,
    "contracts": lambda path: gq.Contracts.read(path),
    "a market": gq.Market.read,
}


@pytest.mark.parametrize("name", ["a panel", "contracts"])
def test_a_table_of_ours_says_when_a_page_is_damaged(name, tmp_path):
    """Each value of a column lies in a page with a checksum: 40 flips within the pages are
    found, or leave every number as it was.
    """
    path = tmp_path / "table.parquet"
    WRITERS[name](path)
    import pyarrow.parquet as pq

    meta = pq.ParquetFile(path).metadata
    ends = max(
        meta.row_group(0).column(k).data_page_offset
        + meta.row_group(0).column(k).total_compressed_size
        for k in range(meta.num_columns)
    )
    whole, right = path.read_bytes(), FLIPPED[name](path)
    draw, silent = np.random.default_rng(0), 0
    for _ in range(40):
        damaged = bytearray(whole)
        damaged[draw.integers(4, min(ends, len(whole)))] ^= 1 << int(draw.integers(8))
        path.write_bytes(damaged)
        try:
            found = FLIPPED[name](path)
        except GpuquantError as failure:
            assert "table.parquet" in str(failure)
            continue
        silent += 1
        if name == "a panel":
            np.testing.assert_array_equal(found.close, right.close)
        else:
            np.testing.assert_array_equal(found.columns["strike"], right.columns["strike"])
    assert silent <= 20  # such as in the header of a page
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"table\.parquet"):
        FLIPPED[name](path)


@contextlib.contextmanager
def nobody():
    """A user whom permissions bind, which root is not."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


READERS = {
    "prices": gq.Panel.read,
    "contracts": gq.Contracts.read,
    "a market": gq.Market.read,
    "a trial log": lambda path: TrialLog(path).frame(),
    "a fund": gq.Portfolio.load,
    "a price store": gq.Store,
    "a checkpoint": lambda path: __import__("gpuquant.learn.checkpoint").learn.checkpoint.load(
        path
    ),
}


@pytest.mark.parametrize("below", [True, False], ids=["below a locked folder", "itself locked"])
@pytest.mark.parametrize("what", READERS)
def test_what_may_not_be_read_is_an_error_of_ours(what, below):
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        folder = Path(place, "locked")
        path = folder / "a.parquet"
        if what == "a fund":
            path.mkdir(parents=True)
        else:
            folder.mkdir()
            path.write_bytes(b"")
        with contextlib.suppress(GpuquantError):
            READERS[what](path)  # what it imports, it imports now
        locked = folder if below else path
        os.chmod(locked, 0)
        with nobody(), pytest.raises(GpuquantError, match=re.escape(str(path))):
            READERS[what](path)
        os.chmod(locked, 0o700)


@pytest.mark.parametrize("verb", WRITERS)
def test_a_folder_that_may_only_be_read_is_an_error_of_ours(verb):
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        path = Path(place, "a.parquet")
        WRITERS[verb](path)  # what it imports, it imports now
        path.unlink()
        with nobody(), pytest.raises(DiskError, match=r"a\.parquet.*cannot be written"):
            WRITERS[verb](path)
        assert not list(Path(place).iterdir())


def test_a_small_file_that_unpacks_to_more_than_the_memory_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"A": np.full(1_000_000, 100.0)}).to_parquet(path)
    monkeypatch.setattr(os, "sysconf", lambda name: 1000 if name == "SC_PHYS_PAGES" else 4096)
    for read in (gq.Panel.read, gq.Contracts.read):
        with pytest.raises(DataError, match=r"a\.parquet.*1000000 rows of 1 columns"):
            read(path)


def test_a_market_names_no_file_outside_its_folder(tmp_path):
    nodes = pd.DataFrame({"strike": [90.0, 110.0], "maturity": 1.0, "volatility": 0.2})
    (tmp_path / "in").mkdir()
    nodes.to_csv(tmp_path / "surface.csv")
    nodes.to_csv(tmp_path / "in" / "own.csv")
    (tmp_path / "in" / "link.csv").symlink_to(tmp_path / "surface.csv")
    row = BOOK.drop(columns="id").iloc[:1]
    for name, fine in (
        ("own.csv", True),
        ("../surface.csv", False),
        (str(tmp_path / "surface.csv"), False),
        ("link.csv", False),
        ("..", False),
    ):
        (tmp_path / "in" / "market.toml").write_text(
            f"rate = 0.02\n[A]\nspot = 100.0\nvolatility = {json.dumps(name)}\n"
        )
        market = gq.Market.read(tmp_path / "in" / "market.toml")
        frame = gq.price(row, market=market).frame
        assert frame["status"][0] == ("ok" if fine else "failed")
        assert fine or "must be the plain name" in frame["message"][0]


def test_what_is_no_plain_file_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DiskError, match="no plain file"):
        disk.write(tmp_path / "pipe", "x")
    assert not (tmp_path / "pipe").is_file()


@pytest.mark.parametrize("path", ["a\0b", "\udcff\ud800"])
def test_a_name_that_no_system_takes_is_an_error_of_ours(path):
    with pytest.raises(GpuquantError):
        disk.write(path, "x")


def test_results_that_parquet_has_no_kind_for_are_text(tmp_path):
    """An hour's prices are not lost to a caller's odd column."""
    frame = BOOK.assign(
        id=pd.array([2**64 - 1, *range(22), None], dtype="UInt64"), note=[{1}, 2.5j, *range(22)]
    )
    gq.price(frame, market=MARKET).to_parquet(tmp_path / "out.parquet")
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert (
        found["id"].iloc[0] == str(2**64 - 1)
        and found["note"].iloc[1] == "2.5j"
        and found["price"].notna().all()
    )
