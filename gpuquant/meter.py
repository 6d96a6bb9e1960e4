"""Seconds and joules of a block of work, and where the joules were read.

CPU energy comes from the kernel's RAPL counters, GPU energy from NVML; where neither can be read
the joules are None and the source says so. A guess is never printed as a measurement.
"""

from __future__ import annotations

import importlib.util
import time
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any

from gpuquant.errors import InputError
from gpuquant.shown import Shown

RAPL = Path("/sys/class/powercap")
JOULES_PER_KWH = 3.6e6
OFTEN = 60.0  # seconds between two looks at the counters
POWER = 500.0  # watts that a processor surely does not take for minutes


@dataclass(frozen=True)
class Rates(Shown):
    """What a machine costs its user.

    Parameters
    ----------
    per_hour : float
        Currency units for an hour of the machine.
    per_kwh : float
        Currency units for a kilowatt-hour that was measured.
    grams_per_kwh : float
        Of CO2, in the electricity.

    Examples
    --------
    >>> from gpuquant.meter import Rates, Usage
    >>> used = Usage(seconds=7200.0, host=3.6e6, gpu=None, source="rapl", device="cpu")
    >>> used.cost(Rates(per_hour=0.5, per_kwh=0.2, grams_per_kwh=300.0))
    {'money': 1.2, 'co2_grams': 300.0}
    """

    per_hour: float = 0.0
    per_kwh: float = 0.0
    grams_per_kwh: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not 0 <= value < inf
            ):
                raise InputError(f"Rates {name} = {value!r}: must be finite and >= 0")


@dataclass(frozen=True)
class Usage(Shown):
    """What work took of a machine.

    Attributes
    ----------
    seconds : float
    host, gpu : float or None
        Joules; None where they cannot be read.
    source : str
        Where the joules were read; see `Meter.source`.
    device : str
        Where the work ran, and why there.
    """

    seconds: float
    host: float | None
    gpu: float | None
    source: str
    device: str

    @property
    def joules(self) -> float | None:
        """The sum of what was read; None where nothing was."""
        known = [one for one in (self.host, self.gpu) if one is not None]
        return sum(known) if known else None

    def cost(self, rates: Rates) -> dict[str, float | None]:
        """Money and grams of CO2. Where energy cannot be read but has a rate, they are None."""
        kwh = None if self.joules is None else self.joules / JOULES_PER_KWH

        def of_energy(rate: float) -> float | None:
            return 0.0 if rate == 0.0 else None if kwh is None else rate * kwh

        energy = of_energy(rates.per_kwh)
        hours = self.seconds / 3600.0 * rates.per_hour
        return {
            "money": None if energy is None else hours + energy,
            "co2_grams": of_energy(rates.grams_per_kwh),
        }


@dataclass
class Meter:
    """A context manager that measures its block.

    Attributes
    ----------
    seconds : float
        Wall-clock time.
    host, gpu : float or None
        Joules of the processors and, where the device is one, of the GPU; None where they cannot be
        read. Both count all that the machine did meanwhile. A processor's counter begins anew after
        some minutes or an hour: long work calls `look` meanwhile, and without it the joules of the
        host are None where the counter may have gone round more than once.
    """

    device: Any = None
    seconds: float = 0.0
    host: float | None = None
    gpu: float | None = None

    def __enter__(self) -> Meter:
        self._last, self._known = self._read(), True
        self._start = self._looked = time.perf_counter()
        return self

    def look(self) -> None:
        """Read the counters, if some time has passed since the last look."""
        if time.perf_counter() - self._looked > OFTEN:
            self._add()

    def _add(self) -> None:
        """Add what was spent since the last look."""
        now, then = self._read(), self._looked
        self._looked = time.perf_counter()
        host, gpu = (_spent(old, new) for old, new in zip(self._last, now, strict=True))
        round_ = min((most for _, most in self._last[0] or []), default=inf)
        self._known &= self._looked - then < round_ / POWER
        self.host = None if host is None or not self._known else (self.host or 0.0) + host
        self.gpu = None if gpu is None else (self.gpu or 0.0) + gpu
        self._last = now

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.seconds = time.perf_counter() - self._start
        self._add()

    def _read(self) -> tuple[Counters | None, Counters | None]:
        on_gpu = self.device is not None and self.device.kind == "cuda"
        return _rapl(), _nvml(self.device) if on_gpu else None

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

    def usage(self) -> Usage:
        """What the block took."""
        name = "" if self.device is None else self.device.name
        return Usage(self.seconds, self.host, self.gpu, self.source, name)

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
    """The processors whose energy is counted; the domain of the whole platform would count them
    twice.
    """
    every = [p for p in sorted(folder.glob("intel-rapl:*")) if p.name.count(":") == 1]
    named = {p: (p / "name").read_text().strip() if (p / "name").exists() else "" for p in every}
    return [p for p in every if named[p] != "psys"]


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


def _nvml(device: Any) -> Counters | None:
    if importlib.util.find_spec("pynvml") is None:
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByPciBusId(device.bus.encode())
        return [(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) * 1e-3, 0.0)]
    except pynvml.NVMLError:
        return None
