"""What training asks of a device, by torch's own names for any accelerator."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from gpuquant import system

MEMINFO = Path("/proc/meminfo")


def devices() -> list[str]:
    """The devices that torch can train on here, the CPU first; of several accelerators the one that
    torchrun has given this process, else the first.
    """
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if found is None:
        return ["cpu"]
    number = int(os.environ.get("LOCAL_RANK", "0")) % torch.accelerator.device_count()
    return ["cpu", f"{found.type}:{number}"]


def synchronize(device: str) -> None:
    """Wait until a device has done all of its work."""
    if torch.device(device).type != "cpu":
        torch.accelerator.synchronize(device)


def free_memory(device: str) -> int | None:
    """Bytes that are free on a device; None where nobody says so."""
    where = torch.device(device)
    if where.type == "cuda":
        return int(torch.cuda.mem_get_info(where)[0])
    if where.type != "cpu":
        return None
    try:
        lines = MEMINFO.read_text().splitlines()
        return next(int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return system.memory()
