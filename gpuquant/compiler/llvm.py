"""Verifies, optimises and compiles LLVM IR: to machine code for this CPU, which runs without
Python's lock (the GIL), or to a GPU's assembly.
"""

from __future__ import annotations

import ctypes
import itertools
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import llvmlite
import llvmlite.binding as llvm
import numpy as np

from gpuquant.compiler.targets import Target
from gpuquant.compiler.types import Array, Kind

CALL = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
VERSION = f"{llvmlite.__version__} {llvm.llvm_version_info}"
OF_DTYPE = {
    np.dtype(word).str: kind
    for kind, word in (
        ("i8", "i1"),
        ("i32", "i4"),
        ("u32", "u4"),
        ("i64", "i8"),
        ("u64", "u8"),
        ("f32", "f4"),
        ("f64", "f8"),
    )
}


class Host(NamedTuple):
    """The machine that code is made for."""

    name: str
    cpu: str
    features: str

    def machine(self) -> Any:
        """A new target machine; each thread and each engine needs its own."""
        settings = {"opt": 3, "reloc": "pic", "codemodel": "small", "jit": True}
        return llvm.Target.from_default_triple().create_target_machine(
            cpu=self.cpu, features=self.features, **settings
        )


@lru_cache
def host() -> Host:
    """This machine: its CPU, the features of the CPU, and LLVM's version."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    return Host(f"{VERSION} {llvm.get_default_triple()} {cpu} {features}", cpu, features)


def compiled(text: str) -> bytes:
    """Compile a module of LLVM IR to an object file of machine code for this CPU."""
    machine = host().machine()
    return bytes(machine.emit_object(_optimized(text, machine)))


@lru_cache
def _targets() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


def assembly(text: str, target: Target, chip: str) -> str:
    """Compile a module of LLVM IR to the assembly of a GPU's chip, such as `sm_90` or `gfx942`.
    No GPU or driver is needed.
    """
    _targets()
    machine = llvm.Target.from_triple(target.triple).create_target_machine(cpu=chip, opt=3)
    return str(machine.emit_assembly(_optimized(text, machine)))


def _optimized(text: str, machine: Any) -> Any:
    """Parse and verify a module, and optimise it for a machine."""
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    module.verify()  # 0.3 % of the time; finds mistakes of this compiler
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


@lru_cache
def _linker() -> Any:
    return llvm.create_lljit_compiler(host().machine(), use_jit_link=True)


_libraries: list[Any] = []  # hold the code that is in use
_numbers = itertools.count()


def loaded(code: bytes, name: str) -> Callable[[int, int, Any], int]:
    """The function `name` of an object file."""
    library = (
        llvm.JITLibraryBuilder()
        .add_object_img(code)
        .add_current_process()
        .export_symbol(name)
        .link(_linker(), f"kernel{next(_numbers)}")
    )
    _libraries.append(library)
    return CALL(library[name])


def taken(argument: Any) -> tuple[Kind, bytes]:
    """The kind of an argument, and its scalars, eight bytes for each."""
    if isinstance(argument, np.ndarray):
        packed = argument.flags.c_contiguous
        numbers = (
            argument.__array_interface__["data"][0],
            *argument.shape,
            *(() if packed else argument.strides),
        )
        kind = array(argument.dtype, argument.ndim, packed)
        return kind, struct.pack(f"<{len(numbers)}q", *numbers)
    if isinstance(argument, tuple):
        kinds, parts = zip(*map(taken, argument), strict=True) if argument else ((), ())
        return kinds, b"".join(parts)
    if isinstance(argument, bool | np.bool_):
        return "bool", struct.pack("<q", int(argument))
    if isinstance(argument, np.generic):
        return _of(argument.dtype), argument.tobytes().ljust(8, b"\0")
    if isinstance(argument, int) and -(1 << 63) <= argument < 1 << 63:
        return "i64", struct.pack("<q", argument)
    if isinstance(argument, float):
        return "f64", struct.pack("<d", argument)
    raise TypeError(
        f"a kernel cannot be given {argument!r}: a number of 64 bits, a truth or an array"
    )


@lru_cache
def array(dtype: np.dtype[Any], dimensions: int, packed: bool) -> Array:
    """The type of an array of numbers of a dtype."""
    return Array(_of(dtype), (None,) * dimensions, packed)


def _of(dtype: np.dtype[Any]) -> str:
    if dtype.str not in OF_DTYPE:
        raise TypeError(
            f"a kernel cannot be given {dtype}: its numbers are {', '.join(OF_DTYPE.values())}"
        )
    return OF_DTYPE[dtype.str]
