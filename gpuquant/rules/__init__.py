"""Rules: one file per trading rule. A rule says what it wants to hold; the account and its costs
are the back-test's.
"""

from gpuquant.family import exports

__getattr__, __dir__ = exports(__name__)
