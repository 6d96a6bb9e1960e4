"""The CPU target: LLVM, lanes innermost, tiles on a thread pool.

A block keeps its state as (fields, lanes) arrays in the L1 cache, and LLVM turns each loop over lanes into vector instructions. The
kernel's source becomes LLVM's language in `lower.py` and machine code in `machine.py`; what it may call besides is in `cpu_words.py`.
"""

from __future__ import annotations

import ast
import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from gpuquant.device import cpu_words
from gpuquant.device.forks import compiling
from gpuquant.device.language import parse
from gpuquant.device.place import share


@lru_cache
def _words() -> dict[str, Any]:
    """What every kernel's source may call, and what its names stand for."""
    from gpuquant.device.compile import vocabulary
    from gpuquant.device.lower import definitions

    own = {"LANES": cpu_words.LANES, "WIDTH": cpu_words.WIDTH, "combine": parse(cpu_words.combine)}
    return {**dict(definitions(ast.parse(vocabulary()))), **own}


def lowered(text: str, kinds: tuple[Any, ...]) -> str:
    """A kernel's source in LLVM's language, for arguments of these kinds."""
    from gpuquant.device.lower import Program, definitions

    return Program({**_words(), **dict(definitions(ast.parse(text)))}).entry("run", kinds)


@lru_cache(maxsize=1024)
def _machine_code(text: str, kinds: tuple[Any, ...]) -> Callable[[int, int, Any], int]:
    """The kernel, from the cache folder or made and put there."""
    from gpuquant.device import machine
    from gpuquant.device.cache import keep
    from gpuquant.device.compile import identity

    with compiling:
        return machine.loaded(keep("o", lambda: machine.compiled(lowered(text, kinds)), identity("cpu"), text, repr(kinds)), "run")


def tile(text: str, arguments: tuple[Any, ...]) -> Callable[[int, int], None]:
    """What runs units `first` to `first + count - 1` of a kernel; it lets go of Python's lock.

    Arrays are passed as they are: what a kernel writes to must be the caller's to write.
    """
    from gpuquant.device.machine import taken

    kinds, numbers = zip(*(taken(argument) for argument in arguments), strict=True)
    call = _machine_code(text, kinds)
    packed = b"".join(number for some in numbers for number in some)
    slots = ctypes.create_string_buffer(packed, len(packed))

    def run(first: int, count: int) -> None:
        if call(first, count, ctypes.addressof(slots)):
            raise MemoryError(f"a kernel's scratch does not fit into memory, {count} units at once")
        arguments  # noqa: B018  alive as long as they are read

    return run


def run_tiles(tile: Callable[[int, int], None], count: int, threads: int, chunk: int, progress: Callable[[int], None] | None, halt: Any = None) -> None:
    """Call `tile(first, length)` over `range(count)` in chunks on so many threads; each takes a fraction of a second, or ends early once `halt[0]` is set."""

    def work(first: int) -> int:
        length = min(chunk, count - first)
        tile(first, length)
        return length

    share(work, range(0, count, chunk), threads, progress, halt)
