"""Checks against look-ahead and overfitting, for rules and for learners.

`splits` separates training from test dates, `lookahead` finds outputs that depend on later data,
and `overfitting` counts every trial.
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
