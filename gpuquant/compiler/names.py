"""The meanings of the names in a member's function, and the checks that refuse a name that would
mean something else in a kernel.
"""

from __future__ import annotations

import ast
import builtins
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NoReturn

from gpuquant.compiler.inline import Rename
from gpuquant.compiler.intrinsics import INTRINSICS
from gpuquant.errors import MemberError
from gpuquant.math import normal, rng, vcmath, vmath

MATH = {"exp", "log", "sqrt", "erf", "erfc", "fabs"}
PYTHONS = {
    "min",
    "max",
    "abs",
    "float",
    "len",
    "sum",
    "tuple",
    "range",
    "breakpoint",
}  # names that keep Python's meaning
MAY = (
    "arithmetic, comparisons, tuples, if/else, for over range, plain functions, min, max, "
    f"abs, float, len, sum, tuple and math.{{{', '.join(sorted(MATH))}}}"
)
KERNELS = {
    "F", "D", "normals", "uniform", "norm_inv", "LANES", "WIDTH", "np", "math", "bool", "larger",
    "smaller", "square", "cube", "fourth", "combine", "shared", "_seen",
    "erf32", "erf64", "erfc32", "erfc64",
}  # fmt: skip


@lru_cache
def reserved() -> set[str]:
    """Names that a kernel's source has a meaning for."""
    return (
        KERNELS
        | {*INTRINSICS}
        | {name for module in (normal, rng, vcmath, vmath) for name in vars(module)}
    )


@dataclass
class Frame:
    """The function that is being rewritten.

    Parameters
    ----------
    where : str
        The function's name, for messages.
    scope : mapping
        The meanings of the names outside the function.
    names : list of str
        The function's parameters.
    given : set of str
        The names that the function assigns.
    row : str
        The parameter that is the row's number, if there is one.
    turns : set of str
        The variables of the function's loops.
    lengths : mapping
        The lengths of the parameters that are tuples.
    renamed : mapping
        The local names that have another meaning in a kernel, each with its name in the kernel.
    """

    where: str
    scope: Mapping[str, Any] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    given: set[str] = field(default_factory=set)
    row: str = ""
    turns: set[str] = field(default_factory=set)
    lengths: dict[str, int] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)

    @property
    def local(self) -> set[str]:
        """Its parameters and the names that it gives a value."""
        return {*self.names, *self.given}

    def reject(self, node: Any, why: str) -> NoReturn:
        """Refuse the member because of a node of its source."""
        line = f", line {node.lineno} of its file" if hasattr(node, "lineno") else ""
        raise MemberError(f"{self.where}{line}: {why}; a member may use {MAY}")

    def check(self, tree: ast.FunctionDef) -> None:
        """Refuse code that would mean something else in a kernel, and replace the names of integer
        constants by their values in indices and ranges.
        """
        if tree.args.vararg or tree.args.kwarg or tree.args.kwonlyargs or tree.args.posonlyargs:
            self.reject(tree, "its parameters must be plain ones, without * and /")
        for node in ast.walk(tree):
            if isinstance(node, ast.For) and node.orelse:
                self.reject(node, "a loop's else cannot run on every target")
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                self._check_word(node, node.func.id, getattr(builtins, node.func.id, None))
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "math"
            ):
                self._check_word(node, "math", math)
        Wholes(self).visit(tree)

    def _check_word(self, node: ast.AST, word: str, pythons: Any) -> None:
        if word in self.local:
            self.reject(
                node, f"'{word}' is a local name here, and is called or asked for something"
            )
        if word in (*PYTHONS, "math") and self.scope.get(word, pythons) is not pythons:
            self.reject(node, f"'{word}' is Python's own word here: call yours otherwise")

    def rename(self) -> None:
        """Choose a new name for each local name that has a meaning in a kernel."""
        for name in self.local & reserved():
            free = name
            while free in self.local or free in self.scope or free in reserved():
                free += "_"
            self.renamed[name] = free

    def called(self, node: ast.AST) -> None:
        """Give the names in an integer expression their names in the kernel."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                inner.id = self.renamed.get(inner.id, inner.id)


class Wholes(ast.NodeVisitor):
    """Replaces the names of integer constants outside a function by their values, in the
    function's indices and ranges.
    """

    def __init__(self, frame: Frame) -> None:
        self.frame = frame

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.generic_visit(node)
        node.slice = self._whole(node.slice)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "range":
            node.args = [self._whole(a) for a in node.args]

    def _whole(self, node: ast.expr) -> Any:
        names: dict[str, ast.expr] = {}
        called = {
            n.func.id
            for n in ast.walk(node)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        for name in (
            {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} - self.frame.local - called
        ):
            value = self.frame.scope.get(name)
            if isinstance(value, bool) or not isinstance(value, int):
                self.frame.reject(
                    node,
                    (
                        f"'{name}' is no local name and no whole number: an index or the end "
                        "of a range is made of such, of literals and of loop variables"
                    ),
                )
            names[name] = ast.Constant(value)
        return Rename(names).visit(node)
