"""Learning: windows of a resident panel, losses, walk-forward training of ensembles. The only
home of torch.
"""

import importlib
from typing import Any

_NAMES = {
    "Learner": "gpuquant.learn.learner",
    "DeepHedger": "gpuquant.learn.hedging",
    "joined": "gpuquant.learn.distributed",
    "load": "gpuquant.learn.saved",
    "plan": "gpuquant.learn.planning",
    "save": "gpuquant.learn.saved",
    "Surrogate": "gpuquant.learn.surrogate",
    "Checkpoints": "gpuquant.learn.resume",
    "Ridge": "gpuquant.learn.ridge",
    "batches": "gpuquant.learn.batching",
    "Samples": "gpuquant.learn.windows",
    "TrainingConfig": "gpuquant.learn.config",
    "Windows": "gpuquant.learn.windows",
}

_MODULES = (
    "networks",
    "losses",
    "labels",
    "weights",
    "callbacks",
    "checkpoint",
    "windows",
    "learner",
    "train",
)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"gpuquant.learn.{name}")
    raise AttributeError(f"module 'gpuquant.learn' has no attribute {name!r}")
