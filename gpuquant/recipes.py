"""Recipes: frozen records of ours as JSON and back, so that what is saved is text anyone can read. Nothing is pickled.

A record is `{"class": "gpuquant.module.Name", "fields": {...}}`; only classes of gpuquant are made when reading.
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import numpy as np

from gpuquant.errors import DataError, InputError


def encode(value: Any) -> Any:
    """A record, class, array or plain value as JSON holds it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"class": _name(type(value)), "fields": {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}}
    if isinstance(value, type):
        return {"type": _name(value)}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist()}
    if isinstance(value, list | tuple):
        return [encode(v) for v in value]
    if isinstance(value, dict):
        return {"map": {str(k): encode(v) for k, v in value.items()}}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "hidden") and type(value).__module__.startswith("gpuquant.learn.networks"):
        return {"class": _name(type(value)), "fields": {"hidden": value.hidden}}
    raise InputError(f"{type(value).__module__}.{type(value).__name__} cannot be saved: only gpuquant's own records are; keep it as its library says")


def decode(value: Any) -> Any:
    """The inverse of `encode`."""
    if isinstance(value, list):
        return [decode(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return np.array(value["array"])
    if "map" in value:
        return {k: decode(v) for k, v in value["map"].items()}
    if "type" in value:
        return _find(value["type"])
    return _find(value["class"])(**{k: decode(v) for k, v in value["fields"].items()})


def _name(cls: type) -> str:
    if not cls.__module__.startswith("gpuquant."):
        raise InputError(f"{cls.__module__}.{cls.__name__} cannot be saved: it is not one of gpuquant's classes")
    return f"{cls.__module__}.{cls.__name__}"


def _find(name: str) -> Any:
    module, _, cls = name.rpartition(".")
    if not module.startswith("gpuquant."):
        raise DataError(f"{name!r} in the file is not one of gpuquant's classes")
    return getattr(importlib.import_module(module), cls)
