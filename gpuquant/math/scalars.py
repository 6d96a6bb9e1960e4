"""The scalar intrinsics of a kernel in plain NumPy: they define what a function computes, before
any target compiles the function.

`compiler/intrinsics.py` has the form of each intrinsic on each target. The functions here are the
slow reference, and `device="python"` runs them.
"""

# mypy: ignore-errors

import numpy as np

f32, f64 = np.float32, np.float64
i32, i64, u32, u64 = np.int32, np.int64, np.uint32, np.uint64


def bits32(x):
    """The bits of a float32 as uint32."""
    return f32(x).view(u32)


def from_bits32(b):
    """The float32 with these bits."""
    return u32(b).view(f32)


def bits64(x):
    """The bits of a float64 as uint64."""
    return f64(x).view(u64)


def from_bits64(b):
    """The float64 with these bits."""
    return u64(b).view(f64)


def sqrt(x):
    """Square root in the type of `x`."""
    return np.sqrt(x)
