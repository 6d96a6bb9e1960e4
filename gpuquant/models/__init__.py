"""Models: one file per dynamics. Drop a file here, or define the class anywhere, and it is
priced like the others.
"""

from gpuquant.family import exports

__getattr__, __dir__ = exports(__name__)
