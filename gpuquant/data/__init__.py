"""What users hand in: prices, markets and tables, read, checked and kept as arrays.

`load` gives a data set to try things on.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuquant.data.samples import load, us20

__all__ = ["load", "us20"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("gpuquant.data.samples"), name)
    raise AttributeError(f"module 'gpuquant.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
