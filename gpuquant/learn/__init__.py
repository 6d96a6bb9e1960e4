"""Learning: windows of a resident panel, losses, walk-forward training of ensembles. The only
home of torch.
"""

import importlib
from typing import Any

_NAMES = {
    "Learner": "gpuquant.learn.learner",
    "Samples": "gpuquant.learn.windows",
    "TrainingConfig": "gpuquant.learn.train",
    "Windows": "gpuquant.learn.windows",
}


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in (
        "networks",
        "losses",
        "labels",
        "weights",
        "checkpoint",
        "windows",
        "learner",
        "train",
    ):
        return importlib.import_module(f"gpuquant.learn.{name}")
    raise AttributeError(f"module 'gpuquant.learn' has no attribute {name!r}")
