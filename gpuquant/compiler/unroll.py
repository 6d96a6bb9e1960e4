"""Unrolls code over a known length: `len`, `tuple(... for j in range(n))`, `sum(...)`, and loops
that index a tuple by their variable.

The number of assets is known when a kernel is made. So the values of each asset become registers
with constant indices, and an index beyond a tuple is found before the run.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from gpuquant.compiler.functions import copied
from gpuquant.compiler.inline import Rename
from gpuquant.errors import MemberError

MOST_NODES = 500_000  # of the syntax tree of an unrolled loop
MOST_TERMS = 200  # of an unrolled sum: each term nests its syntax tree one level deeper
WHOLE = (
    ast.Constant, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Name, ast.Load,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip


def _read(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _reads(node: ast.AST, name: str) -> int:
    return sum(
        isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and n.id == name
        for n in ast.walk(node)
    )


def stored(node: ast.AST) -> set[str]:
    """The names that are given a value."""
    return {
        n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }


class Unroll(ast.NodeTransformer):
    """Unroll loops, tuples and sums over a known length.

    Parameters
    ----------
    lengths : mapping
        Length of a parameter that is a tuple, by its name.
    row : str
        The name of the first parameter, whose fields are columns.
    fields : mapping
        Length of the columns that are lists.
    """

    def __init__(self, lengths: Mapping[str, int], row: str, fields: Mapping[str, int]) -> None:
        self.lengths, self.row, self.fields = lengths, row, fields
        self.function: ast.AST = ast.Pass()

    def visit_Call(self, node: ast.Call) -> Any:
        word = node.func.id if isinstance(node.func, ast.Name) else ""
        if word == "len" and len(node.args) == 1:
            length = self._length(node.args[0])
            return node if length is None else ast.Constant(length)
        if (
            word in ("tuple", "sum")
            and len(node.args) == 1
            and isinstance(node.args[0], ast.GeneratorExp)
        ):
            terms = self._terms(node.args[0])
            if terms is None:
                return self.generic_visit(node)
            if word == "sum" and len(terms) > MOST_TERMS:
                raise MemberError(
                    f"'{ast.unparse(node)}' has {len(terms)} terms: a sum is written out, "
                    f"of {MOST_TERMS} at most"
                )
            if word == "sum" and any(isinstance(term, ast.Tuple) for term in terms):
                raise MemberError(f"'{ast.unparse(node)}': numbers are added, and nothing else")
            if word == "tuple":
                return ast.Tuple(terms, ast.Load())
            total = terms[0] if terms else ast.Constant(0.0)
            for term in terms[1:]:
                total = ast.BinOp(total, ast.Add(), term)
            return total
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        self.function = node
        return self.generic_visit(node)

    def visit_For(self, node: ast.For) -> Any:
        counts = self._range(node.iter) if self._asks_by_it(node) else None
        if counts is None or not isinstance(node.target, ast.Name):
            return self.generic_visit(node)
        name, size = node.target.id, sum(1 for line in node.body for _ in ast.walk(line))
        if len(counts) * size > MOST_NODES:
            raise MemberError(
                f"a loop of {len(counts)} turns, line {node.lineno} of its file, is "
                "written out, since it asks for values of a tuple by its variable: it is "
                "too long for that"
            )
        lines = self._flat(
            [self.visit(line) for turn in counts for line in self._turn(node.body, name, turn)]
        )
        if counts and _reads(self.function, name) > _reads(
            node, name
        ):  # code outside the loop reads the variable as an integer; a literal would be a float
            lines += ast.parse(
                f"for {name} in range({counts[-1]}, {counts[-1] + 1}):\n    pass"
            ).body
        return [
            ast.copy_location(line, node) if not hasattr(line, "lineno") else line for line in lines
        ] or ast.copy_location(ast.Pass(), node)

    def visit_If(self, node: ast.If) -> Any:
        """Evaluate a test that is known now, and drop the other branch, which may index beyond a
        tuple.
        """
        test = self._truth(node.test)
        if test is None:
            return self.generic_visit(node)
        return self._flat(
            [self.visit(line) for line in (node.body if test else node.orelse)]
        ) or ast.copy_location(ast.Pass(), node)

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        test = self._truth(node.test)
        return (
            self.generic_visit(node)
            if test is None
            else self.visit(node.body if test else node.orelse)
        )

    def _asks_by_it(self, loop: ast.For) -> bool:
        """Whether a loop must be unrolled: its range contains `len`, or its body has an index that
        depends on its variable.
        """
        if not isinstance(loop.target, ast.Name) or any(
            loop.target.id in stored(line) for line in loop.body
        ):
            return False
        if any(isinstance(n, ast.Name) and n.id == "len" for n in ast.walk(loop.iter)):
            return True
        names = {loop.target.id}
        for inner in ast.walk(loop):
            if (
                isinstance(inner, ast.For)
                and isinstance(inner.target, ast.Name)
                and names & _read(inner.iter)
            ):
                names.add(inner.target.id)
        return any(
            isinstance(n, ast.Subscript) and names & _read(n.slice)
            for line in loop.body
            for n in ast.walk(line)
        )

    def _flat(self, lines: list[Any]) -> list[ast.stmt]:
        return [line for part in lines for line in (part if isinstance(part, list) else [part])]

    def _truth(self, node: ast.expr) -> bool | None:
        """Whether a comparison of integers holds; None where the integers are unknown."""
        if not any(isinstance(n, ast.Compare) for n in ast.walk(node)):
            return None
        result = self._worked_out(self.visit(copied(node)))
        return None if result is None else bool(result)

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        self.generic_visit(node)
        index = self._known(node.slice)
        if index is not None:
            node.slice = ast.Constant(index)
        return node

    def _terms(self, made: ast.GeneratorExp) -> list[ast.expr] | None:
        """The generator's element for each turn."""
        inner = made.generators[0]
        counts = self._range(inner.iter)
        if (
            len(made.generators) != 1
            or inner.ifs
            or counts is None
            or not isinstance(inner.target, ast.Name)
        ):
            return None
        return [self.visit(self._turn(made.elt, inner.target.id, turn)) for turn in counts]

    def _turn(self, what: Any, name: str, turn: int) -> Any:
        """A copy with the iteration's number in place of the loop variable."""
        rename = Rename({name: ast.Constant(turn)})
        return (
            [rename.visit(copied(line)) for line in what]
            if isinstance(what, list)
            else rename.visit(copied(what))
        )

    def _range(self, node: ast.expr) -> range | None:
        """The range that a loop runs over, where it is known."""
        if not (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "range"
        ):
            return None
        ends = [self._known(self.visit(copied(a))) for a in node.args]
        known = [end for end in ends if end is not None]
        return (
            range(*known)
            if len(known) == len(ends)
            and (len(known) in (1, 2) or (len(known) == 3 and known[2] != 0))
            else None
        )

    def _known(self, node: ast.expr) -> int | None:
        """The value of an integer expression, or None where it is unknown."""
        value = self._worked_out(node)
        return value if isinstance(value, int) else None

    def _worked_out(self, node: ast.expr) -> Any:
        """The value of an expression of whole numbers alone, or None."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Constant) and not isinstance(inner.value, int):
                return None
            if isinstance(inner, ast.Name) and inner.id not in ("min", "max", "abs"):
                return None
            if not isinstance(inner, WHOLE):
                return None
        try:
            return eval(
                ast.unparse(ast.fix_missing_locations(copied(node))),
                {"__builtins__": {"min": min, "max": max, "abs": abs}},
            )
        except (ArithmeticError, TypeError, ValueError):
            return None

    def _length(self, node: ast.expr) -> int | None:
        if isinstance(node, ast.Name):
            return self.lengths.get(node.id)
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.value, ast.Attribute)
            and isinstance(node.value.value, ast.Name)
            and node.value.value.id == self.row
        ):
            return self.fields.get(node.value.attr)
        return None
