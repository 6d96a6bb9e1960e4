"""The trial log with many processes: nothing lost, nothing doubled, and a line that is damaged
is named.
"""

import json
import multiprocessing
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from gpuquant.errors import DataError, DiskError, InputError
from gpuquant.validation import trial_log
from gpuquant.validation.overfitting import TrialLog
from tests.killing import killed

RETURNS = np.random.default_rng(0).normal(0.0, 0.01, 60)


def filled(path, count=5):
    log = TrialLog(path)
    for k in range(count):
        log.record({"trial": k}, RETURNS * (1.0 + k))
    return log


def recorded(path, who, count):
    for k in range(count):
        TrialLog(path).record({"who": who, "trial": k}, RETURNS + 1e-4 * k)


@pytest.mark.parametrize("processes", [2, 4])
def test_every_trial_of_every_process_is_kept(processes, tmp_path):
    context = multiprocessing.get_context("spawn")
    running = [
        context.Process(target=recorded, args=(tmp_path / "trials", who, 100))
        for who in range(processes)
    ]
    for one in running:
        one.start()
    for one in running:
        one.join()
    assert [one.exitcode for one in running] == [0] * processes
    frame = TrialLog(tmp_path / "trials").frame()
    found = frame["description"].map(json.loads)
    assert (
        len(frame) == processes * 100
        and TrialLog(tmp_path / "trials").trials()[0] == processes * 100
    )
    for who in range(processes):  # each process's own come in the order in which it tried
        assert [row["trial"] for row in found if row["who"] == who] == list(range(100))


KILLED = """
import os, time
import numpy as np
from gpuquant.validation.overfitting import TrialLog
from pathlib import Path
returns, done = np.random.default_rng(0).normal(0.0, 0.01, 60), Path("done")
def work(k):
    trial = f"{os.getpid()}-{time.time_ns()}"
    TrialLog("trials").record({"trial": trial}, returns)
    with done.open("ab", buffering=0) as file:
        file.write(f"{trial}\\n".encode())
def check(k):
    import json
    found = [json.loads(text)["trial"] for text in TrialLog("trials").frame()["description"]]
    assert len(set(found)) == len(found), "doubled"
    assert set(done.read_text().split()) <= set(found), "lost"
"""
NAIVE = """
from gpuquant.validation import trial_log
def append(path, rows):
    text = b""
    if path.exists():
        first = sum(1 for _ in open(path, "rb")) - 1
        text = b"".join(trial_log._line(first + k, row) for k, row in enumerate(rows))
    held = (path.read_bytes() if path.exists() else trial_log._first(0, 0, trial_log.HEAD)) + text
    count = held.count(b"\\n") - 1
    path.write_bytes(trial_log._first(count, count, len(held)) + held[trial_log.HEAD:])
trial_log.append = append
"""


@pytest.mark.parametrize("kills", [15, pytest.param(100, marks=pytest.mark.slow)])
def test_a_trial_that_was_recorded_outlives_a_kill(kills, tmp_path):
    said, whole = killed(KILLED, kills=kills, longest=0.15, folder=tmp_path)
    assert whole, said


def test_a_log_written_anew_each_time_fails_the_same_test(tmp_path):
    """A mutant: read all, write all."""
    said, whole = killed(NAIVE + KILLED, kills=100, longest=0.15, folder=tmp_path)
    assert not whole and (
        "lost" in said
        or "doubled" in said
        or "damaged" in said
        or "is no trial log" in said
        or "ends before" in said
    ), said


