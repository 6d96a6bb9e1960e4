"""Isolation of rows: an error in vectorised work over many rows fails only the row that caused
the error.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gpuquant.errors import DeviceUnavailable, DiskError, GpuquantError


def isolate(
    work: Callable[[np.ndarray], None], rows: np.ndarray, lost: Callable[[int, str], None]
) -> None:
    """Call `work(rows)`. If the call fails, call `work` for each half of the rows, down to single
    rows. Each single row that fails is passed to `lost` with the reason.

    The result of a row must not depend on the other rows of a call, so that a second attempt gives
    the other rows the same results. The function catches mismatched shapes, overflows, lack of
    memory and errors in the code of members. It does not catch a keyboard interrupt,
    nor errors of the disk, of the device and of imports.
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
