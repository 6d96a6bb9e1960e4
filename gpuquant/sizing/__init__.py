"""Sizing: one file per way from forecasts to weights."""

from gpuquant.family import exports

__getattr__, __dir__ = exports(__name__)