@pytest.mark.parametrize("count", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_every_flip_and_truncation_is_found(count, tmp_path):
    filled(tmp_path / "trials")
    whole, draw = (tmp_path / "trials").read_bytes(), np.random.default_rng(1)
    for k in range(count):
        damaged = bytearray(whole)
        if k % 3:
            damaged[draw.integers(len(whole))] ^= 1 << int(draw.integers(8))
        else:
            damaged = damaged[: draw.integers(len(whole))]
        (tmp_path / "trials").write_bytes(damaged)
        with pytest.raises(DataError, match=r"trial log .*trials"):
            TrialLog(tmp_path / "trials").trials()


def test_a_damaged_line_is_named_and_the_others_stay(tmp_path):
    log = filled(tmp_path / "trials")
    lines = (tmp_path / "trials").read_bytes().split(b"\n")
    lines[3] = lines[3].replace(b'"bars": 60', b'"bars": 61')
    (tmp_path / "trials").write_bytes(b"\n".join(lines))
    with pytest.raises(DataError, match="line 4, trial 2, is damaged"):
        log.trials()
    log.record({"trial": 99}, RETURNS)  # what comes after it is kept
    assert log.mend() == 1 and log.mend() == 0
    frame = log.frame()
    assert log.trials()[0] == 6, "a trial whose record is lost was tried all the same"
    assert (
        frame["description"].tolist()[:2] == ['{"trial": 0}', '{"trial": 1}']
        and frame["sharpe"].isna().sum() == 1
    )
    assert (tmp_path / "trials.damaged").exists()
    log.record({"trial": 100}, RETURNS)
    assert log.trials()[0] == 7


def test_lines_that_are_gone_are_counted_still(tmp_path):
    log = filled(tmp_path / "trials")
    content = (tmp_path / "trials").read_bytes()
    (tmp_path / "trials").write_bytes(b"\n".join(content.split(b"\n")[:4]) + b"\n")
    with pytest.raises(DataError, match="ends before its last trial does"):
        log.record({"trial": 5}, RETURNS)
    assert log.mend() == 2 and log.trials()[0] == 5


def test_a_line_added_by_hand_is_no_part_of_it(tmp_path):
    log = filled(tmp_path / "trials")
    with (tmp_path / "trials").open("ab") as file:
        file.write(b'{"half a li')
    assert log.trials()[0] == 5
    log.record({"trial": 5}, RETURNS)
    assert log.trials()[0] == 6 and b"half" not in (tmp_path / "trials").read_bytes()


def test_a_log_of_the_first_versions_is_taken_over(tmp_path):
    old = pd.DataFrame(
        {"when": ["2025"], "trial": ["abc"], "description": ["{}"], "sharpe": [0.1], "bars": [60]}
    )
    old.to_parquet(tmp_path / "trials.parquet")
    log = TrialLog(tmp_path / "trials.parquet")
    assert log.trials()[0] == 1
    log.record({"trial": 1}, RETURNS)
    assert log.trials()[0] == 2 and log.frame()["count"].tolist() == [1, 1]


def test_the_path_is_checked_before_the_work(tmp_path):
    (tmp_path / "else.txt").write_text("a letter\n")
    with pytest.raises(DataError, match="is no trial log"), TrialLog(tmp_path / "else.txt"):
        pytest.fail("it began")
    assert (tmp_path / "else.txt").read_text() == "a letter\n"
    with pytest.raises(DiskError, match="folder does not exist"):
        TrialLog(tmp_path / "absent" / "trials").check()
    with pytest.raises(InputError, match="must be the path of a file"):
        TrialLog(3)
    assert trial_log.scan(tmp_path / "absent").rows == []


def test_a_lost_line_of_many_trials_counts_as_many(tmp_path):
    log = filled(tmp_path / "trials", 2)
    log._add([log._row({"grid": "large"}, 0.1, 60, 900, 0.05)])
    content = (tmp_path / "trials").read_bytes()
    (tmp_path / "trials").write_bytes(content.replace(b'"count": 900', b'"count": 100'))
    with pytest.raises(DataError, match="line 4"):
        log.trials()
    assert log.mend() == 900 and log.trials()[0] == 902


def test_a_line_that_ends_elsewhere_costs_no_other(tmp_path):
    log = filled(tmp_path / "trials", 10)
    content = bytearray((tmp_path / "trials").read_bytes())
    content[content.index(b"\n", trial_log.HEAD)] ^= 1  # two lines become one
    (tmp_path / "trials").write_bytes(content)
    assert log.mend() == 2 and log.trials()[0] == 10


@pytest.mark.parametrize("content", [b"Dear Sir or Madam,\n" * 20, b"PAR1", b""])
def test_what_is_no_log_stays_as_it_is(content, tmp_path):
    path = tmp_path / "else"
    path.write_bytes(content)
    for verb in (
        TrialLog(path).mend,
        TrialLog(path).check,
        TrialLog(path).trials,
        lambda: TrialLog(path).record({}, RETURNS),
    ):
        with pytest.raises(DataError, match="else"):
            verb()
    assert path.read_bytes() == content


def test_another_table_is_no_log(tmp_path):
    pd.DataFrame({"bars": [1, 2], "x": [1.0, 2.0]}).to_parquet(tmp_path / "table.parquet")
    whole = (tmp_path / "table.parquet").read_bytes()
    for verb in (
        TrialLog(tmp_path / "table.parquet").check,
        lambda: TrialLog(tmp_path / "table.parquet").record({}, RETURNS),
    ):
        with pytest.raises(DataError, match="another table"):
            verb()
    assert (tmp_path / "table.parquet").read_bytes() == whole


FORKING = """
import os, signal, sys, threading, time
import numpy as np
from gpuquant.validation.overfitting import TrialLog
returns = np.random.default_rng(0).normal(0.0, 0.01, 60)
def recording():
    while True:
        TrialLog("trials").record({"thread": time.time_ns()}, returns)
TrialLog("trials").record({"first": 0}, returns)
threading.Thread(target=recording, daemon=True).start()
time.sleep(0.1)
for k in range(12):
    child = os.fork()
    if not child:
        TrialLog("trials").record({"child": k}, returns)
        os._exit(0)
    end = time.time() + 20
    while time.time() < end and not (done := os.waitpid(child, os.WNOHANG))[0]:
        time.sleep(0.005)
    if not done[0]:
        os.kill(child, signal.SIGKILL)
        sys.exit("it hangs")
    assert done[1] == 0, done
found = TrialLog("trials").frame()["description"]
print(sum('"child"' in text for text in found), flush=True)
os._exit(0)
"""


def test_a_fork_while_another_thread_records(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "12\n", done.stdout + done.stderr
