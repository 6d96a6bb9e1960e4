"""Runs a kernel's source in Python, for a debugger and as the reference. `device="python"` selects
this.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from gpuquant.compiler import reduction
from gpuquant.compiler.functions import copied, parse
from gpuquant.compiler.intrinsics import INTRINSICS
from gpuquant.compiler.kernel import Source, vocabulary
from gpuquant.compiler.records import as_records
from gpuquant.compiler.targets import PYTHON
from gpuquant.math.dual_numbers import DualNumber, differentiable


@lru_cache
def _meanings() -> dict[str, Any]:
    """The meanings in Python of the names that kernel source may use."""
    known: dict[str, Any] = {
        "np": np,
        "math": math,
        "_divided": _divided,
        "LANES": PYTHON.lanes,
        "WIDTH": PYTHON.width,
        "range": range,
    }
    known |= {name: word.python for name, word in INTRINSICS.items()}
    own = ast.Module([parse(reduction.combine), parse(reduction.merge)], [])
    for tree in (ast.parse(vocabulary()), own):
        exec(compile(Plain().visit(tree), "<gpuquant vocabulary>", "exec"), known)
    for slope in [name for name in known if name.startswith("slope_")]:
        name = slope.removeprefix("slope_")
        known[name] = differentiable(known[name], known[slope])
    return known


class Plain(ast.NodeTransformer):
    """Rewrite kernel source so that Python, with NumPy's numbers, follows the language's rules.

    A comparison gives a Python bool, since NumPy adds two of its bools to a bool and cannot negate
    one. A division by zero is no error.
    """

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        return ast.fix_missing_locations(
            ast.copy_location(ast.Call(ast.Name("bool", ast.Load()), [node], []), node)
        )

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div):
            return node
        return ast.fix_missing_locations(
            ast.copy_location(
                ast.Call(ast.Name("_divided", ast.Load()), [node.left, node.right], []), node
            )
        )


def _divided(a: Any, b: Any) -> Any:
    """`a / b` without an error; two integers or booleans are divided as floats."""
    return (
        a / b
        if isinstance(a, np.inexact | DualNumber) or isinstance(b, np.inexact | DualNumber)
        else np.float64(a) / np.float64(b)
    )


def interpreted(source: Source, **words: Any) -> Callable[..., None]:
    """A kernel's `run` as a Python function, in which a debugger shows the lines of the source
    files. `words` adds names, or replaces their meanings.
    """
    known = {**_meanings(), **source.words, **words}
    for line in map(copied, source.lines):
        if isinstance(line, ast.FunctionDef):
            line.decorator_list = []
            _give_lines(line)
        exec(
            compile(
                ast.Module([ast.fix_missing_locations(Plain().visit(line))], []),
                getattr(line, "file", None) or "<gpuquant kernel>",
                "exec",
            ),
            known,
        )
    run: Callable[..., None] = known["run"]

    def quiet(*arguments: Any) -> None:
        with np.errstate(
            all="ignore"
            # as in compiled code, integers wrap and overflowed numbers are clamped later, silently
        ):
            run(*(as_records(argument, source.words) for argument in arguments))

    return quiet


def _give_lines(function: ast.FunctionDef) -> None:
    """Give an expression that replaced another one the line number of its statement."""
    for statement in ast.walk(function):
        if isinstance(statement, ast.stmt) and hasattr(statement, "lineno"):
            last = statement.end_lineno or statement.lineno
            inside = [
                child
                for child in ast.iter_child_nodes(statement)
                if not isinstance(child, ast.stmt)
            ]
            while inside:
                node = inside.pop()
                inside += [
                    child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)
                ]
                if hasattr(node, "lineno") and not statement.lineno <= node.lineno <= last:
                    node.lineno = node.end_lineno = statement.lineno  # type: ignore[attr-defined]
