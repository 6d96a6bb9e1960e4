"""Reads arrays of other libraries, without a copy where possible: CuPy, PyTorch, JAX, Numba, and
every other library that supports DLPack or `__cuda_array_interface__`.

An array on a GPU stays there for work on that GPU. For any other use the array is copied to the
host, and the transfer log shows the copy. Both protocols make the reader's stream wait for the
writer's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuquant.device import cuda
from gpuquant.device.traffic import crossed
from gpuquant.errors import InputError

OWN = {"builtins", "numpy", "numpy.ma"}  # the modules of values that are read as they are
CUDA = (2, 13)  # DLPack's numbers for GPU memory and for CUDA's managed memory


def gpu_of(values: Any) -> int | None:
    """The number of the GPU that an array lies on; None for everything else."""
    if hasattr(type(values), "__dlpack_device__"):
        kind, index = values.__dlpack_device__()
        return int(index) if kind in CUDA else None
    if hasattr(type(values), "__cuda_array_interface__"):
        return int(cuda.namespace(0).asarray(values).device.id)
    return None


def on_gpu(values: Any, index: int, name: str) -> Any:
    """A CuPy array with the memory of an array on GPU `index`, without a copy."""
    cuda.require(index)
    xp = cuda.namespace(index)
    try:
        return xp.from_dlpack(values) if hasattr(values, "__dlpack__") else xp.asarray(values)
    except Exception as failure:  # each library raises its own classes
        raise _unreadable(values, name, failure) from failure


def on_host(values: Any, name: str) -> Any:
    """An array of any library as a NumPy array; a value that is no array is returned unchanged.

    Raises
    ------
    InputError
        The array cannot be handed over: it requires a gradient, or NumPy lacks its type.
    """
    if type(values).__module__ in OWN:
        return values
    index = gpu_of(values)
    if index is not None:
        array = on_gpu(values, index, name)
        crossed("down", name, array.nbytes)
        return array.get()
    if not hasattr(type(values), "__dlpack__") or hasattr(values, "__arrow_c_array__"):
        return values
    try:
        return np.asarray(values) if hasattr(values, "__array__") else np.from_dlpack(values)
    except Exception as failure:
        raise _unreadable(values, name, failure) from failure


def _unreadable(values: Any, name: str, failure: Exception) -> InputError:
    kind = f"{type(values).__module__.split('.')[0]}.{type(values).__name__}"
    return InputError(f"{name}, of type {kind}, cannot be read: {failure}")
