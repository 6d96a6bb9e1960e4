"""What every benchmark shares: interleaved timing, one row per figure, the machine it ran on."""

from __future__ import annotations

import platform
import statistics
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
        return None if self.bar is None else (self.value >= self.bar if self.least else self.value <= self.bar)


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ratio(
    ours: Callable[[], object], rival: Callable[[], object], rounds: int = 5, ours_work: float = 1.0, rival_work: float = 1.0
) -> tuple[float, float, float]:
    """Median over interleaved rounds of our rate over the rival's, and both rates (work per second)."""
    ours()
    rival()
    pairs = [(seconds(ours), seconds(rival)) for _ in range(rounds)]
    value = statistics.median((ours_work / a) / (rival_work / b) for a, b in pairs)
    return value, ours_work / statistics.median(a for a, _ in pairs), rival_work / statistics.median(b for _, b in pairs)


def machine() -> dict[str, object]:
    """What ran."""
    import importlib.metadata as metadata

    from gpuquant.device.place import cores

    names = ("numpy", "numba", "torch", "QuantLib", "vectorbt", "pandas", "scipy")
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    model = (
        next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "unknown")
        if Path("/proc/cpuinfo").exists()
        else "unknown"
    )
    return {"cpu": model, "cores": cores(), "python": platform.python_version(), "versions": versions}
