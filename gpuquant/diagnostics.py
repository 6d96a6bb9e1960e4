"""Diagnostics: the hardware and packages of this machine, their conflicts, and how to fix them."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from gpuquant import system
from gpuquant._version import __version__
from gpuquant.compiler import cache
from gpuquant.device import cuda
from gpuquant.device.device import resolve_device

PACKAGES = (
    "numpy",
    "scipy",
    "llvmlite",
    "pandas",
    "pyarrow",
    "torch",
    "safetensors",
    "cupy-cuda13x",
    "nvidia-ml-py",
    "skfolio",
    "cvxpy-base",
    "matplotlib",
    "tqdm",
    "dask",
)


@dataclass
class Checkup:
    """Lines of findings, and problems each with its mend."""

    lines: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        text = "\n".join(self.lines)
        if not self.problems:
            return text + "\nno problems found"
        return (
            text
            + "\n"
            + "\n".join(f"problem: {what}\n  mend: {how}" for what, how in self.problems)
        )


def version_of(package: str) -> str:
    """The installed version of a package, or `absent`."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def cuda_majors() -> dict[str, str]:
    """The CUDA major each GPU package was built for, without importing any."""
    majors = {}
    torch = version_of("torch")
    if torch != "absent":
        majors["torch"] = (
            torch.split("+cu", 1)[1][:2]
            if "+cu" in torch
            else "none (CPU build)"
            if "+cpu" in torch
            else _torch_major()
        )
    for name in ("cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x"):
        if version_of(name) != "absent":
            majors["CuPy"] = name[9:11]
    return majors


def _torch_major() -> str:
    """Read from torch's own version file: importing torch would take seconds."""
    try:
        text = next(
            f for f in importlib.metadata.files("torch") or [] if str(f) == "torch/version.py"
        ).read_text()
    except (StopIteration, OSError):
        return "unknown"
    line = next((row for row in text.splitlines() if row.startswith("cuda")), "")
    value = line.split("=")[-1].strip().strip("'\"")
    return "none (CPU build)" if value in ("None", "") else value.split(".")[0]


def _driver() -> str:
    if shutil.which("nvidia-smi") is None:
        return "absent"
    done = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.stdout.strip().replace("\n", "; ") or "present, but names no GPU"


def _memory() -> str:
    try:
        pages = dict(
            line.split(":")
            for line in Path("/proc/meminfo").read_text().splitlines()
            if ":" in line
        )
        return (
            f"{int(pages['MemAvailable'].split()[0]) / 2**20:.1f} of "
            f"{int(pages['MemTotal'].split()[0]) / 2**20:.1f} GiB free"
        )
    except (OSError, KeyError, ValueError):
        return "unknown"


def checkup() -> Checkup:
    """Check the packages, the CPU, the GPU and the kernel cache."""
    out = Checkup()
    out.lines += [
        f"gpuquant {__version__}, Python {platform.python_version()}, {platform.platform()}"
    ]
    out.lines += ["packages: " + ", ".join(f"{p} {version_of(p)}" for p in PACKAGES)]
    out.lines += [f"CPU: {system.cores()} cores, memory {_memory()}", f"GPU: {_driver()}"]
    majors = cuda_majors()
    out.lines.append(
        "CUDA majors: " + (", ".join(f"{k} {v}" for k, v in majors.items()) or "no GPU package")
    )
    numbers = {v for v in majors.values() if v.isdigit()}
    if len(numbers) > 1:
        out.problems.append(
            (
                f"CUDA majors differ: {majors}",
                (
                    "install one major throughout: pip install 'gpuquant[cuda13]' and a "
                    "torch built for CUDA 13"
                ),
            )
        )
    trouble = cuda.problem(0)
    out.lines.append(
        f"device auto: {resolve_device('auto').name} ({resolve_device('auto').reason})"
    )
    if trouble and _driver() != "absent":
        out.problems.append((f"a GPU is there but cannot be used: {trouble}", cuda.INSTALL))
    folder, why = cache.folder()
    if folder is None:
        out.lines.append("cache: none; every process compiles its kernels anew, in memory")
        out.problems.append(
            (
                f"no folder for kernels that you alone can write to: {why}",
                "set GPUQUANT_CACHE to such a folder",
            )
        )
        return out
    files = [p for p in folder.rglob("*") if p.is_file()]
    out.lines.append(
        f"cache: {folder} ({len(files)} files, "
        f"{sum(p.stat().st_size for p in files) / 1e6:.1f} MB); `gpuquant doctor "
        "--clear-cache` empties it"
    )
    if why:
        out.problems.append(
            (
                f"kernels are kept in {folder}, since {why}",
                "set GPUQUANT_CACHE to a folder that you alone can write to",
            )
        )
    return out


def self_test(kind: str) -> tuple[bool, str]:
    """Whether a compiled kernel on this device gives Philox's known numbers, and a line of text."""
    start = time.perf_counter()
    from gpuquant.device.elementwise import philox_words

    words = philox_words(resolve_device(kind))
    fine = [hex(int(w)) for w in words] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]
    return (
        fine,
        (
            f"self-test on {kind}: {'passed' if fine else 'FAILED'} in "
            f"{time.perf_counter() - start:.2f} s"
        ),
    )


__all__ = ["Checkup", "checkup", "self_test"]
