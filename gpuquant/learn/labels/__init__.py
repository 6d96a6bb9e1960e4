"""Labels: one file for each kind of what a network learns to tell."""

from gpuquant.family import exports

__getattr__, __dir__ = exports(__name__)
