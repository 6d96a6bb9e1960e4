"""Work that is killed at a random moment, again and again: what must hold after every one of
them.
"""

import subprocess
import sys
import textwrap

RUNNER = """
import os, random, signal, sys, time, traceback
{setup}
work(0)  # what a process imports and compiles first takes longer than it lives here
draw = random.Random(3)
for k in range({kills}):
    child = os.fork()
    if not child:
        try:
            while True:
                work(k)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    time.sleep(draw.random() * {longest})
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, "the work failed before it was killed"
    check(k)
print("whole after", {kills}, "kills")
"""


def killed(setup, *, kills, longest=0.1, folder):
    """Run `setup`, which defines `work(k)` and `check(k)`, and kill the work so often; what the
    process printed, and whether every check passed.

    The work of one round begins with what the round before left.
    """
    text = RUNNER.format(setup=textwrap.dedent(setup), kills=kills, longest=longest)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", text],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    return done.stdout + done.stderr, done.returncode == 0 and "whole after" in done.stdout


NAIVE = """
import contextlib
from pathlib import Path
from gpuquant import disk
@contextlib.contextmanager
def whole(path, what="path", **how):
    yield Path(path)
disk.whole = whole
"""
