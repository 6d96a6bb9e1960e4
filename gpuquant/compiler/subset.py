"""What a member may say, and its rewriting into kernel source.

Members are written in plain Python with `math`; `Rewriter` maps `math.*` to vmath in the run's precision, gives
literals the run's type, turns `m.volatility[i]` into a register, and refuses by name, with its line, what cannot run on every target.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from gpuquant.compiler.unroll import Unroll
from gpuquant.errors import MemberError, unknown

MATH = {"exp", "log", "sqrt", "erf", "erfc", "fabs"}
BUILTINS = {"min": "smaller", "max": "larger", "abs": "abs", "range": "range", "breakpoint": "breakpoint"}
RESERVED = {"F", "D", "f32", "f64", "i32", "i64", "u32", "u64", "sqrt", "normals", "uniform", "LANES", "WIDTH", "np"}
STATEMENTS = (
    ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.If, ast.For, ast.Pass,
    ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.Tuple, ast.Name, ast.Constant, ast.Subscript, ast.Slice, ast.Attribute,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context,
)  # fmt: skip


@dataclass(frozen=True)
class Precision:
    """The types of a run: of the state and sums, and of draws and elementary functions."""

    name: str
    state: str
    draw: str


PRECISIONS = {p.name: p for p in (Precision("single", "f32", "32"), Precision("mixed", "f64", "32"), Precision("double", "f64", "64"))}


def plain(function: Any) -> Any:
    """The Python function behind one that numba has compiled."""
    return getattr(function, "py_func", function)


def parse(function: Callable[..., Any]) -> ast.FunctionDef:
    """The syntax tree of a function, without decorators and docstring; its lines are those of the file, whose name is its `file`."""
    function = plain(function)
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    except (OSError, TypeError) as failure:
        raise MemberError(f"{function.__qualname__}: its source cannot be read ({failure}); define it in a file or a notebook cell") from failure
    if not isinstance(tree, ast.FunctionDef):
        raise MemberError(f"{function.__qualname__}: must be a plain function")
    ast.increment_lineno(tree, first - 1)
    tree.file = inspect.getsourcefile(function)  # type: ignore[attr-defined]
    tree.decorator_list = []
    tree.returns = None
    for argument in tree.args.args:
        argument.annotation = None
    if ast.get_docstring(tree):
        tree.body = tree.body[1:] or [ast.Pass()]
    return tree


def fingerprint(function: Any) -> tuple[Any, ...]:
    """What a function's kernel source rests on besides its name: its code, and the numbers and functions it reads from outside."""
    function = plain(function)
    if not isinstance(function, FunctionType):
        return (function,)
    closure = dict(zip(function.__code__.co_freevars, (cell.cell_contents for cell in function.__closure__ or ()), strict=True))
    outside = {**function.__globals__, **closure}
    names = (*function.__code__.co_names, *closure)
    read = [(name, outside.get(name)) for name in names]
    read += [(f"{name}.{inner}", value.__dict__.get(inner)) for name, value in read if isinstance(value, type) for inner in names]
    read = [(name, plain(value.__func__ if isinstance(value, staticmethod) else value)) for name, value in read]
    seen = [
        (name, fingerprint(value) if isinstance(value, FunctionType) and value is not function else value)
        for name, value in read
        if isinstance(value, FunctionType | int | float)
    ]
    return (function.__code__, *seen)


@dataclass
class Member:
    """One function of a member on its way into a kernel.

    Parameters
    ----------
    name : str
        What the kernel body calls it.
    function : callable
        The user's function.
    fields : mapping
        Field name to its place in the row's tuple, to the places of a list, or to a constant where the run fixes it.
    accurate : bool
        True for what runs once per row or path: elementary functions in the state's precision.
    offered : int
        Arguments the kernel calls it with, when that may be more than it takes.
    lengths : mapping
        Length of its parameters that are tuples, by their place.
    formula : bool
        It is written for arrays, with `xp`.
    waves : tuple of str
        The parameters of a formula that are complex.
    methods : mapping
        What may be asked of a parameter, by its name: `past.sum(n)` is the kernel's `past_sum(past, n)`.
    """

    name: str
    function: Callable[..., Any]
    fields: Mapping[str, int | float | range]
    accurate: bool = False
    offered: int = 0
    lengths: Mapping[int, int] = field(default_factory=dict)
    formula: bool = False
    waves: tuple[str, ...] = ()
    methods: Mapping[str, Collection[str]] = field(default_factory=dict)


