"""The derivatives of the elementary functions: `slope_f(x, y)` is f' at x, where f(x) is y.

Kernel source, like `vmath`. A function that has no slope here takes no dual number.
"""
# mypy: ignore-errors

from gpuquant.math.vmath import exp32, exp64


def slope_exp32(x, y):
    """exp'."""
    return y


def slope_exp64(x, y):
    """exp'."""
    return y


def slope_log32(x, y):
    """log'."""
    return 1.0 / x


def slope_log64(x, y):
    """log'."""
    return 1.0 / x


def slope_norm_cdf32(x, y):
    """The normal density."""
    return 0.3989422804014327 * exp32(-0.5 * x * x)


def slope_norm_cdf64(x, y):
    """The normal density."""
    return 0.3989422804014327 * exp64(-0.5 * x * x)
