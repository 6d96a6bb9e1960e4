"""Networks: one file per network, each an `nn.Module` from windows (batch, bars, features) to
one number.
"""

from gpuquant.family import exports

__getattr__, __dir__ = exports(__name__)
