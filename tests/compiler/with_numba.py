"""Kernel source as numba compiles it: the compiler's oracle, and its rival."""

import ast
from functools import lru_cache

import numpy as np

from gpuquant.compiler import kernel as compiler
from gpuquant.compiler import reduction
from gpuquant.compiler.targets import CPU
from gpuquant.math import scalars


def compare_mask(array, at, bound):
    """As the intrinsic's meaning, in words that numba knows."""
    bits = np.uint64(0)
    for k in range(64):
        if array[at[0], at[1] + np.uint64(k)] < bound:
            bits |= np.uint64(1) << np.uint64(k)
    return bits


@lru_cache
def with_numba(text):
    """The same kernel as numba compiles it."""
    import numba

    jit = numba.njit(error_model="numpy")
    known = {
        "np": np,
        "jit": jit,
        "LANES": CPU.lanes,
        "WIDTH": CPU.width,
        "sqrt": np.sqrt,
        "prefetch": jit(lambda array, at: None),
        "halted": jit(lambda array: array[0]),
        "with_slopes": jit(lambda x, slopes: x),  # a kernel without derivatives has none
        "parts": jit(lambda x: (x,)),
    }
    known |= {
        name: getattr(np, kind)
        for name, kind in (
            ("f32", "float32"),
            ("f64", "float64"),
            ("i32", "int32"),
            ("i64", "int64"),
            ("u32", "uint32"),
            ("u64", "uint64"),
        )
    }
    for name in ("bits32", "from_bits32", "bits64", "from_bits64"):
        known[name] = jit(getattr(scalars, name))
    known["lowest"] = jit(
        lambda x: (
            np.uint64(64)
            if x == 0
            else np.uint64(np.round(np.log2(float(x & (~x + np.uint64(1))))))
        )
    )
    known["compare_mask"] = jit(compare_mask)
    own = "\n\n".join(map(ast.unparse, reduction.source(threads=False).values()))
    for module in (compiler.vocabulary(), own, text):
        tree = ast.parse(module)
        for line in tree.body:
            if isinstance(line, ast.FunctionDef):
                line.decorator_list = [ast.Name("jit", ast.Load())]
        exec(ast.unparse(ast.fix_missing_locations(tree)), known)
    return known["run"]
