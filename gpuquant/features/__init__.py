"""Features: one file per feature of a price panel; pricers and back-tests feed some of them. All
are causal.
"""

from gpuquant.family import exports

__getattr__, __dir__ = exports(__name__)
