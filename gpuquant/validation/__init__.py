"""What keeps research honest, for rules and for learners alike.

`splits` separates training from test, `lookahead` finds what is known too early, and `overfitting`
counts everything that was tried.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuquant.validation import lookahead, overfitting, splits

__all__ = ["lookahead", "overfitting", "splits"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"gpuquant.validation.{name}")
    raise AttributeError(f"module 'gpuquant.validation' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
