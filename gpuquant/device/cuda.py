"""The GPU's host side: is there one, what is missing, launch, compile to PTX. The only home of CuPy.

Everything that imports CuPy or numba.cuda does so inside a function, so that a machine without them loses nothing.
"""
# mypy: ignore-errors

from __future__ import annotations

import importlib.util
import os
import re
import warnings
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from gpuquant.errors import DeviceUnavailable, missing

INSTALL = "pip install 'gpuquant[cuda13]' (CuPy and numba-cuda for CUDA 13; the NVIDIA driver must be 580 or newer)"


@lru_cache
def problem(index: int) -> str:
    """What keeps GPU `index` from being used, or an empty string."""
    for package in ("cupy", "numba_cuda"):
        if importlib.util.find_spec(package) is None:
            return f"{package.replace('_', '-')} is not installed"
    try:
        import cupy

        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as failure:  # CuPy raises its own classes for a missing driver, library or device
        return f"CuPy finds no device: {str(failure).splitlines()[0]}"
    if index >= count:
        return f"device {index} does not exist: {count} found"
    from numba import cuda

    return "" if cuda.is_available() else "numba-cuda cannot load the driver"


def require(index: int) -> None:
    """Raise DeviceUnavailable when GPU `index` cannot be used."""
    what = problem(index)
    if what:
        raise DeviceUnavailable(f"device='cuda:{index}' cannot be used: {what}. To get it: {INSTALL}. device='cpu' runs the same code with the same draws.")


def namespace(index: int) -> Any:
    """CuPy, with GPU `index` current."""
    import cupy

    cupy.cuda.Device(index).use()
    return cupy


def launch(entry: Any, units: int, width: int, arguments: tuple[Any, ...], place: Any) -> None:
    """One block per unit; returns when the device has finished."""
    if place.kind == "simulator":
        with warnings.catch_warnings():  # wrapping integers and clamped overflow are meant; numpy warns of both
            warnings.simplefilter("ignore", RuntimeWarning)
            entry[units, width](0, *arguments)
        return
    from numba import cuda

    with warnings.catch_warnings(), cuda.gpus[place.index]:
        warnings.filterwarnings("ignore", message=".*under-utilization.*")
        for first in range(0, units, 1 << 20):
            entry[min(units - first, 1 << 20), width](first, *arguments)
        cuda.synchronize()


def require_simulator() -> None:
    """Raise unless numba was started with its CUDA simulator."""
    if importlib.util.find_spec("numba_cuda") is None:
        raise missing("numba-cuda", "dev")
    if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
        raise DeviceUnavailable("device='simulator' needs NUMBA_ENABLE_CUDASIM=1 in the environment before Python starts")


def ptx(function: Any, signature: Any, capability: tuple[int, int] = (9, 0)) -> str:
    """The PTX of a kernel for `capability`, without a GPU or driver."""
    from numba import cuda
    from numba.cuda import dispatcher

    if not cuda.is_available():  # a device function asks the current device for its capability; answer in its place
        dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    text, _ = cuda.compile_ptx(function, signature, cc=capability)
    return text


def registers(assembly: str, capability: tuple[int, int] = (9, 0)) -> tuple[int, int]:
    """Registers of a thread and bytes that it spills, of a kernel's PTX assembled for `capability`; no GPU or driver is needed."""
    from cuda.bindings import nvjitlink

    data = assembly.encode()
    options = [f"-arch=sm_{capability[0]}{capability[1]}", "-Xptxas=-v", "-verbose"]
    handle = nvjitlink.create(len(options), options)
    nvjitlink.add_data(handle, nvjitlink.InputType.PTX, data, len(data), "kernel")
    nvjitlink.complete(handle)
    log = bytearray(nvjitlink.get_info_log_size(handle))
    nvjitlink.get_info_log(handle, log)
    nvjitlink.destroy(handle)
    said = log.decode()
    return int(re.search(r"Used (\d+) registers", said)[1]), int(re.search(r"(\d+) bytes spill stores", said)[1])
