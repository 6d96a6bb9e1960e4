"""From a kernel's source to what runs: machine code for this CPU, PTX for an NVIDIA GPU.

Machine code and PTX are kept on disk, under the hash of all that they were made from.
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

NEWEST = 90  # of the chips that LLVM is asked for: PTX of an older one runs on all that came later


@lru_cache
def _words(target: Target) -> dict[str, Any]:
    """What every kernel's source may call, and what its names stand for."""
    return {
        **dict(definitions(ast.parse(vocabulary()))),
        **reduction.source(target.gpu),
        "LANES": target.lanes,
        "WIDTH": target.width,
    }


def lowered(text: str, kinds: tuple[Kind, ...], target: Target = CPU) -> str:
    """A kernel's source in LLVM's language, for arguments of these types.

    Raises
    ------
    MemberError
        It says what the language does not have, or has no one type for.
    """
    return Program({**_words(target), **dict(definitions(ast.parse(text)))}, target).entry(
        "run", kinds
    )


@lru_cache(maxsize=1024)
def _machine_code(text: str, kinds: tuple[Kind, ...]) -> Callable[[int, int, Any], int]:
    """The kernel, from the cache folder or made and put there."""
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
    """What runs units `first` to `first + count - 1` of a kernel on this CPU; it lets go of
    Python's lock.

    Arrays are passed as they are: what a kernel writes to must be the caller's to write.
    """
    kinds, numbers = zip(*(llvm.taken(argument) for argument in arguments), strict=True)
    call = _machine_code(text, kinds)
    packed = b"".join(number for some in numbers for number in some)
    slots = ctypes.create_string_buffer(packed, len(packed))

    def run(first: int, count: int) -> None:
        if call(first, count, ctypes.addressof(slots)):
            raise MemoryError(f"a kernel's scratch does not fit into memory, {count} units at once")
        arguments  # noqa: B018  alive as long as they are read

    return run


@lru_cache(maxsize=1024)
def ptx(text: str, kinds: tuple[Kind, ...], capability: int = NEWEST) -> bytes:
    """A kernel's PTX for a GPU of a compute capability, 90 for 9.0, from the cache folder or
    made and put there; no GPU or driver is needed.
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
