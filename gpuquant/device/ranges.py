"""Names for a profiler: each launch is a range that Nsight Systems shows by name."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any


@lru_cache
def _annotate() -> Any:
    try:
        from nvtx import annotate
    except ImportError:
        return None
    return annotate


def named(name: str) -> AbstractContextManager[object]:
    """An NVTX range of this name in the domain `gpuquant`, where the package nvtx is installed."""
    annotate = _annotate()
    return annotate(name, domain="gpuquant") if annotate else nullcontext()
