"""What training asks of a device, by torch's own names for any accelerator."""

from __future__ import annotations

import os

import torch

from gpuquant import system


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


def memory(device: str) -> int | None:
    """Bytes of memory of a device; None where nobody says so."""
    where = torch.device(device)
    if where.type == "cuda":
        return int(torch.cuda.get_device_properties(where).total_memory)
    return system.memory() if where.type == "cpu" else None
