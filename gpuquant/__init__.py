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
    "indicators",
    "learn",
    "measures",
    "models",
    "optimize",
    "payoffs",
    "reporting",
    "risk",
    "rng",
    "rules",
    "sizing",
    "splits",
    "validation",
)
_HOMES = {  # modules kept in a folder
    "optimize": "gpuquant.portfolio.optimize",
    "risk": "gpuquant.portfolio.risk",
    "rng": "gpuquant.math.rng",
    "splits": "gpuquant.validation.splits",
}
_NAMES = {
    "backtest": "gpuquant.backtesting.engine",
    "Entries": "gpuquant.backtesting.entries",
    "BootstrappedPrices": "gpuquant.backtesting.price_paths",
    "Margin": "gpuquant.backtesting.settings",
    "SimulatedPrices": "gpuquant.backtesting.price_paths",
    "Size": "gpuquant.backtesting.settings",
    "Stops": "gpuquant.backtesting.settings",
    "price": "gpuquant.pricing.engine",
    "simulate": "gpuquant.pricing.paths",
    "implied_volatility": "gpuquant.pricing.implied_volatility",
    "describe": "gpuquant.pricing.describe",
    "Contracts": "gpuquant.pricing.contracts",
    "Market": "gpuquant.data.market",
    "Panel": "gpuquant.data.panel",
    "Store": "gpuquant.data.store",
    "Strategy": "gpuquant.portfolio.strategy",
    "Portfolio": "gpuquant.portfolio.portfolio",
    "search": "gpuquant.portfolio.search",
    "learning_report": "gpuquant.portfolio.learning",
    "Scenarios": "gpuquant.portfolio.scenarios",
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
