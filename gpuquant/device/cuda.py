"""The host side of a GPU: it finds the GPU or says what is missing, loads a kernel's PTX, and
launches the kernel.

CuPy is imported only inside functions, so that the library also works on a machine without CuPy.
"""

from __future__ import annotations

import importlib.util
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from gpuquant.compiler.targets import CUDA
from gpuquant.errors import DeviceUnavailable

INSTALL = (
    "pip install 'gpuquant[cuda13]' (CuPy for CUDA 13; the NVIDIA driver must be 580 or newer)"
)
MOST_BLOCKS = 1 << 20  # of one launch


@lru_cache
def problem(index: int) -> str:
    """Why GPU `index` cannot be used; an empty string where it can."""
    if importlib.util.find_spec("cupy") is None:
        return "cupy is not installed"
    try:
        import cupy

        count = cupy.cuda.runtime.getDeviceCount()
    except (
        Exception
    ) as failure:  # CuPy raises its own classes for a missing driver, library or device
        return f"CuPy finds no device: {str(failure).splitlines()[0]}"
    return "" if index < count else f"device {index} does not exist: {count} found"


def require(index: int) -> None:
    """Raise DeviceUnavailable when GPU `index` cannot be used."""
    what = problem(index)
    if what:
        raise DeviceUnavailable(
            f"device='cuda:{index}' cannot be used: {what}. To get it: {INSTALL}. "
            "device='cpu' runs the same code with the same draws."
        )


def namespace(index: int) -> Any:
    """CuPy, with GPU `index` current."""
    import cupy

    cupy.cuda.Device(index).use()
    return cupy


def bus(index: int) -> str:
    """The PCI address of a GPU, by which other libraries know it: their numbers may differ."""
    return str(namespace(index).cuda.runtime.deviceGetPCIBusId(index))


def launch(text: str, units: int, arguments: tuple[Any, ...], device: Any) -> None:
    """Run the kernel with this source, one block per unit; returns when the GPU has finished."""
    cupy = namespace(device.index)
    kinds, numbers = zip(*(_taken(argument) for argument in arguments), strict=True)
    entry = _loaded(text, kinds, device.index)
    given = tuple(number for some in numbers for number in some)
    for first in range(0, units, MOST_BLOCKS):
        entry((min(units - first, MOST_BLOCKS),), (CUDA.width,), (np.int64(first), *given))
    cupy.cuda.get_current_stream().synchronize()


@lru_cache(maxsize=1024)
def _loaded(text: str, kinds: tuple[Any, ...], index: int) -> Any:
    """The kernel's function in the memory of a GPU."""
    from gpuquant.compiler import build

    cupy = namespace(index)
    assembly = build.ptx(text, kinds, int(cupy.cuda.Device(index).compute_capability))
    with tempfile.TemporaryDirectory() as folder:  # CuPy loads files
        path = Path(folder, "kernel.ptx")
        path.write_bytes(assembly)
        return cupy.RawModule(path=str(path)).get_function("run")


def _taken(argument: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type of an argument in a kernel, and the argument's scalars: for an array its address,
    its extents and, where the array is not contiguous, its strides.
    """
    from gpuquant.compiler import llvm

    if isinstance(argument, tuple):
        result = [_taken(part) for part in argument]
        return tuple(kind for kind, _ in result), tuple(n for _, some in result for n in some)
    if not hasattr(argument, "__cuda_array_interface__"):
        kind, _ = llvm.taken(argument)
        return kind, (argument if isinstance(argument, np.generic) else np.asarray(argument)[()],)
    packed = bool(argument.flags.c_contiguous)
    kind = llvm.array(np.dtype(argument.dtype), argument.ndim, packed)
    return kind, (
        argument,
        *map(np.int64, argument.shape),
        *(() if packed else map(np.int64, argument.strides)),
    )
