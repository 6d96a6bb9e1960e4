"""The constructs that the body of a walk has besides Python's, and their form on each target.

`lanes()` is the loop that LLVM vectorises on a CPU, and one thread on a GPU. `unrolled(n)` is a
loop on a CPU and n copies on a GPU, where only constant indices keep an array in registers.
`part(n, a, b)` is the iterations a to b - 1 of `unrolled(n)`. `array(shape, dtype)` is scratch
memory: in a CPU's L1 cache, or in the registers of a GPU's thread.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from gpuquant.compiler.functions import copied
from gpuquant.compiler.inline import Rename
from gpuquant.compiler.targets import Target


class Narrow(ast.NodeTransformer):
    """Give each float literal a type: `0.5` becomes `f32(0.5)`."""

    def __init__(self, word: str) -> None:
        self.word = word

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return (
            ast.Call(ast.Name(self.word, ast.Load()), [node], [])
            if isinstance(node.value, float)
            else node
        )


class Body(ast.NodeTransformer):
    """Give a kernel body the target's form of `lanes`, `unrolled`, `part` and `array`, and the
    run's constants their values.
    """

    def __init__(self, target: Target, constants: Mapping[str, Any]) -> None:
        self.gpu, self.constants = target.gpu, constants

    def visit_If(self, node: ast.If) -> Any:
        """Evaluate a test that depends only on the run's constants, and drop the other branch."""
        if isinstance(node.test, ast.BoolOp) and isinstance(
            node.test.op, ast.And
        ):  # drop a true constant from an `and`; a false one decides it
            parts = [(part, self._constant(part)) for part in node.test.values]
            left = [part for part, value in parts if value is None]
            if any(value is not None and not value for _, value in parts):
                node.test = ast.Constant(False)
            elif left and len(left) < len(parts):
                node.test = left[0] if len(left) == 1 else ast.BoolOp(ast.And(), left)
        constant = self._constant(node.test)
        if constant is None:
            return self.generic_visit(node)
        lines = [
            self.visit(line) for line in (node.body if constant else node.orelse)
        ]  # the other branch may be invalid for these constants
        return [
            line for part in lines for line in (part if isinstance(part, list) else [part])
        ] or ast.Pass()

    def visit_For(self, node: ast.For) -> Any:
        self.generic_visit(node)
        loop, name = node.iter, node.target
        if not (
            isinstance(loop, ast.Call)
            and isinstance(loop.func, ast.Name)
            and isinstance(name, ast.Name)
        ):
            return node
        word, limits = loop.func.id, loop.args[1:]
        if word == "lanes":
            node.iter = ast.parse("range(LANES)", mode="eval").body
        elif (
            word == "range" and not limits and self._constant(loop.args[0]) == 1
        ):  # a loop of one turn is its body
            return self._written_out(node.body, name.id, 1)
        elif word in ("unrolled", "part") and not self.gpu:
            node.iter = ast.Call(ast.Name("range", ast.Load()), limits or loop.args, [])
        elif word in ("unrolled", "part"):
            if limits:
                inside = ast.parse(
                    f"{ast.unparse(limits[0])} <= {name.id} and {name.id} < "
                    f"{ast.unparse(limits[1])}",
                    mode="eval",
                ).body
                node.body = [ast.If(inside, node.body, [])]
            return self._written_out(node.body, name.id, self._constant(loop.args[0]))
        return node

    def _constant(self, node: ast.expr) -> Any:
        """The value of an expression of the run's constants alone, or None."""
        node = self.visit(copied(node))
        if any(isinstance(n, ast.Name) for n in ast.walk(node)):
            return None
        return eval(ast.unparse(ast.fix_missing_locations(node)))

    def _written_out(self, body: list[ast.stmt], name: str, count: int) -> list[ast.stmt]:
        """The body once for each iteration, with its number in place of the loop variable."""
        return [
            Rename({name: ast.Constant(turn)}).visit(copied(line))
            for turn in range(count)
            for line in body
        ]

    def visit_Name(self, node: ast.Name) -> ast.AST:
        constant = self.constants.get(node.id) if isinstance(node.ctx, ast.Load) else None
        return ast.Constant(constant) if isinstance(constant, bool | int | float) else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Replace by its value `flags.stops`, where `flags` is an object of constants, and
        `job.bars`, where "job.bars" itself is the name of a constant.
        """
        text, root = ast.unparse(node), node.value
        constant = self.constants.get(text)
        if constant is None and isinstance(root, ast.Name) and root.id in self.constants:
            constant = getattr(self.constants[root.id], node.attr)
        if constant is None:
            return self.generic_visit(node)
        return ast.Constant(constant if isinstance(constant, bool | float) else int(constant))

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Fold `START + 2 * 3` to one number, so that no later pass works on each step."""
        self.generic_visit(node)
        whole = isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.FloorDiv) and all(
            isinstance(n, ast.Constant) and isinstance(n.value, int)
            for n in (node.left, node.right)
        )
        return ast.Constant(eval(ast.unparse(node))) if whole else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if ast.unparse(node) in self.constants:  # a length that the run fixes
            return ast.Constant(self.constants[ast.unparse(node)])
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "array":
            node.func = ast.parse("np.empty", mode="eval").body
        return node
