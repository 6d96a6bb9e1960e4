"""Costs: one file per cost of trading."""

from gpuquant.family import exports

__getattr__, __dir__ = exports(__name__)
