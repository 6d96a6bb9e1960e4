"""Reads Python functions: their source, the meanings of their names, and all that their kernel
source depends on.
"""

from __future__ import annotations

import ast
import dis
import inspect
import textwrap
from collections import ChainMap
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from types import CodeType, FunctionType, ModuleType
from typing import Any

from gpuquant.errors import MemberError

JUMPS = {*dis.hasjrel, *dis.hasjabs}


def plain(function: Any) -> Any:
    """The Python function behind one that numba has compiled."""
    return getattr(function, "py_func", function)


def copied(node: Any) -> Any:
    """A deep copy of a syntax tree or of a list of them, made faster than by `copy.deepcopy`."""
    if isinstance(node, list):
        return [copied(inner) for inner in node]
    if not isinstance(node, ast.AST):
        return node
    new = node.__class__.__new__(node.__class__)  # its fields are all copied below
    new.__dict__.update(
        (name, copied(value) if isinstance(value, ast.AST | list) else value)
        for name, value in node.__dict__.items()
    )
    return new


def parse(function: Callable[..., Any]) -> ast.FunctionDef:
    """The syntax tree of a function, without decorators and docstring. The tree has the line
    numbers of the file. Its attribute `file` is the file's name, and its attribute `types` the
    annotations of the parameters.

    Raises
    ------
    MemberError
        The function has no source, or the source is of another function: a decorator has replaced
        the function, or the file has changed since the function was imported.
    """
    function = plain(function)
    if not isinstance(function, FunctionType):
        return _parsed(function, None)
    tree: ast.FunctionDef = copied(_kept(function, function.__code__))
    return tree


@lru_cache(maxsize=4096)
def _kept(function: FunctionType, code: CodeType) -> ast.FunctionDef:
    return _parsed(function, code)


def _parsed(function: Any, code: Any) -> ast.FunctionDef:
    name = getattr(function, "__qualname__", repr(function))
    try:
        lines, first = inspect.getsourcelines(function)
        text = "".join(lines)
        inside = text[:1].isspace()  # a class or another function
        tree = ast.parse(f"if True:\n{text}" if inside else textwrap.dedent(text)).body[0]
        tree = tree.body[0] if inside and isinstance(tree, ast.If) else tree
    except (OSError, TypeError, SyntaxError) as failure:
        raise MemberError(
            f"{name}: its source cannot be read ({failure}); define it in a file or a notebook cell"
        ) from failure
    if not isinstance(tree, ast.FunctionDef) or not isinstance(function, FunctionType):
        raise MemberError(f"{name}: must be a plain function")
    if hasattr(function, "__wrapped__"):
        raise MemberError(
            f"{name}: a decorator has put another function in its place, whose source this is not"
        )
    ast.increment_lineno(tree, first - 1 - inside)
    tree.decorator_list, tree.returns = [], None
    types = {}
    for argument in (*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs):
        if argument.annotation is not None:
            types[argument.arg] = ast.unparse(argument.annotation)
        argument.annotation = None
    if not _is_run(tree, code):
        raise MemberError(
            f"{name}: {inspect.getsourcefile(function)} has changed since it was "
            "imported: import it again, or start anew"
        )
    tree.types = types  # type: ignore[attr-defined]
    tree.file = inspect.getsourcefile(function)  # type: ignore[attr-defined]
    opening = tree.body[0]
    if (
        isinstance(opening, ast.Expr)
        and isinstance(opening.value, ast.Constant)
        and isinstance(opening.value.value, str)
    ):
        tree.body = tree.body[1:] or [ast.copy_location(ast.Pass(), opening)]
    return tree


def _is_run(tree: ast.FunctionDef, code: CodeType) -> bool:
    """Whether a function's source compiles to the code that Python runs."""
    outer = ast.parse(
        f"def around({', '.join(code.co_freevars)}):\n    pass"
    )  # so that its free names are free again
    around = outer.body[0]
    assert isinstance(around, ast.FunctionDef)
    around.body = [tree]
    made = compile(ast.fix_missing_locations(outer), "<source>", "exec")
    (inner,) = _inside(made)
    return any(_shape(one) == _shape(code) for one in _inside(inner))


def _inside(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _shape(code: CodeType) -> tuple[Any, ...]:
    """The instructions of a code object, without line numbers.

    The imports of a module decide whether Python calls `math.exp` as a method or as a function:
    which of two instructions loads it, whether a null is pushed, and thus where jumps go. These are
    left out.
    """
    answers = []
    for step in dis.get_instructions(code):
        if step.opname == "PUSH_NULL":
            continue
        word = step.opname.replace("LOAD_METHOD", "LOAD_ATTR")
        about = (
            _shape(step.argval)
            if isinstance(step.argval, CodeType)
            else ""
            if step.opcode in JUMPS
            else (type(step.argval).__name__, repr(step.argval))
        )
        answers.append((word, about))
    return (code.co_name, code.co_varnames, code.co_freevars, *answers)


def scope(function: FunctionType) -> Mapping[str, Any]:
    """The meanings of the names that a function reads but does not assign."""
    closure = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # the cell has no value yet
            closure[name] = cell.cell_contents
    return ChainMap(closure, function.__globals__) if closure else function.__globals__


def fingerprint(function: Any, around: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    """All that a function's kernel source depends on besides its name: the function's code and
    defaults, and the numbers and functions that it reads from outside.
    """
    function = plain(function)
    if not isinstance(function, FunctionType) or function in around:
        return (function,)
    outside, names = scope(function), _names(function.__code__)
    read = [(name, outside.get(name)) for name in names]
    read += [
        (f"{name}.{inner}", value.__dict__.get(inner))
        for name, value in read
        if isinstance(value, type | ModuleType)
        for inner in names
    ]
    read = [
        (name, plain(value.__func__ if isinstance(value, staticmethod) else value))
        for name, value in read
    ]
    seen = [
        (
            name,
            fingerprint(value, (*around, function)) if isinstance(value, FunctionType) else value,
        )
        for name, value in read
        if isinstance(value, FunctionType | int | float)
    ]
    return (function.__code__, function.__defaults__ and repr(function.__defaults__), *seen)


def _names(code: CodeType) -> tuple[str, ...]:
    """The names that a code object reads from outside, those of its generators included."""
    names = code.co_names + code.co_freevars
    for inner in _inside(code):
        names += _names(inner)
    return names
