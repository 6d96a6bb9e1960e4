"""Rewrites array formulas as kernel source of complex scalars: `xp.exp(1j * z) / m.kappa` becomes
the code of one lane.

Some formulas run on the arrays of `xp` but not in a kernel: they call another function of `xp`, or
make an array. They are refused as a member's function is; the caller then uses arrays.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from gpuquant.compiler.functions import plain
from gpuquant.compiler.member import Member, Precision
from gpuquant.compiler.subset import Rewriter
from gpuquant.errors import unknown

REAL = {"exp": "exp64", "log": "log64", "sqrt": "sqrt", "abs": "abs"}
COMPLEX = {"exp": "cexp64", "log": "clog64", "log1p": "clog1p64", "sqrt": "csqrt64"}


class Formula(Rewriter):
    """Turn a formula, and the functions it calls, into kernel source.

    `waves` holds the complex names: at first the complex parameters, and then, line by line, each
    name that gets a complex value. Real expressions keep the real functions.
    """

    def __init__(self, member: Member, precision: Precision) -> None:
        super().__init__(member, precision)
        self.given: tuple[str, ...] = member.waves
        self.waves: set[str] = set()

    def _function(
        self,
        function: Any,
        name: str,
        offered: int = 0,
        given: Mapping[str, int] | None = None,
        row: str = "",
    ) -> None:
        outer, self.waves = self.waves, set(self.given)
        super()._function(function, name, offered, given, row)
        self.waves = outer

    def _wavy(self, node: ast.AST) -> bool:
        """Whether an expression is complex."""
        return any(
            (isinstance(n, ast.Name) and n.id in self.waves)
            or (isinstance(n, ast.Constant) and isinstance(n.value, complex))
            for n in ast.walk(node)
        )

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        if self._wavy(node.value):
            self.waves |= {
                n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)
            }
        return self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        assert isinstance(node.target, ast.Name)
        sum_ = ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, node.value)
        return self.visit(ast.copy_location(ast.Assign([node.target], sum_), node))

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return node if isinstance(node.value, complex) else super().visit_Constant(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        row = self.frame.names[0]
        if not (isinstance(node.value, ast.Name) and node.value.id == row):
            self.frame.reject(node, f"'{ast.unparse(node)}' is not known to a kernel")
        if node.attr not in self.member.fields:
            raise unknown(f"field of {self.frame.where}:", node.attr, self.member.fields)
        return ast.parse(f"{row}[{self.member.fields[node.attr]}]", mode="eval").body

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if isinstance(node.op, ast.Div) and self._wavy(node.right):
            return ast.Call(
                ast.Name("cover64", ast.Load()), [self.visit(node.left), self.visit(node.right)], []
            )
        if isinstance(node.op, ast.Div) and self._wavy(node.left):
            return ast.BinOp(
                self.visit(node.left),
                ast.Mult(),
                ast.BinOp(ast.parse("F(1.0)", mode="eval").body, ast.Div(), self.visit(node.right)),
            )
        return super().visit_BinOp(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        called = node.func
        if (
            isinstance(called, ast.Attribute)
            and isinstance(called.value, ast.Name)
            and called.value.id == "xp"
        ):
            return self._word(node, called.attr)
        function = self._named(called)
        if function is None or node.keywords:
            return super().visit_Call(node)
        waves = tuple(
            name
            for name, a in zip(inspect.signature(function).parameters, node.args, strict=False)
            if self._wavy(a)
        )
        node.args = [self.visit(a) for a in node.args]
        key = (function, waves)
        if key not in self.done:
            self.done[key] = f"{self.member.name}_{function.__name__}_{len(self.done)}"
            outer, self.given = self.given, waves
            self._function(function, self.done[key])
            self.given = outer
        node.func = ast.Name(self.done[key], ast.Load())
        return node

    def _named(self, called: ast.expr) -> Any:
        """The function that `name` or `Class.name` stands for."""
        result: Any = None
        if isinstance(called, ast.Name):
            result = self.frame.scope.get(called.id)
        elif isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
            result = getattr(self.frame.scope.get(called.value.id), called.attr, None)
        result = plain(result)
        return result if isinstance(result, FunctionType) else None

    def _word(self, node: ast.Call, name: str) -> ast.AST:
        wavy = any(self._wavy(a) for a in node.args)
        args = [self.visit(a) for a in node.args]
        if name == "where" and len(args) == 3:
            return ast.IfExp(args[0], args[1], args[2])
        words = COMPLEX if wavy else REAL
        if name not in words or len(args) != 1:
            self.frame.reject(
                node,
                f"xp.{name} of {'a complex' if wavy else 'a real'} number is not known to a kernel",
            )
        return ast.Call(ast.Name(words[name], ast.Load()), args, [])
