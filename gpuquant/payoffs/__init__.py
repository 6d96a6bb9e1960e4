"""Payoffs: one file per payoff. Drop a file here, or define the class anywhere, and every model
prices it.
"""

from gpuquant.family import exports

__getattr__, __dir__ = exports(__name__)
