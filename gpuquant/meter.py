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
    host, gpu : float or None
        Joules of the processors and, where the device is one, of the GPU; None where they cannot be
        read. Both count all that the machine did meanwhile.
    """

    device: Any = None
    seconds: float = 0.0
    host: float | None = None
    gpu: float | None = None

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
        self.host, self.gpu = (
            _spent(before, after) for before, after in zip(self._before, self._read(), strict=True)
        )

    def _read(self) -> tuple[Counters | None, Counters | None]:
        on_gpu = self.device is not None and self.device.kind == "cuda"
        return _rapl(), _nvml(self.device.index) if on_gpu else None

    @property
    def joules(self) -> float | None:
        """The sum of what was read; None where nothing was. `source` says what is in it."""
        known = [one for one in (self.host, self.gpu) if one is not None]
        return sum(known) if known else None

    @property
    def source(self) -> str:
        """Where the joules come from: `rapl` (the host), `nvml` (the GPU), `rapl + nvml`, or
        `unreadable`.
        """
        known = {"rapl": self.host, "nvml": self.gpu}
        return " + ".join(name for name, one in known.items() if one is not None) or "unreadable"

    def meta(self) -> dict[str, Any]:
        """The figures by name, for a result's `meta`."""
        return {
            "seconds": self.seconds,
            "joules": self.joules,
            "joules_host": self.host,
            "joules_gpu": self.gpu,
            "joules_source": self.source,
        }


Counters = list[tuple[float, float]]  # joules so far, and where a counter begins anew


def _spent(before: Counters | None, after: Counters | None) -> float | None:
    """Joules between two readings; a counter that began anew has gone once round."""
    if before is None or after is None or len(before) != len(after):
        return None
    each = [
        now - was if now >= was else now - was + most
        for (was, most), (now, _) in zip(before, after, strict=True)
    ]
    return sum(each) if min(each) >= 0.0 else None


@lru_cache
def _packages(folder: Path) -> list[Path]:
    """The processors whose energy is counted."""
    return [p for p in folder.glob("intel-rapl:*") if p.name.count(":") == 1]


def _rapl() -> Counters | None:
    try:
        each = [
            tuple(
                int((package / name).read_text()) * 1e-6
                for name in ("energy_uj", "max_energy_range_uj")
            )
            for package in _packages(RAPL)
        ]
    except (OSError, ValueError):
        return None
    return [(joules, most) for joules, most in each] or None


def _nvml(index: int) -> Counters | None:
    if importlib.util.find_spec("pynvml") is None:
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        return [(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) * 1e-3, 0.0)]
    except pynvml.NVMLError:
        return None
