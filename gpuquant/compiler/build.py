"""Compiles a kernel's source: to machine code for this CPU, or to PTX for an NVIDIA GPU.

Machine code and PTX are kept on disk, under a hash of everything that determines them.
"""

from __future__ import annotations

import ast
import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from gpuquant.compiler import llvm, reduction
from gpuquant.compiler.cache import cached_bytes
from gpuquant.compiler.kernel import identity, vocabulary
from gpuquant.compiler.program import Program, definitions
from gpuquant.compiler.targets import CPU, CUDA, Target
from gpuquant.compiler.types import Kind
from gpuquant.forks import compiling

NEWEST = 90  # the newest compute capability to compile for; later GPUs run this PTX as well


@lru_cache
def _words(target: Target) -> dict[str, Any]:
    """The functions that every kernel's source may call, and the meanings of its names."""
    return {
        **dict(definitions(ast.parse(vocabulary()))),
        **reduction.source(target.gpu),
        "LANES": target.lanes,
        "WIDTH": target.width,
    }


def lowered(text: str, kinds: tuple[Kind, ...], target: Target = CPU) -> str:
    """The LLVM IR of a kernel's source, for arguments of these types.

    Raises
    ------
    MemberError
        The source uses something outside the language, or a value in it has no single type.
    """
    return Program({**_words(target), **dict(definitions(ast.parse(text)))}, target).entry(
        "run", kinds
    )


@lru_cache(maxsize=1024)
def _machine_code(text: str, kinds: tuple[Kind, ...]) -> Callable[[int, int, Any], int]:
    """The compiled kernel, loaded from the cache folder, or compiled now and saved there."""
    with compiling:
        return llvm.loaded(
            cached_bytes(
                "o",
                lambda: llvm.compiled(lowered(text, kinds)),
                llvm.host().name,
                identity(),
                text,
                repr(kinds),
            ),
            "run",
        )


def tile(text: str, arguments: tuple[Any, ...]) -> Callable[[int, int], None]:
    """A function that runs units `first` to `first + count - 1` of a kernel on this CPU. It
    releases Python's lock (the GIL).

    Arrays are passed without a copy: the caller must pass writable arrays where the kernel writes.
    """
    kinds, packed = llvm.taken(arguments)
    call = _machine_code(text, kinds)
    slots = ctypes.create_string_buffer(packed, len(packed))

    def run(first: int, count: int) -> None:
        if call(first, count, ctypes.addressof(slots)):
            raise MemoryError(f"a kernel's scratch does not fit into memory, {count} units at once")
        arguments  # noqa: B018  keeps the arrays alive while the kernel uses them

    return run


@lru_cache(maxsize=1024)
def ptx(text: str, kinds: tuple[Kind, ...], capability: int = NEWEST) -> bytes:
    """A kernel's PTX for a compute capability (90 for 9.0), from the cache folder, or compiled now
    and saved there. No GPU or driver is needed.
    """
    chip = f"sm_{min(capability, NEWEST)}"
    with compiling:
        return cached_bytes(
            "ptx",
            lambda: llvm.assembly(lowered(text, kinds, CUDA), CUDA, chip).encode(),
            llvm.VERSION,
            identity(),
            text,
            repr(kinds),
            chip,
        )
