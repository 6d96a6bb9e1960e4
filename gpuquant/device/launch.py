"""Runs a kernel on the chosen device. On a CPU a pool of threads runs the units, on a GPU each unit
is a block, and Python runs one unit after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpuquant.compiler.kernel import Source
from gpuquant.compiler.targets import TARGETS
from gpuquant.device import ranges
from gpuquant.device.device import Device
from gpuquant.device.threads import share


def run(
    source_of: Callable[[str], str | Source],
    device: Device,
    units: int,
    arguments: tuple[Any, ...],
    *,
    name: str,
    chunk: int = 1,
    progress: Callable[[int], None] | None = None,
    halt: Any = None,
) -> None:
    """Run `units` units of the kernel whose source is `source_of(target)` on `device`, under a
    `name` that a profiler shows.

    On a CPU a thread takes `chunk` units at once, which should take a fraction of a second. `halt`
    is one of the arguments: an array whose first element, once it is not 0, makes the kernel end
    early. With `halt`, Ctrl-C need not wait until a unit has ended.
    """
    if units == 0:
        return
    source = source_of(device.kind)
    with ranges.named(name):
        if isinstance(source, Source):
            _by_python(source, str(source_of("cpu")), units, arguments, progress)
        elif device.kind == "cpu":
            _on_threads(source, device, units, arguments, max(1, chunk), progress, halt)
        else:
            from gpuquant.device import cuda

            cuda.launch(source, units, arguments, device)
            if progress:
                progress(units)


def _on_threads(
    source: str,
    device: Device,
    units: int,
    arguments: tuple[Any, ...],
    chunk: int,
    progress: Callable[[int], None] | None,
    halt: Any,
) -> None:
    from gpuquant.compiler import build

    tile = build.tile(source, arguments)

    def work(first: int) -> int:
        length = min(chunk, units - first)
        tile(first, length)
        return length

    share(work, range(0, units, chunk), device.threads, progress, halt)


def _by_python(
    source: Source,
    text: str,
    units: int,
    arguments: tuple[Any, ...],
    progress: Callable[[int], None] | None,
) -> None:
    """Run the kernel in Python. The text is first compiled to LLVM IR for a CPU, so that code
    outside the language is refused here, too.
    """
    from gpuquant.compiler import build, interpret, llvm

    build.lowered(text, llvm.taken(arguments)[0])
    entry = interpret.interpreted(source)
    for unit in range(units):
        entry(unit, 1, *arguments)
        if progress:
            progress(1)


def width(device: Device) -> int:
    """Lanes of one unit of work on `device`."""
    return TARGETS[device.kind].width
