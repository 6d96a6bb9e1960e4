"""The only package where a run differs between CPU and GPU: it chooses a device, moves arrays,
launches kernels and counts transfers. The package `compiler/` makes the kernels.

CuPy is imported here and nowhere else. Nothing above this folder asks on which device it runs.
"""

from gpuquant.device.arrays import gpu_of, on_host
from gpuquant.device.device import (
    CROSSOVER_COLUMNS,
    CROSSOVER_PATH_STEPS,
    Device,
    available,
    resolve_device,
)
from gpuquant.device.traffic import TransferLog, transfer_log

__all__ = [
    "CROSSOVER_COLUMNS",
    "CROSSOVER_PATH_STEPS",
    "Device",
    "TransferLog",
    "available",
    "gpu_of",
    "on_host",
    "resolve_device",
    "transfer_log",
]
