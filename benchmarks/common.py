"""What every benchmark shares: interleaved timing, one row per figure, the machine it ran on."""

from __future__ import annotations

import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass
class Row:
    """One figure.

    Parameters
    ----------
    question : str
        What was asked.
    value : float
        The measured figure, a ratio unless `unit` says otherwise.
    bar : float or None
        What it must reach; `least` says whether from below or from above.
    """

    question: str
    value: float
    unit: str
    bar: float | None
    least: bool
    detail: str

    @property
    def passed(self) -> bool | None:
        """Whether the bar is reached; None without one."""
        return (
            None
            if self.bar is None
            else bool(self.value >= self.bar if self.least else self.value <= self.bar)
        )


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ratio(
    ours: Callable[[], object],
    rival: Callable[[], object],
    rounds: int = 5,
    ours_work: float = 1.0,
    rival_work: float = 1.0,
) -> tuple[float, float, float]:
    """Median over interleaved rounds of our rate over the rival's, and both rates (work per
    second).
    """
    ours()
    rival()
    pairs = [(seconds(ours), seconds(rival)) for _ in range(rounds)]
    value = statistics.median((ours_work / a) / (rival_work / b) for a, b in pairs)
    return (
        value,
        ours_work / statistics.median(a for a, _ in pairs),
        rival_work / statistics.median(b for _, b in pairs),
    )


def vector() -> str:
    """The widest vector instructions of this CPU: 16 float32 at once, or 8."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return next(
        (name for name in ("avx512f", "avx2", "asimd") if name in info.split()), platform.machine()
    )


def core() -> str:
    """The kind of this CPU's cores, as LLVM calls it: it decides most ratios."""
    from gpuquant.compiler.llvm import host

    return host().cpu


def commit() -> str:
    """The code that is measured."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=RESULTS.parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> dict[str, object]:
    """What ran."""
    import importlib.metadata as metadata

    from gpuquant.system import cores

    names = ("numpy", "llvmlite", "torch", "QuantLib", "vectorbt", "pandas", "scipy")
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next(
        (line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")),
        platform.machine(),
    )
    return {
        "cpu": model,
        "vector": vector(),
        "cores": cores(),
        "commit": commit(),
        "python": platform.python_version(),
        "versions": versions,
    }