class Rewriter(ast.NodeTransformer):
    """Turn a member's function, and the functions it calls, into kernel source."""

    def __init__(self, member: Member, precision: Precision) -> None:
        self.member = member
        self.suffix = ("64" if precision.state == "f64" else "32") if member.accurate else precision.draw
        self.cast = "f32" if self.suffix == "32" and precision.state == "f64" else ""
        self.functions: list[ast.FunctionDef] = []
        self.lengths: dict[str, int] = {}
        self.done: dict[Any, str] = {}
        self.scope: dict[str, Any] = {}
        self.local: set[str] = set()
        self.names: list[str] = []
        self.where = ""

    def rewrite(self) -> list[ast.FunctionDef]:
        """The member's function and those that it calls, each after what it calls itself."""
        self._function(self.member.function, self.member.name, self.member.offered)
        return self.functions

    def _function(self, function: Any, name: str, offered: int = 0, given: Mapping[str, int] | None = None) -> None:
        function = plain(function)
        if not isinstance(function, FunctionType):
            raise MemberError(f"{self.member.name}: {function!r} is not a plain Python function")
        tree = parse(function)
        outer = (self.scope, self.local, self.names, self.where, self.lengths)
        if given is None:
            given = {tree.args.args[place].arg: length for place, length in self.member.lengths.items() if place < len(tree.args.args)}
        lists = {name: len(place) for name, place in self.member.fields.items() if isinstance(place, range)}
        tree = Unroll(given, tree.args.args[0].arg if tree.args.args else "", lists).visit(tree)
        self.lengths = dict(given)
        closure = dict(zip(function.__code__.co_freevars, (cell.cell_contents for cell in function.__closure__ or ()), strict=True))
        self.scope = {**function.__globals__, **closure}
        self.names = [a.arg for a in tree.args.args]
        self.local = {*self.names, *(n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))}
        self.where = f"{function.__module__}.{function.__qualname__}"
        tree.name = name
        for node in ast.walk(tree):
            if not isinstance(node, STATEMENTS):
                self._reject(node, f"{type(node).__name__} cannot run on every target")
        for argument in tree.args.args:
            argument.arg += "_" if argument.arg in RESERVED else ""
        tree.args.defaults = [self.visit(default) for default in tree.args.defaults]
        tree.args.args += [ast.arg(f"_unused{k}") for k in range(len(tree.args.args), offered)]
        tree.body = [self.visit(line) for line in tree.body]
        self.functions.append(ast.fix_missing_locations(tree))
        self.scope, self.local, self.names, self.where, self.lengths = outer

    def _reject(self, node: Any, why: str) -> None:
        line = f", line {node.lineno} of its file" if hasattr(node, "lineno") else ""
        raise MemberError(
            f"{self.where}{line}: {why}; a member may use arithmetic, comparisons, tuples, if/else, for over range, min, max, abs and math.{{{', '.join(sorted(MATH))}}}"
        )

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        value = node.value
        if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name) and self.names and value.value.id == self.names[0]:
            if value.attr not in self.member.fields:
                raise unknown(f"field of {self.where}:", value.attr, self.member.fields)
            place = self.member.fields[value.attr]
            if isinstance(place, float):
                return ast.parse(f"F({place!r})", mode="eval").body
            if isinstance(place, range):
                return ast.parse(f"({''.join(f'{value.value.id}[{k}],' for k in place)})", mode="eval").body
            return ast.parse(f"{value.value.id}[{place}]", mode="eval").body
        node.value = self.visit(node.value)  # the index stays an integer
        if isinstance(node.value, ast.Tuple) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int):
            if not -len(node.value.elts) <= node.slice.value < len(node.value.elts):
                self._reject(node, f"'{ast.unparse(node)}' asks for number {node.slice.value} of {len(node.value.elts)} values")
            return node.value.elts[node.slice.value]
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self._reject(node, f"'{ast.unparse(node)}' is not known to a kernel")
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "range":
            return node
        node.args = [self.visit(a) for a in node.args]
        if node.keywords:
            self._reject(node, "keyword arguments cannot run on every target")
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "math":
            node.func = self._math(node, node.func.attr)
        elif isinstance(node.func, ast.Attribute) and node.func.attr in self.member.methods.get(ast.unparse(node.func.value), ()):
            asked = node.func.value
            node.args.insert(0, asked)
            node.func = ast.Name(f"{ast.unparse(asked)}_{node.func.attr}", ast.Load())
        elif isinstance(node.func, ast.Name):
            node.func.id = self._called(node, node.func.id)
        else:
            self._reject(node, f"'{ast.unparse(node.func)}' cannot be called")
        return node

    def _math(self, node: ast.Call, name: str) -> ast.expr:
        if name not in MATH:
            self._reject(node, f"math.{name} is not known to a kernel")
        if name in ("sqrt", "fabs"):
            return ast.Name({"sqrt": "sqrt", "fabs": "abs"}[name], ast.Load())
        if self.cast:
            node.args = [ast.Call(ast.Name(self.cast, ast.Load()), [a], []) for a in node.args]
        return ast.Name(name + self.suffix, ast.Load())

    def _called(self, node: ast.Call, name: str) -> str:
        if name in ("min", "max") and len(node.args) != 2:
            self._reject(node, f"{name} takes two arguments here")
        if name in BUILTINS:
            return BUILTINS[name]
        if name == "float":
            return "F"
        function = plain(self.scope.get(name))
        if not isinstance(function, FunctionType):
            self._reject(node, f"'{name}' cannot be called: it must be a plain function, math.*, min, max or abs")
        assert function
        lengths = [self._length(a) for a in node.args]
        given = {p: length for p, length in zip(inspect.signature(function).parameters, lengths, strict=False) if length is not None}
        key = (function, tuple(given.items()))
        if key not in self.done:
            self.done[key] = f"{self.member.name}_{name}_{len(self.done)}"  # of two functions of one name each has its number
            self._function(function, self.done[key], given=given)
        return self.done[key]

    def _length(self, node: ast.expr) -> int | None:
        """How long an argument that is a tuple is, where that is known."""
        if isinstance(node, ast.Name):
            return self.lengths.get(node.id)
        if isinstance(node, ast.Tuple):
            return len(node.elts)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            first, last = (end.value if isinstance(end, ast.Constant) else end for end in (node.slice.lower or ast.Constant(0), node.slice.upper))
            return last - first if isinstance(first, int) and isinstance(last, int) else None
        return None

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Store) or node.id in self.local:
            node.id += "_" if node.id in RESERVED else ""  # the word has a meaning in the generated module
            return node
        value = self.scope.get(node.id)
        if isinstance(value, bool | int | float):
            return ast.Call(ast.Name("F", ast.Load()), [ast.Constant(float(value))], [])
        if node.id not in self.scope and not hasattr(builtins, node.id):
            self._reject(node, f"the name '{node.id}' is not defined")
        self._reject(node, f"'{node.id}' is not a number, a parameter or a local name")
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            self._reject(node, f"the literal {node.value!r} is not a number")
        return ast.Call(ast.Name("F", ast.Load()), [ast.Constant(float(node.value))], [])  # type: ignore[arg-type]

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if isinstance(node.op, ast.Pow):
            name = {"2": "square", "3": "cube", "4": "fourth"}.get(ast.unparse(node.right))
            if name is None:
                self._reject(node, "powers other than 2, 3 and 4 need math.exp(y * math.log(x))")
            return ast.Call(ast.Name(name or "", ast.Load()), [self.visit(node.left)], [])
        if isinstance(node.op, ast.Mod | ast.FloorDiv | ast.BitAnd | ast.BitOr | ast.BitXor | ast.LShift | ast.RShift | ast.MatMult):
            self._reject(node, f"the operator in '{ast.unparse(node)}' cannot run on every target")
        return self.generic_visit(node)
