"""How soon does it begin: the import, a kept kernel, a contract file from the shell?"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.common import Row, seconds

KERNEL = """
import time
start = time.perf_counter()
import gpuquant as gq
call = gq.payoffs.Asian(option_type="call", strike=100.0, maturity=1.0, fixings=12)
model = gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=0.2)
ready = time.perf_counter()
gq.price(call, model, paths=1000, engine="monte_carlo", device="cpu:1")
print(time.perf_counter() - ready)
"""


def python(source: str) -> str:
    """Standard output of a new interpreter."""
    return subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    ).stdout


def run() -> list[Row]:
    """Medians of new processes."""
    bare = statistics.median(seconds(lambda: python("pass")) for _ in range(15))
    with_us = statistics.median(seconds(lambda: python("import gpuquant")) for _ in range(15))
    python(KERNEL)
    first = statistics.median(float(python(KERNEL)) for _ in range(7))
    rows = [
        Row(
            "import gpuquant, over the interpreter's own",
            with_us - bare,
            "s",
            0.05,
            False,
            f"interpreter {bare:.3f} s",
        ),
        Row(
            "first call of a kept kernel in a new process",
            first,
            "s",
            0.4,
            False,
            "Asian under Black-Scholes",
        ),
    ]
    with tempfile.TemporaryDirectory() as folder:
        rows.append(_shell(Path(folder)))
    return rows


def _shell(folder: Path) -> Row:
    import pandas as pd

    n = 100_000
    frame = pd.DataFrame(
        {
            "id": np.arange(n),
            "product": "european",
            "option_type": np.where(np.arange(n) % 2, "call", "put"),
            "underlying": "A",
        }
    )
    frame["strike"], frame["maturity"] = np.linspace(50, 150, n), np.linspace(0.1, 2, n)
    frame.to_parquet(folder / "book.parquet")
    (folder / "market.toml").write_text("rate = 0.03\n[A]\nspot = 100.0\nvolatility = 0.2\n")
    command = [
        sys.executable,
        "-m",
        "gpuquant.cli",
        "price",
        str(folder / "book.parquet"),
        "--market",
        str(folder / "market.toml"),
        "-o",
        str(folder / "priced.parquet"),
    ]
    took = statistics.median(
        seconds(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(7)
    )
    priced = pd.read_parquet(folder / "priced.parquet")
    assert (priced["status"] == "ok").all() and len(priced) == n
    return Row(
        "100,000 European rows, Parquet in and out, from the shell",
        took,
        "s",
        1.0,
        False,
        "torch not imported (a test holds it)",
    )
