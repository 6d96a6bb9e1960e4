"""Small kernels over arrays: any function of vmath, vcmath or rng applied to each element, on any
device.

The tests and the self-test call the functions through these kernels, so that they check the
compiled functions and not the Python source.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from typing import Any

import numpy as np

from gpuquant.compiler import kernel as compiler
from gpuquant.device import launch
from gpuquant.device.device import Device

BLOCK = 256
WORDS = {"f32": np.float32, "f64": np.float64, "u32": np.uint32}


def apply_one(unit, lane0, x, out, n):
    """out[i] = f(x[i])."""
    for lane in lanes():
        i = unit * WIDTH + lane0 + lane
        if i < n:
            out[0, i] = FUNCTION(x[i])


def apply_pair(unit, lane0, x, out, n):
    """out[:, i] = f(x[i]), a function with two results."""
    for lane in lanes():
        i = unit * WIDTH + lane0 + lane
        if i < n:
            out[0, i], out[1, i] = FUNCTION(x[i])


def apply_complex(unit, lane0, x, out, n):
    """out[:, i] = f(x[0, i] + i x[1, i]), its real and its imaginary part."""
    for lane in lanes():
        i = unit * WIDTH + lane0 + lane
        if i < n:
            z = FUNCTION(complex(x[0, i], x[1, i]))
            out[0, i], out[1, i] = z.real, z.imag


def apply_philox(unit, lane0, counters, out, n):
    """out[:, i] = Philox's four words for a counter (four words) and a key (two words)."""
    for lane in lanes():
        i = unit * WIDTH + lane0 + lane
        if i < n:
            out[0, i], out[1, i], out[2, i], out[3, i] = philox(
                counters[0, i],
                counters[1, i],
                counters[2, i],
                counters[3, i],
                counters[4, i],
                counters[5, i],
            )


def apply_normals(unit, lane0, keys, out, n):
    """out[:, i] = the four normals of block `i` of stream 0."""
    for lane in lanes():
        i = unit * WIDTH + lane0 + lane
        if i < n:
            c0, c1, c2, c3 = counter(keys[2] + u64(i), 0, 0, 0)
            a, b, c, d = philox(c0, c1, c2, c3, u32(keys[0]), u32(keys[1]))
            out[0, i], out[1, i] = normals(a, b)
            out[2, i], out[3, i] = normals(c, d)


def _run(body, device, n, array, rows, dtype, precision="double", function=""):
    out = device.xp.empty((rows, n), dtype)

    def source(target):
        made = compiler.source(
            body,
            [],
            target=target,
            precision=precision,
            constants={"FUNCTION": function} if function else {},
        )
        return made if target == "python" else made.text()

    width = launch.width(device)
    arguments = (device.put(array, "x"), out, n)
    launch.run(
        source, device, -(-n // width), arguments, name=function or body.__name__, chunk=4096
    )
    return device.get(out, "out")


def evaluate(name, x, device, *, results=1):
    """The vmath function `name` at each element of `x`; shape (results, n) in the function's own
    type.
    """
    dtype = np.float32 if name.endswith("32") else np.float64
    return _run(
        apply_one if results == 1 else apply_pair, device, len(x), x, results, dtype, function=name
    )


def evaluate_complex(name, z, device):
    """The vcmath function `name` at each element of `z`."""
    real, imag = _run(
        apply_complex, device, len(z), np.array([z.real, z.imag]), 2, np.float64, function=name
    )
    return real + 1j * imag


def philox_words(
    device: Device, counters: Any = ((0,), (0,), (0,), (0,), (0,), (0,))
) -> np.ndarray:
    """Philox's words, shape (4, n), for n columns of four counter words and two key words. For one
    column the shape is (4,).
    """
    given = np.asarray(counters, np.uint32)
    words = _run(apply_philox, device, given.shape[1], given, 4, np.uint32)
    return words.ravel() if given.shape[1] == 1 else words


def normals(device, n, seed, first=0, precision="single"):
    """Four normals for each of `n` paths from `first` on, shape (4, n)."""
    keys = np.array([seed & 0xFFFFFFFF, seed >> 32, first], np.uint64)
    return _run(
        apply_normals,
        device,
        n,
        keys,
        4,
        np.float32 if precision == "single" else np.float64,
        precision,
    )
