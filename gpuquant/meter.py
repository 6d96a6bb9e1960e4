"""Seconds and joules of a block of work, and where the joules were read.

CPU energy comes from the kernel's RAPL counters, GPU energy from NVML; where neither can be read
the joules are None and the source says so. A guess is never printed as a measurement.
"""

from __future__ import annotations

import importlib.util
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

RAPL = Path("/sys/class/powercap")


@dataclass
class Meter:
    """A context manager that measures its block.

    Attributes
    ----------
    seconds : float
        Wall-clock time.
    joules : float or None
        Energy, None when it cannot be read.
    source : str
        Where the joules come from: `rapl`, `nvml` or `unreadable`.
    """

    device: Any = None
    seconds: float = 0.0
    joules: float | None = None
    source: str = "unreadable"

    def __enter__(self) -> Meter:
        self._before = self._read()
        self._start = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.seconds = time.perf_counter() - self._start
        after = self._read()
        if (
            self._before and after and after[0] >= self._before[0]
        ):  # a counter that wrapped says nothing
            self.joules, self.source = after[0] - self._before[0], after[1]

    def _read(self) -> tuple[float, str] | None:
        return (
            _nvml(self.device.index)
            if self.device is not None and self.device.kind == "cuda"
            else _rapl()
        )

    def meta(self) -> dict[str, Any]:
        """The figures by name, for a result's `meta`."""
        return {"seconds": self.seconds, "joules": self.joules, "joules_source": self.source}


@lru_cache
def _packages(folder: Path) -> list[Path]:
    """The processors whose energy is counted."""
    return [p for p in folder.glob("intel-rapl:*") if p.name.count(":") == 1]


def _rapl() -> tuple[float, str] | None:
    total = 0.0
    try:
        packages = _packages(RAPL)
        for package in packages:
            total += int((package / "energy_uj").read_text()) * 1e-6
    except (OSError, ValueError):
        return None
    return (total, "rapl") if packages else None


def _nvml(index: int) -> tuple[float, str] | None:
    if importlib.util.find_spec("pynvml") is None:
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetTotalEnergyConsumption(
            pynvml.nvmlDeviceGetHandleByIndex(index)
        ) * 1e-3, "nvml"
    except pynvml.NVMLError:
        return None
