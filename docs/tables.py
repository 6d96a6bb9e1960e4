"""Write docs/speed.md and docs/accuracy.md from results; tables are made, never typed. `make docs` runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from gpuquant import vmath

ROOT = Path(__file__).resolve().parents[1]


def speed() -> str:
    """The benchmark results of each target as a page."""
    parts = [
        "# Speed\n\nMade by `make docs` from `benchmarks/results/`, which `make bench` writes. Each rival runs in the same process and minute; medians.\nA CPU with AVX-512 moves 16 float32 at once and one with AVX2 eight: our kernels gain from that, most rivals do not, so the ratios differ.\n"
    ]
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.json")):
        kept = json.loads(path.read_text())
        machine = kept["machine"]
        parts.append(
            f"\n## {path.stem}: {machine['cpu']}, {machine['vector']}, {machine['cores']} cores, Python {machine['python']}, code {machine['commit']}\n"
        )
        parts.append(", ".join(f"{k} {v}" for k, v in machine["versions"].items()) + "\n\n| question | figure | bar | |\n|---|---|---|---|")
        for row in kept["rows"]:
            bar = "" if row["bar"] is None else f"{'>=' if row['least'] else '<='} {row['bar']:g}{'' if row['passed'] else ' **missed**'}"
            parts.append(f"| {row['question']} | {row['value']:.4g} {row['unit']} | {bar} | {row['detail']} |")
    return "\n".join(parts) + "\n"


def accuracy() -> str:
    """Error bounds of vmath, as its docstrings state and its tests assert."""
    rows = [(name, re.search(r"Error below ([\d.]+) ulp", f.__doc__ or "")) for name, f in vars(vmath).items() if callable(f)]
    table = "\n".join(f"| `{name}` | {found[1]} |" for name, found in rows if found)
    return (
        "# Accuracy\n\nMade by `make docs`. Prices are held to the literature in `tests/problems.py` (closed forms to 1e-9, simulations to 3.5 standard errors), "
        "to closed forms on all devices by z-scores in each precision, and to laws: the discounted spot is a martingale, in plus out is vanilla, "
        "zero volatility is exact.\n\nElementary functions, largest error over the whole domain in units of the last place, measured against 40 digits:\n\n"
        f"| function | ulp below |\n|---|---|\n{table}\n"
    )


def main() -> None:
    """Write both pages."""
    (ROOT / "docs" / "speed.md").write_text(speed())
    (ROOT / "docs" / "accuracy.md").write_text(accuracy())


if __name__ == "__main__":
    main()
