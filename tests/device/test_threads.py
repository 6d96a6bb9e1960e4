"""Work shared by threads ends, whenever Ctrl-C comes."""

import subprocess
import sys

INTERRUPTED = """
import faulthandler, random, signal, sys, time
import numpy as np
from gpuquant.device.threads import share

def strike(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, strike)
random.seed(1)
begun, struck = time.time(), 0
while time.time() - begun < 6.0:
    faulthandler.dump_traceback_later(20, exit=True)  # it waits for ever
    halt = np.zeros(1, np.int64) if random.random() < 0.5 else None
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 2e-3))
        share(lambda k: time.sleep(2e-4), range(8), 2, None, halt)
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    except KeyboardInterrupt:
        struck += 1
print(struck)
"""


def test_an_interrupt_at_any_moment():
    """Thousands of them, at random: none leaves a lock that the next call waits for."""
    ran = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0 and int(ran.stdout) > 100, ran.stderr[-3000:]
