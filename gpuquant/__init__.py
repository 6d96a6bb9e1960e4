"""gpuquant: Monte Carlo pricing, vectorised back-tests and trained signals, on CPU cores and GPUs.

    import gpuquant as gq

The public names load when first used, so importing gpuquant costs nothing.
"""

import importlib
from typing import Any

from gpuquant._version import __version__

_MODULES = (
    "costs",
    "data",
    "device",
    "errors",
    "features",
    "honesty",
    "leaks",
    "learn",
    "measures",
    "models",
    "optimize",
    "payoffs",
    "report",
    "risk",
    "rng",
    "rules",
    "sizing",
    "splits",
)
_HOMES = {
    "splits": "gpuquant.backtesting.splits",
    "honesty": "gpuquant.backtesting.honesty",
    "leaks": "gpuquant.backtesting.leaks",
}  # modules kept in a folder
_NAMES = {
    "backtest": "gpuquant.backtesting.engine",
    "Bootstrapped": "gpuquant.backtesting.paths",
    "Margin": "gpuquant.backtesting.terms",
    "Simulated": "gpuquant.backtesting.paths",
    "Size": "gpuquant.backtesting.terms",
    "Stops": "gpuquant.backtesting.terms",
    "price": "gpuquant.pricing.engine",
    "implied_volatility": "gpuquant.pricing.implied",
    "describe": "gpuquant.pricing.describe",
    "Contracts": "gpuquant.pricing.contracts",
    "Market": "gpuquant.market",
    "Panel": "gpuquant.panel",
    "Store": "gpuquant.store",
    "Strategy": "gpuquant.strategy",
    "Portfolio": "gpuquant.portfolio",
    "Scenarios": "gpuquant.scenarios",
}

__all__ = ["__version__", *_NAMES, *(name for name in _MODULES if name not in _NAMES)]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(_HOMES.get(name, f"gpuquant.{name}"))
    else:
        raise AttributeError(f"module 'gpuquant' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
