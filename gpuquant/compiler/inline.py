"""Inlines procedures at their calls. The numbers stay the same, and the compiler need not make one
function for each set of argument types.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from gpuquant.compiler.functions import copied


class Inliner(ast.NodeTransformer):
    """Replace each statement that only calls a procedure, or only assigns its result, by the
    procedure's body.

    A procedure may return only in its last statement. Each call adds a number of its own to the
    procedure's local names.
    """

    def __init__(self, procedures: Mapping[str, ast.FunctionDef]) -> None:
        for name, function in procedures.items():
            early = [
                n
                for n in ast.walk(function)
                if isinstance(n, ast.Return) and n is not function.body[-1]
            ]
            if early:
                raise ValueError(
                    f"{name} returns before its end, line {early[0].lineno} of it: in "
                    "place of its call that would end the caller"
                )
        self.procedures = procedures
        self.calls = 0

    def visit_Expr(self, node: ast.Expr) -> ast.stmt | list[ast.stmt]:
        return self._inlined(node.value, None) or node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt | list[ast.stmt]:
        return self._inlined(node.value, node.targets) or node

    def _inlined(self, call: ast.expr, targets: list[ast.expr] | None) -> list[ast.stmt]:
        if not (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and call.func.id in self.procedures
        ):
            return []
        self.calls += 1
        function = copied(self.procedures[call.func.id])
        stored = {
            n.id
            for n in ast.walk(function)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        names: dict[str, ast.expr] = {name: ast.Name(f"{name}_{self.calls}") for name in stored}
        lines: list[ast.stmt] = []
        for argument, value in zip(function.args.args, call.args, strict=True):
            if argument.arg in stored or not isinstance(value, ast.Name | ast.Constant):
                names[argument.arg] = ast.Name(f"{argument.arg}_{self.calls}")
                lines.append(
                    ast.Assign([ast.Name(f"{argument.arg}_{self.calls}", ast.Store())], value)
                )
            else:
                names[argument.arg] = value
        lines += [Rename(names).visit(line) for line in function.body]
        last = lines[-1]
        if isinstance(last, ast.Return):
            lines[-1] = ast.Assign(
                targets or [ast.Name("_", ast.Store())], last.value or ast.Constant(None)
            )
        inside = [self.visit(line) for line in lines]
        return [line for part in inside for line in (part if isinstance(part, list) else [part])]


class Rename(ast.NodeTransformer):
    """Put other names, or constants, in place of names."""

    def __init__(self, names: Mapping[str, ast.expr]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id not in self.names:
            return node
        new = copied(self.names[node.id])
        if isinstance(new, ast.Name):
            new.ctx = node.ctx
        return ast.copy_location(new, node)
