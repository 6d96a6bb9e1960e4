"""Losses: one file per loss of a network's outputs against labels."""

from gpuquant.family import exports

__getattr__, __dir__ = exports(__name__)
