"""One row is one row: whatever goes wrong in vectorised work over many rows costs the row that
caused it, and no other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gpuquant.errors import DeviceUnavailable, DiskError, GpuquantError


def isolate(
    work: Callable[[np.ndarray], None], rows: np.ndarray, lost: Callable[[int, str], None]
) -> None:
    """Do `work(rows)`; where it fails, do it for each half again, and so on down to the rows that
    fail by themselves, which `lost` is told of.

    What a row gives must not depend on its company, so that a second attempt gives the others what
    the first would have. Shapes that do not go together, overflows, memory that is not there and
    errors of members' own are all seen; ctrl-C goes on.
    """
    waiting = [rows]
    while waiting:
        some = waiting.pop()
        if not some.size:
            continue
        try:
            work(some)
        except (DiskError, DeviceUnavailable, ImportError):  # no fault of a row
            raise
        except Exception as failure:
            if some.size == 1:
                lost(int(some[0]), in_words(failure))
            else:
                half = some.size // 2
                waiting += [some[half:], some[:half]]


def in_words(failure: Exception) -> str:
    """What a row says of an error: ours as it is, another one by its kind."""
    if isinstance(failure, GpuquantError):
        return str(failure)
    if isinstance(failure, MemoryError):
        return f"it needs more memory than there is: {failure}"
    return f"it cannot be priced: {type(failure).__name__}: {failure}"
