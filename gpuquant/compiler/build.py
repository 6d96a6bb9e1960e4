"""From a kernel's source to what runs: machine code for this CPU, PTX for an NVIDIA GPU, functions of Python's own.

Machine code and PTX are kept on disk, under the hash of all that they were made from.
"""

from __future__ import annotations

import ast
import copy
import ctypes
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from gpuquant.compiler import llvm, reduction
from gpuquant.compiler.cache import keep
from gpuquant.compiler.functions import parse
from gpuquant.compiler.intrinsics import INTRINSICS
from gpuquant.compiler.kernel import Source, identity, vocabulary
from gpuquant.compiler.statements import Program, definitions
from gpuquant.compiler.targets import CPU, CUDA, PYTHON, Target
from gpuquant.compiler.types import Kind
from gpuquant.forks import compiling

NEWEST = 90  # of the chips that LLVM is asked for: PTX of an older one runs on all that came later


@lru_cache
def _words(target: Target) -> dict[str, Any]:
    """What every kernel's source may call, and what its names stand for."""
    combine = parse(reduction.combine_threads if target.gpu else reduction.combine)
    return {**dict(definitions(ast.parse(vocabulary()))), "LANES": target.lanes, "WIDTH": target.width, "combine": combine}


def lowered(text: str, kinds: tuple[Kind, ...], target: Target = CPU) -> str:
    """A kernel's source in LLVM's language, for arguments of these types.

    Raises
    ------
    MemberError
        It says what the language does not have, or has no one type for.
    """
    return Program({**_words(target), **dict(definitions(ast.parse(text)))}, target).entry("run", kinds)


@lru_cache(maxsize=1024)
def _machine_code(text: str, kinds: tuple[Kind, ...]) -> Callable[[int, int, Any], int]:
    """The kernel, from the cache folder or made and put there."""
    with compiling:
        return llvm.loaded(keep("o", lambda: llvm.compiled(lowered(text, kinds)), llvm.host().name, identity(), text, repr(kinds)), "run")


def tile(text: str, arguments: tuple[Any, ...]) -> Callable[[int, int], None]:
    """What runs units `first` to `first + count - 1` of a kernel on this CPU; it lets go of Python's lock.

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
    """A kernel's PTX for a GPU of a compute capability, 90 for 9.0, from the cache folder or made and put there; no GPU or driver is needed."""
    chip = f"sm_{min(capability, NEWEST)}"
    with compiling:
        return keep("ptx", lambda: llvm.assembly(lowered(text, kinds, CUDA), CUDA, chip).encode(), llvm.VERSION, identity(), text, repr(kinds), chip)


@lru_cache
def _meanings() -> dict[str, Any]:
    """What Python takes the words of a kernel for."""
    known = {"np": np, "math": math, "_divided": _divided, "LANES": PYTHON.lanes, "WIDTH": PYTHON.width, "range": range}
    known |= {name: word.python for name, word in INTRINSICS.items()}
    for tree in (ast.parse(vocabulary()), ast.Module([parse(reduction.combine)], [])):
        exec(compile(Plain().visit(tree), "<gpuquant vocabulary>", "exec"), known)
    return known


class Plain(ast.NodeTransformer):
    """Python with numpy's numbers, as the language has it.

    A truth is Python's own: numpy adds two of its truths to a truth, and has no minus for one. A division by zero is no error.
    """

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        return ast.fix_missing_locations(ast.copy_location(ast.Call(ast.Name("bool", ast.Load()), [node], []), node))

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div):
            return node
        return ast.fix_missing_locations(ast.copy_location(ast.Call(ast.Name("_divided", ast.Load()), [node.left, node.right], []), node))


def _divided(a: Any, b: Any) -> Any:
    """`a / b` without an error: of two whole numbers, or truths, as floats."""
    return a / b if isinstance(a, np.inexact) or isinstance(b, np.inexact) else np.float64(a) / np.float64(b)


def interpreted(source: Source, **words: Any) -> Callable[..., None]:
    """`run` of a kernel as functions of Python's own, in which a debugger finds the lines of the files that they come from; `words` have a meaning of their own."""
    known = {**_meanings(), **words}
    for line in map(copy.deepcopy, source.lines):
        if isinstance(line, ast.FunctionDef):
            line.decorator_list = []
            _place(line)
        exec(compile(ast.Module([ast.fix_missing_locations(Plain().visit(line))], []), getattr(line, "file", None) or "<gpuquant kernel>", "exec"), known)
    run: Callable[..., None] = known["run"]

    def quiet(*arguments: Any) -> None:
        with np.errstate(all="ignore"):  # whole numbers wrap, and what overflows is clamped later, as compiled code does without a word
            run(*arguments)

    return quiet


def _place(function: ast.FunctionDef) -> None:
    """Give what was written in place of an expression the line of the statement that it stands in."""
    for statement in ast.walk(function):
        if isinstance(statement, ast.stmt) and hasattr(statement, "lineno"):
            last = statement.end_lineno or statement.lineno
            inside = [child for child in ast.iter_child_nodes(statement) if not isinstance(child, ast.stmt)]
            while inside:
                node = inside.pop()
                inside += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)]
                if hasattr(node, "lineno") and not statement.lineno <= node.lineno <= last:
                    node.lineno = node.end_lineno = statement.lineno  # type: ignore[attr-defined]
