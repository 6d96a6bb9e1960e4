"""Run the benchmarks and write `results/`, a file for each kind of machine: `python -m
benchmarks [--gpu] [NAME ...]`.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import math
import sys
import time

from benchmarks.common import RESULTS, core, machine
from gpuquant.errors import GpuquantError

CPU = (
    "asian",
    "heston",
    "threads",
    "body",
    "rows",
    "memory",
    "grid",
    "account_rules",
    "stops",
    "large",
    "indicators",
    "startup",
    "compiling",
    "training",
    "engines",
    "batches",
    "sizes",
    "europeans",
    "time_to_error",
    "greeks",
    "implied",
    "fourier",
    "pairs",
)
GPU = ("gpu_paths", "gpu_grid", "gpu_training")


def main() -> int:
    """Run what was asked, print a table, write the results; 1 when a bar was missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("names", nargs="*")
    a = parser.parse_args()
    target = "gpu" if a.gpu else f"cpu-{core()}"
    path = RESULTS / f"{target}.json"
    kept = json.loads(path.read_text()) if path.exists() and a.names else {}
    rows = {row["question"]: row for row in kept.get("rows", [])}
    for name in a.names or (GPU if a.gpu else CPU):
        start = time.perf_counter()
        try:
            made = importlib.import_module(f"benchmarks.{name}").run()
        except GpuquantError as failure:
            print(f"{name}: {failure}", file=sys.stderr)
            return 2
        for row in made:
            rows[row.question] = {**dataclasses.asdict(row), "passed": row.passed}
            mark = {True: "ok", False: "MISSED", None: ""}[row.passed]
            bar = "" if row.bar is None else f"{'>=' if row.least else '<='} {row.bar:g}"
            print(
                f"{row.question:<72}{row.value:>12.4g} "
                f"{row.unit:<14}{bar:<12}{mark:<8}{row.detail}",
                flush=True,
            )
        print(f"  ({name}: {time.perf_counter() - start:.0f} s)", flush=True)
    RESULTS.mkdir(exist_ok=True)
    path.write_text(
        json.dumps({"machine": machine(), "rows": list(rows.values())}, indent=1) + "\n"
    )
    return int(any(row["passed"] is False or math.isnan(row["value"]) for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
