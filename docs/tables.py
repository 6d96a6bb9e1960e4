"""Write docs/speed.md, docs/accuracy.md and docs/members.md from results; tables are made, never
typed. `make docs` runs it.
"""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

from gpuquant.data.columns import Member
from gpuquant.family import names
from gpuquant.math import normal, vcmath, vmath

ROOT = Path(__file__).resolve().parents[1]
GRADES = ROOT / "tests" / "reference" / "grades.json"


def speed() -> str:
    """The benchmark results of each target as a page."""
    parts = [
        (
            "# Speed\n\n"
            "Made by `make docs` from `benchmarks/results/`, which `make bench` writes. Each "
            "rival runs in the same process and minute; medians.\n"
            "The ratios differ from machine to machine: our kernels gain from wide vector "
            "instructions (AVX-512 moves 16 float32 at once, AVX2 eight), most rivals do "
            "not.\n"
        )
    ]
    for path in sorted((ROOT / "benchmarks" / "results").glob("[!p]*.json")):
        kept = json.loads(path.read_text())
        machine = kept["machine"]
        parts.append(
            "\n"
            f"## {path.stem}: {machine['cpu']}, {machine['vector']}, {machine['cores']} "
            f"cores, Python {machine['python']}, code {machine['commit']}\n"
        )
        parts.append(
            ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
            + "\n\n| question | figure | bar | |\n|---|---|---|---|"
        )
        for row in kept["rows"]:
            bar = (
                ""
                if row["bar"] is None
                else (
                    f"{'>=' if row['least'] else '<='} "
                    f"{row['bar']:g}{'' if row['passed'] else ' **missed**'}"
                )
            )
            parts.append(
                f"| {row['question']} | {row['value']:.4g} {row['unit']} | {bar} | "
                f"{row['detail']} |"
            )
    return (
        "\n".join(parts)
        + "\n"
        + "".join(
            pairs(path) for path in sorted((ROOT / "benchmarks" / "results").glob("pairs-*.json"))
        )
    )


def pairs(path: Path) -> str:
    """The speed of every payoff under every model as a table."""
    kept = json.loads(path.read_text())
    models = sorted(
        {row["model"] for row in kept["rows"]}, key=lambda name: (name != "BlackScholes", name)
    )
    found = {(row["payoff"], row["model"]): row for row in kept["rows"]}
    least = min(kept["rows"], key=lambda row: row["of_expected"])
    most = max(
        (row for row in kept["rows"] if row["registers"]),
        key=lambda row: row["registers"],
        default=None,
    )
    lines = [
        f"\n## {path.stem}: {kept['machine']['cpu']}, code {kept['machine']['commit']}\n",
        "Millions of path-steps a second in float32 on one core. Each is held against "
        "the number of operations that its source takes, at the rate of Black-Scholes "
        "with a "
        f"European: the least is {least['of_expected']:.2f} of that, {least['payoff']} "
        f"under {least['model']}."
        + (
            (
                f" Of the registers of a GPU's thread the most is {most['registers']}, "
                f"{most['payoff']} under {most['model']}; bytes spilt: "
            )
            if most
            else ""
        )
        + (f"{max(row['spilled_bytes'] for row in kept['rows'])}.\n" if most else "\n"),
        f"| payoff | {' | '.join(models)} |",
        "|---|" + "---|" * len(models),
    ]
    for payoff in sorted({row["payoff"] for row in kept["rows"]}):
        speeds = [
            f"{found[payoff, m]['path_steps_per_second'] / 1e6:.0f}" if (payoff, m) in found else ""
            for m in models
        ]
        lines.append(f"| {payoff} | {' | '.join(speeds)} |")
    return "\n".join(lines) + "\n"


def accuracy() -> str:
    """Error bounds of vmath, as its docstrings state and its tests assert."""
    rows = [
        (name, re.search(r"Error\s+below\s+([\d.]+)\s+ulp", f.__doc__ or ""))
        for module in (vmath, normal, vcmath)
        for name, f in vars(module).items()
        if callable(f) and f.__module__ == module.__name__
    ]
    table = "\n".join(f"| `{name}` | {found[1]} |" for name, found in rows if found)
    return (
        "# Accuracy\n\n"
        "Made by `make docs`. Prices are held to the literature in `tests/problems.py` "
        "(closed forms to 1e-9, simulations to 3.5 standard errors), "
        "to closed forms on all devices by z-scores in each precision, and to laws: the "
        "discounted spot is a martingale, in plus out is vanilla, "
        "zero volatility is exact.\n\n"
        "Elementary functions, largest error over the whole domain in units of the last "
        "place, measured against 40 digits:\n\n"
        f"| function | ulp below |\n|---|---|\n{table}\n\n{literature()}"
    )


def literature() -> str:
    """The grades of the reference cases, family by family."""
    kept = json.loads(GRADES.read_text())
    passed, cases = (sum(row[name] for row in kept) for name in ("passed", "cases"))
    whole = sum(row["passed"] == row["cases"] for row in kept)
    lines = [
        (
            f"| {row['family']} | {row['passed']} of {row['cases']} | {row['engines']} | "
            f"{row['reason']} |"
        )
        for row in kept
    ]
    return (
        "## The literature\n\n"
        f"{passed} of {cases} published or independently computed values in {len(kept)} "
        f"families, {whole} families whole. Formulas and "
        "Fourier prices are held to each case's tolerance, simulations to the larger of "
        "it and four standard errors, which may be at most 0.5 % of the price "
        "or 0.001. `tests/reference/rows.py` says how a case becomes a contract row, and "
        "`pricing.json` where it comes from.\n\n"
        "| family | passed | engines | what fails, and why |\n|---|---|---|---|\n"
        + "\n".join(lines)
        + "\n"
    )


def grade_all() -> None:
    """Price every reference case and keep the grades."""
    from tests.reference.grading import families, grade

    rows = []
    for name, cases in families().items():
        found = grade(cases)
        reasons = sorted(
            {reason.split("; engine")[0].split("; did you")[0] for _, reason in found.lost},
            key=lambda text: (len(text), text),
        )
        engines = ", ".join(f"{k} {n}" for k, n in sorted(found.engines.items()) if k != "none")
        rows.append(
            {
                "family": name,
                "cases": found.cases,
                "passed": found.passed,
                "engines": engines,
                "reason": reasons[0][:160] if reasons else "",
            }
        )
    GRADES.write_text(json.dumps(rows, indent=1) + "\n")


def members() -> str:
    """Every model and payoff in a line."""
    parts = [
        (
            "# Models and payoffs\n\n"
            "Made by `make docs` from the classes; `gpuquant schema` prints their columns.\n"
        )
    ]
    for title, base in (("Models", "models"), ("Payoffs", "payoffs")):
        found = {
            name: getattr(importlib.import_module(module), name)
            for name, module in sorted(names(f"gpuquant.{base}").items())
        }
        real = {
            name: cls
            for name, cls in found.items()
            if issubclass(cls, Member) and not vars(cls).get("abstract", False)
        }
        lines = [
            f"| `{name}` | {' '.join((cls.__doc__ or '').split('Parameters')[0].split())} |"
            for name, cls in real.items()
        ]
        parts.append(f"## {title}\n\n| name | what it is |\n|---|---|\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def main() -> None:
    """Grade the reference cases and write the pages."""
    grade_all()
    (ROOT / "docs" / "members.md").write_text(members())
    (ROOT / "docs" / "speed.md").write_text(speed())
    (ROOT / "docs" / "accuracy.md").write_text(accuracy())


if __name__ == "__main__":
    main()
