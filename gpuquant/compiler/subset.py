"""Checks the Python of a member, and rewrites it into kernel source.

Members are written in plain Python with `math`. `Rewriter` maps `math.*` to vmath in the run's
precision, gives literals the run's type, and turns `m.volatility[i]` into a register. It refuses
code that cannot run on every target; the error names the code and its line.
"""

from __future__ import annotations

import ast
import builtins
import inspect
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from gpuquant.compiler.functions import parse, plain, scope
from gpuquant.compiler.member import Member, Precision
from gpuquant.compiler.names import MATH, Frame
from gpuquant.compiler.unroll import Unroll, stored
from gpuquant.errors import MemberError, unknown

BUILTINS = {
    "min": "smaller",
    "max": "larger",
    "abs": "abs",
    "range": "range",
    "breakpoint": "breakpoint",
}
MOST = 10**308  # the largest integer literal: a float64 must hold it
STATEMENTS = (
    ast.arguments, ast.arg, ast.Return, ast.Assign, ast.AugAssign, ast.Expr, ast.If, ast.For,
    ast.Pass,
    ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.Tuple, ast.Name,
    ast.Constant, ast.Subscript, ast.Slice, ast.Attribute,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context,
)  # fmt: skip


class Rewriter(ast.NodeTransformer):
    """Turn a member's function, and the functions it calls, into kernel source."""

    def __init__(self, member: Member, precision: Precision) -> None:
        self.member = member
        self.suffix = (
            ("64" if precision.state == "f64" else "32") if member.accurate else precision.draw
        )
        self.cast = "f32" if self.suffix == "32" and precision.state == "f64" else ""
        self.functions: list[ast.FunctionDef] = []
        self.done: dict[Any, str] = {}
        self.frame = Frame(member.name)

    def rewrite(self) -> list[ast.FunctionDef]:
        """The member's function and its direct and indirect callees, each after its own callees."""
        names = (
            list(inspect.signature(plain(self.member.function)).parameters)
            if isinstance(plain(self.member.function), FunctionType)
            else []
        )
        rows = not self.member.formula and 0 not in self.member.lengths and len(names) > 1
        self._function(
            self.member.function,
            self.member.name,
            self.member.offered,
            row=names[1] if rows else "",
        )
        return self.functions

    def _function(
        self,
        function: Any,
        name: str,
        offered: int = 0,
        given: Mapping[str, int] | None = None,
        row: str = "",
    ) -> None:
        function = plain(function)
        if not isinstance(function, FunctionType):
            raise MemberError(f"{self.member.name}: {function!r} is not a plain Python function")
        tree = parse(function)
        outer = self.frame
        self.frame = Frame(
            f"{function.__module__}.{function.__qualname__}",
            scope(function),
            [a.arg for a in tree.args.args],
            stored(tree),
            row,
        )
        self.frame.check(tree)
        if given is None:
            given = {
                tree.args.args[place].arg: length
                for place, length in self.member.lengths.items()
                if place < len(tree.args.args)
            }
        lists = {
            name: len(place)
            for name, place in self.member.fields.items()
            if isinstance(place, range)
        }
        tree = Unroll(given, tree.args.args[0].arg if tree.args.args else "", lists).visit(tree)
        self.frame.lengths = dict(given)
        tree.name = name
        for node in (n for line in tree.body for n in ast.walk(line)):
            if not isinstance(node, STATEMENTS):
                self.frame.reject(node, f"{type(node).__name__} cannot run on every target")
        self.frame.turns = {
            n.target.id
            for n in ast.walk(tree)
            if isinstance(n, ast.For) and isinstance(n.target, ast.Name)
        }
        self.frame.rename()
        for argument in tree.args.args:
            argument.arg = self.frame.renamed.get(argument.arg, argument.arg)
        tree.args.defaults = [self._default(value, tree) for value in function.__defaults__ or ()]
        tree.args.args += [ast.arg(f"_unused{k}") for k in range(len(tree.args.args), offered)]
        tree.body = [self.visit(line) for line in tree.body]
        self.functions.append(ast.fix_missing_locations(tree))
        self.frame = outer

    def _default(self, value: Any, tree: ast.AST) -> ast.expr:
        """The default of a parameter, with the value that it had when the function was defined."""
        if isinstance(value, tuple):
            return ast.Tuple([self._default(one, tree) for one in value], ast.Load())
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.frame.reject(tree, f"the default {value!r} is not a number")
        return self._number(value, tree)

    def _number(self, value: float, node: ast.AST) -> ast.expr:
        """A number in the run's precision."""
        if isinstance(value, int) and abs(value) > MOST:
            self.frame.reject(node, f"the number {str(value)[:20]}... is beyond every float")
        return ast.Call(ast.Name("F", ast.Load()), [ast.Constant(float(value))], [])

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        column = self._column(node)
        if column is not None:
            row, place = column
            if isinstance(place, float):
                return ast.parse(f"F({place!r})", mode="eval").body
            if isinstance(place, range):
                return ast.Tuple([self._field(row, k, node) for k in place], ast.Load())
            return self._field(row, place, node)
        self.frame.called(node.slice)  # the index stays a whole number
        listed = self._column(node.value) if isinstance(node.value, ast.Subscript) else None
        index = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if (
            listed is not None and isinstance(listed[1], range) and isinstance(index, int)
        ):  # read one element of a list, without a tuple of all of them
            self._check_index(node, index, len(listed[1]))
            return self._field(listed[0], listed[1][index], node)
        node.value = self.visit(node.value)
        if isinstance(node.value, ast.Tuple) and isinstance(index, int):
            self._check_index(node, index, len(node.value.elts))
            return node.value.elts[index]
        return node

    def _column(self, node: ast.Subscript) -> tuple[str, int | float | range] | None:
        """For `m.volatility[i]`, the row's name in the kernel and the column's place in the row;
        None for other subscripts.
        """
        value = node.value
        if not (
            isinstance(value, ast.Attribute)
            and isinstance(value.value, ast.Name)
            and value.value.id in self.frame.names[:1]
        ):
            return None
        if value.attr not in self.member.fields:
            raise unknown(f"field of {self.frame.where}:", value.attr, self.member.fields)
        if not (isinstance(node.slice, ast.Name) and node.slice.id == self.frame.row):
            self.frame.reject(
                node,
                (
                    f"'{ast.unparse(node)}': a column is asked for the row alone, "
                    f"{value.value.id}.{value.attr}[{self.frame.row or 'i'}]"
                ),
            )
        return self.frame.renamed.get(value.value.id, value.value.id), self.member.fields[
            value.attr
        ]

    def _field(self, row: str, place: int, node: ast.AST) -> ast.expr:
        return ast.copy_location(
            ast.Subscript(ast.Name(row, ast.Load()), ast.Constant(place), ast.Load()), node
        )

    def _check_index(self, node: ast.Subscript, index: int, length: int) -> None:
        if not -length <= index < length:
            self.frame.reject(
                node, f"'{ast.unparse(node)}' asks for number {index} of {length} values"
            )

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        owner = ast.unparse(node.value)
        if owner in self.member.attributes:
            names = self.member.attributes[owner]
            if node.attr not in names:
                self.frame.reject(
                    node, f"'{ast.unparse(node)}' is not there: {owner} has {', '.join(names)}"
                )
            return self._field(self.frame.renamed.get(owner, owner), names.index(node.attr), node)
        self.frame.reject(node, f"'{ast.unparse(node)}' is not known to a kernel")
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "range":
            if not 1 <= len(node.args) <= 3 or node.keywords:
                self.frame.reject(node, "range takes one to three whole numbers")
            for end in node.args:
                self.frame.called(end)
            return node
        rows = [
            k for k, a in enumerate(node.args) if isinstance(a, ast.Name) and a.id == self.frame.row
        ]
        node.args = [a if k in rows else self.visit(a) for k, a in enumerate(node.args)]
        if node.keywords:
            self.frame.reject(node, "keyword arguments cannot run on every target")
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "math":
            node.func = self._math(node, node.func.attr)
        elif isinstance(node.func, ast.Attribute) and node.func.attr in self.member.methods.get(
            ast.unparse(node.func.value), ()
        ):
            asked = node.func.value
            node.args.insert(0, asked)
            node.func = ast.Name(f"{ast.unparse(asked)}_{node.func.attr}", ast.Load())
        elif isinstance(node.func, ast.Name):
            node.func.id = self._called(node, node.func.id, rows)
        else:
            self.frame.reject(node, f"'{ast.unparse(node.func)}' cannot be called")
        return node

    def _math(self, node: ast.Call, name: str) -> ast.expr:
        if name not in MATH:
            self.frame.reject(node, f"math.{name} is not known to a kernel")
        if name in ("sqrt", "fabs"):
            return ast.Name({"sqrt": "sqrt", "fabs": "abs"}[name], ast.Load())
        if self.cast:
            node.args = [ast.Call(ast.Name(self.cast, ast.Load()), [a], []) for a in node.args]
        return ast.Name(name + self.suffix, ast.Load())

    def _called(self, node: ast.Call, name: str, rows: list[int]) -> str:
        if name in ("min", "max") and len(node.args) != 2:
            self.frame.reject(node, f"{name} takes two arguments here")
        if name in BUILTINS:
            return BUILTINS[name]
        if name == "float":
            return "F"
        function = plain(self.frame.scope.get(name))
        if not isinstance(function, FunctionType):
            self.frame.reject(
                node,
                f"'{name}' cannot be called: it must be a plain function, math.*, min, max or abs",
            )
        assert function
        lengths = [self._length(a) for a in node.args]
        parameters = list(inspect.signature(function).parameters)
        given = {
            p: length for p, length in zip(parameters, lengths, strict=False) if length is not None
        }
        row = next((parameters[k] for k in rows if k < len(parameters)), "")
        key = (function, tuple(given.items()), row)
        if key not in self.done:
            self.done[key] = (
                # the number tells functions of the same name apart
                f"{self.member.name}_{name}_{len(self.done)}"
            )
            self._function(function, self.done[key], given=given, row=row)
        return self.done[key]

    def _length(self, node: ast.expr) -> int | None:
        """The length of an argument that is a tuple, where the length is known, else None."""
        if isinstance(node, ast.Name):
            return self.frame.lengths.get(node.id)
        if isinstance(node, ast.Tuple):
            return len(node.elts)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            whole, ends = self._length(node.value), (node.slice.lower, node.slice.upper)
            known = [
                end.value
                for end in ends
                if isinstance(end, ast.Constant) and isinstance(end.value, int)
            ]
            if (
                whole is None
                or node.slice.step
                or len(known) < sum(end is not None for end in ends)
            ):
                return None
            first = known.pop(0) if node.slice.lower else None
            return len(range(whole)[first : known[0] if known else None])
        return None

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id and node.id == self.frame.row:
            self.frame.reject(
                node,
                f"'{node.id}' is the row: it may index columns, and be handed to functions that do",
            )
        if isinstance(node.ctx, ast.Store) or node.id in self.frame.local:
            turn = node.id in self.frame.turns and isinstance(node.ctx, ast.Load)
            node.id = self.frame.renamed.get(node.id, node.id)
            return (
                ast.Call(ast.Name("F", ast.Load()), [node], []) if turn else node
            )  # a loop variable is an integer only in indices and ranges
        value = self.frame.scope.get(node.id)
        if isinstance(value, bool | int | float):
            return self._number(value, node)
        if node.id not in self.frame.scope and not hasattr(builtins, node.id):
            self.frame.reject(node, f"the name '{node.id}' is not defined")
        self.frame.reject(node, f"'{node.id}' is not a number, a parameter or a local name")
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            self.frame.reject(node, f"the literal {node.value!r} is not a number")
        return self._number(node.value, node)  # type: ignore[arg-type]

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self._operator(node)
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if isinstance(node.op, ast.Pow):
            name = {"2": "square", "3": "cube", "4": "fourth"}.get(ast.unparse(node.right))
            if name is None:
                self.frame.reject(
                    node, "powers other than 2, 3 and 4 need math.exp(y * math.log(x))"
                )
            return ast.Call(ast.Name(name or "", ast.Load()), [self.visit(node.left)], [])
        self._operator(node)
        return self.generic_visit(node)

    def _operator(self, node: ast.BinOp | ast.AugAssign) -> None:
        if not isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div):
            self.frame.reject(
                node, f"the operator in '{ast.unparse(node)}' cannot run on every target"
            )
