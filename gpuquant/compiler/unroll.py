"""Members of several assets: `len`, `tuple(... for j in range(n))`, `sum(...)` and loops over `range(len(...))`, written out.

How many assets a kernel has is known when it is made, so that each of them becomes registers and constant indices.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping
from typing import Any

from gpuquant.compiler.inline import Rename


class Unroll(ast.NodeTransformer):
    """Write out what runs over a known length.

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

    def visit_Call(self, node: ast.Call) -> Any:
        word = node.func.id if isinstance(node.func, ast.Name) else ""
        if word == "len" and len(node.args) == 1:
            length = self._length(node.args[0])
            return node if length is None else ast.Constant(length)
        if word in ("tuple", "sum") and len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
            terms = self._terms(node.args[0])
            if terms is None:
                return self.generic_visit(node)
            if word == "tuple":
                return ast.Tuple(terms, ast.Load())
            total = terms[0] if terms else ast.Constant(0.0)
            for term in terms[1:]:
                total = ast.BinOp(total, ast.Add(), term)
            return total
        return self.generic_visit(node)

    def visit_For(self, node: ast.For) -> Any:
        counts = self._range(node.iter) if any(isinstance(n, ast.Name) and n.id == "len" for n in ast.walk(node.iter)) else None
        if counts is None or not isinstance(node.target, ast.Name):
            return self.generic_visit(node)
        return [self.visit(line) for turn in counts for line in self._turn(node.body, node.target.id, turn)]

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
        if len(made.generators) != 1 or inner.ifs or counts is None or not isinstance(inner.target, ast.Name):
            return None
        return [self.visit(self._turn(made.elt, inner.target.id, turn)) for turn in counts]

    def _turn(self, what: Any, name: str, turn: int) -> Any:
        """A copy with the turn's number in place of its name."""
        rename = Rename({name: ast.Constant(turn)})
        return [rename.visit(copy.deepcopy(line)) for line in what] if isinstance(what, list) else rename.visit(copy.deepcopy(what))

    def _range(self, node: ast.expr) -> range | None:
        """The range that a loop runs over, where it is known."""
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range"):
            return None
        ends = [self._known(self.visit(copy.deepcopy(a))) for a in node.args]
        known = [end for end in ends if end is not None]
        return range(*known) if len(known) == len(ends) else None

    def _known(self, node: ast.expr) -> int | None:
        """A whole number that is known already."""
        if isinstance(node, ast.Constant) and not isinstance(node.value, int):
            return None
        if not all(isinstance(n, ast.Constant | ast.BinOp | ast.UnaryOp | ast.operator | ast.unaryop) for n in ast.walk(node)):
            return None
        value = eval(ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))), {"__builtins__": {}})
        return value if isinstance(value, int) else None

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
