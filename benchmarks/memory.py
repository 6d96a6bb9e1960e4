"""How much memory do ten million paths of 252 dates take beyond a warm library?"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.common import Row

SOURCE = """
from pathlib import Path
from benchmarks.asian import ours

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))

ours(10_000, "cpu:2")
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = status("VmRSS")
price, error = ours(10_000_000, "cpu:2")
assert abs(price - 5.79) < 0.05, price
print(status("VmHWM") - before)
"""


def run() -> list[Row]:
    """The growth of the peak resident size, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", SOURCE], capture_output=True, text=True, check=True
    )
    return [
        Row(
            "extra memory of 1e7 paths x 252 dates after a warm-up price",
            float(done.stdout),
            "MB",
            20.0,
            False,
            "a path matrix would take 10 GB in float32",
        )
    ]
