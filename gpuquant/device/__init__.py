"""THE place where CPU and GPU differ: choose a place, move arrays, compile, cache, launch, count traffic.

`cupy` and `numba.cuda` are imported here and nowhere else. Nothing above this folder asks on which device it runs.
"""

from gpuquant.device.place import CROSSOVER_COLUMNS, CROSSOVER_PATH_STEPS, Place, available, choose
from gpuquant.device.traffic import Ledger, ledger

__all__ = ["CROSSOVER_COLUMNS", "CROSSOVER_PATH_STEPS", "Ledger", "Place", "available", "choose", "ledger"]
