"""The one place where CPU and GPU differ when something runs: choose a device, move arrays, launch,
count traffic. What kernels are made of is in `compiler/`.

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
