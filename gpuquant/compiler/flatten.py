"""Records and bundles written as what every target knows: places in arrays, and tuples.

A record is a table of numbers, a row and a column: `account.cash` becomes `account[0, 0]`, and a
parameter that is a record becomes three. A list of records is a table; a bundle is a tuple.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpuquant.compiler.functions import copied
from gpuquant.compiler.records import Layout
from gpuquant.errors import MemberError


@dataclass(frozen=True)
class Place:
    """What stands for a record: a table, its first row there and its column."""

    layout: Layout
    table: ast.expr
    row: ast.expr
    column: ast.expr


@dataclass(frozen=True)
class Table:
    """What stands for a list of records."""

    layout: Layout
    table: ast.expr


@dataclass(frozen=True)
class Bundle:
    """What stands for a bundle: a tuple."""

    name: str
    fields: dict[str, str]

    def field(self, name: str) -> str:
        """What one of its parts is said to be."""
        if name not in self.fields:
            raise MemberError(f"{self.name} has no '{name}': it has {', '.join(self.fields)}")
        return self.fields[name]


class Flatten(ast.NodeTransformer):
    """Write the records of kernel functions as places in arrays, and their bundles as tuples.

    Parameters
    ----------
    layouts : mapping
        Of the records, by name.
    bundles : sequence of type
        The bundles.
    functions : mapping
        The functions by the names that they are called by, whose parameters say what they take.
    """

    def __init__(
        self,
        layouts: Mapping[str, Layout],
        bundles: Sequence[type],
        functions: Mapping[str, ast.FunctionDef],
    ) -> None:
        self.layouts = layouts
        self.bundles = {
            bundle.__name__: {
                name: getattr(said, "__forward_arg__", str(said))
                for name, said in bundle.__annotations__.items()
            }
            for bundle in bundles
        }
        self.takes = {name: list(_types(tree).values()) for name, tree in functions.items()}
        self.known: dict[str, Any] = {}

    def function(self, tree: ast.FunctionDef) -> ast.FunctionDef:
        """The function with arrays and tuples alone."""
        self.known, parameters = {}, []
        for name, said in _types(tree).items():
            found = self._said(said, ast.Name(name, ast.Load()))
            if found:
                self.known[name] = found
            parameters.append(ast.arg(name))
            if isinstance(found, Place):
                parameters += [ast.arg(f"{name}_row"), ast.arg(f"{name}_column")]
        tree.args.args = parameters
        tree.body = self._lines(tree.body)
        return ast.fix_missing_locations(tree)

    def _said(self, said: str, node: ast.expr) -> Any:
        """What an annotation says that an expression stands for; None for a number or an array."""
        inner = said.removeprefix("list[").removesuffix("]") if said.startswith("list[") else said
        if said in self.layouts:
            assert isinstance(node, ast.Name)
            row, column = (ast.Name(f"{node.id}_{end}", ast.Load()) for end in ("row", "column"))
            return Place(self.layouts[said], node, row, column)
        if inner != said:
            return Table(self.layouts[inner], node)
        return Bundle(said, self.bundles[said]) if said in self.bundles else None

    def _of(self, node: ast.expr) -> Any:
        """What an expression stands for: a place, a table, a bundle, or None."""
        if isinstance(node, ast.Name):
            return self.known.get(node.id)
        if isinstance(node, ast.Attribute):
            whole = self._of(node.value)
            if isinstance(whole, Bundle):
                return self._said(whole.field(node.attr), self.visit(copied(node)))
        if isinstance(node, ast.Subscript):
            table = self._of(node.value)
            if isinstance(table, Table):
                at = self.visit(copied(node.slice))
                if not isinstance(at, ast.Tuple):
                    return Place(table.layout, table.table, ast.Constant(0), at)
                row = _product(at.elts[0], table.layout.size)
                return Place(table.layout, table.table, row, at.elts[1])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._made(node, node.func.id)
        return None

    def _made(self, node: ast.Call, word: str) -> Any:
        """What a call makes."""
        if word in self.layouts:
            found = self.layouts[word]
            zero = ast.Constant(0)
            return Place(
                found, _empty(ast.Constant(found.size), ast.Constant(1), found), zero, zero
            )
        if word == "records":
            found = self.layouts[ast.unparse(node.args[0])]
            at = self.visit(node.args[1])
            rows, columns = at.elts if isinstance(at, ast.Tuple) else (ast.Constant(1), at)
            return Table(found, _empty(_product(rows, found.size), columns, found))
        if word == "view":
            return Table(self.layouts[ast.unparse(node.args[0])], self.visit(node.args[1]))
        return Bundle(word, self.bundles[word]) if word in self.bundles else None

    # statements

    def _lines(self, lines: list[ast.stmt]) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        for line in lines:
            made = self.visit(line)
            found += made if isinstance(made, list) else [made]
        return found

    def visit_If(self, node: ast.If) -> Any:
        """After an `if`, a name stands for a record only where both sides leave it for the same."""
        node.test, before = self.visit(node.test), dict(self.known)
        node.body = self._lines(node.body)
        one, self.known = self.known, dict(before)
        node.orelse = self._lines(node.orelse)
        self.known = _agreed(one, self.known)
        return node

    def visit_For(self, node: ast.For) -> Any:
        node.iter, before = self.visit(node.iter), dict(self.known)
        node.body = self._lines(node.body)
        self.known = _agreed(before, self.known)
        return node

    def visit_While(self, node: ast.While) -> Any:
        """After a loop, a name stands for a record only where every turn leaves it for the same."""
        node.test, before = self.visit(node.test), dict(self.known)
        node.body = self._lines(node.body)
        self.known = _agreed(before, self.known)
        return node

    def visit_Assign(self, node: ast.Assign) -> Any:
        made = self._of(node.value)
        if made is None or not isinstance(node.targets[0], ast.Name):
            for target in node.targets:  # what is a number now is no record
                if isinstance(target, ast.Name):
                    self.known.pop(target.id, None)
            return self.generic_visit(node)
        name = node.targets[0].id
        target = ast.Name(name, ast.Store())
        if isinstance(made, Bundle):
            self.known[name] = made
            return ast.Assign([target], self.visit(node.value))
        if isinstance(made, Table):
            self.known[name] = Table(made.layout, ast.Name(name, ast.Load()))
            return ast.Assign([target], made.table)
        lines: list[ast.stmt] = []
        ends = []
        for end, value in (("row", made.row), ("column", made.column)):
            ends.append(value)
            if not isinstance(value, ast.Constant):  # saved: the names in it may change later
                lines.append(ast.Assign([ast.Name(f"{name}_{end}", ast.Store())], value))
                ends[-1] = ast.Name(f"{name}_{end}", ast.Load())
        table = made.table
        if isinstance(node.value, ast.Call):
            lines.append(ast.Assign([target], table))
            table = ast.Name(name, ast.Load())
        self.known[name] = Place(made.layout, table, *ends)
        return lines or ast.Pass()

    def visit_Expr(self, node: ast.Expr) -> Any:
        call = node.value
        word = (
            call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else ""
        )
        if word not in ("clear", "add_fields", "write_fields"):
            return self.generic_visit(node)
        assert isinstance(call, ast.Call)
        place = self._of(call.args[0])
        if not isinstance(place, Place):
            raise MemberError(f"'{ast.unparse(node)}': {word} takes a record")
        return [self._field_line(word, call, place, k) for k in range(place.layout.size)]

    def _field_line(self, word: str, call: ast.Call, place: Place, k: int) -> ast.stmt:
        """What a word about all numbers of a record does to one of them."""
        if word == "clear":
            return ast.Assign([_element(place, k, ast.Store())], ast.Constant(0.0))
        if word == "add_fields":
            added = self._of(call.args[1])
            if not isinstance(added, Place) or added.layout != place.layout:
                raise MemberError(f"'{ast.unparse(call)}': both must be a {place.layout.name}")
            other = _element(added, k, ast.Load())
            return ast.AugAssign(_element(place, k, ast.Store()), ast.Add(), other)
        table, *at = (self.visit(copied(a)) for a in call.args[1:])
        index = ast.Tuple([*at[:-1], _sum(at[-1], k)], ast.Load())
        target = ast.Subscript(table, index, ast.Store())
        return ast.Assign([target], _element(place, k, ast.Load()))

    # expressions

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        whole = self._of(node.value)
        if isinstance(whole, Bundle):
            whole.field(node.attr)
            at = ast.Constant(list(whole.fields).index(node.attr))
            return ast.Subscript(self.visit(node.value), at, node.ctx)
        if not isinstance(whole, Place):
            return self.generic_visit(node)
        field = whole.layout.field(node.attr)
        if field.type == "vector":
            rows = range(field.row, field.row + field.length)
            return ast.Tuple([_element(whole, row, node.ctx) for row in rows], node.ctx)
        value = _element(whole, field.row, node.ctx)
        if isinstance(node.ctx, ast.Store) or field.type == "float":
            return value
        if field.type == "int":
            return ast.Call(ast.Name("i64", ast.Load()), [value], [])
        return ast.Compare(value, [ast.NotEq()], [ast.Constant(0.0)])

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        inner = node.value
        whole = self._of(inner.value) if isinstance(inner, ast.Attribute) else None
        if not isinstance(whole, Place) or not isinstance(inner, ast.Attribute):
            return self.generic_visit(node)
        field, at = whole.layout.field(inner.attr), self.visit(node.slice)
        row = _sum(at, field.row)
        index = ast.Tuple([_sum_of(whole.row, row), copied(whole.column)], ast.Load())
        return ast.Subscript(copied(whole.table), index, node.ctx)

    def visit_Call(self, node: ast.Call) -> Any:
        word = node.func.id if isinstance(node.func, ast.Name) else ""
        if word == "len" and isinstance(table := self._of(node.args[0]), Table):
            shape = ast.Attribute(table.table, "shape", ast.Load())
            return ast.Subscript(shape, ast.Constant(1), ast.Load())
        if word in self.bundles:
            given = {word.arg: word.value for word in node.keywords}
            names = list(self.bundles[word])
            given |= dict(zip(names, node.args, strict=False))
            return ast.Tuple([self.visit(given[name]) for name in names], ast.Load())
        arguments: list[ast.expr] = []
        for k, argument in enumerate(node.args):
            found = self._of(argument)
            if found is not None and word in self.takes:
                self._check(node, found, self.takes[word][k])
            if isinstance(found, Place) and word in self.takes:
                arguments += [copied(x) for x in (found.table, found.row, found.column)]
            else:
                arguments.append(self.visit(argument))
        node.args = arguments
        return node

    def _check(self, node: ast.Call, found: Any, taken: str) -> None:
        """Refuse an argument of another kind than the parameter says."""
        given = found.name if isinstance(found, Bundle) else found.layout.name
        given = f"list[{given}]" if isinstance(found, Table) else given
        if given != taken and (taken or isinstance(found, Place)):
            what = taken or "a number"
            raise MemberError(f"'{ast.unparse(node)}': a {given} is given where {what} is taken")


def _agreed(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The names that stand for the same in both."""
    return {
        n: found for n, found in one.items() if n in other and _as_text(found) == _as_text(other[n])
    }


def _as_text(found: Any) -> str:
    if isinstance(found, Bundle):
        return found.name
    ends = (found.table, found.row, found.column) if isinstance(found, Place) else (found.table,)
    return " ".join([found.layout.name, *map(ast.dump, ends)])


def _types(tree: ast.FunctionDef) -> dict[str, str]:
    """What a function's parameters are said to be, by name."""
    said: dict[str, str] = getattr(tree, "types", {})
    return {argument.arg: said.get(argument.arg, "") for argument in tree.args.args}


def _empty(rows: ast.expr, columns: ast.expr, found: Layout) -> ast.expr:
    shape = ast.Tuple([rows, columns], ast.Load())
    empty = ast.Attribute(ast.Name("np", ast.Load()), "empty", ast.Load())
    return ast.Call(empty, [shape, ast.Name(found.number, ast.Load())], [])


def _element(place: Place, row: int, ctx: ast.expr_context) -> ast.Subscript:
    at = ast.Tuple([_sum(place.row, row), copied(place.column)], ast.Load())
    return ast.Subscript(copied(place.table), at, ctx)


def _sum(node: ast.expr, number: int) -> ast.expr:
    return _sum_of(node, ast.Constant(number))


def _sum_of(a: ast.expr, b: ast.expr) -> ast.expr:
    if isinstance(a, ast.Constant) and isinstance(b, ast.Constant):
        return ast.Constant(a.value + b.value)  # type: ignore[operator]
    if isinstance(a, ast.Constant) and a.value == 0:
        return b
    if isinstance(b, ast.Constant) and b.value == 0:
        return copied(a)
    return ast.BinOp(copied(a), ast.Add(), b)


def _product(node: ast.expr, size: int) -> ast.expr:
    if isinstance(node, ast.Constant):
        return ast.Constant(node.value * size)  # type: ignore[operator]
    return ast.BinOp(node, ast.Mult(), ast.Constant(size))
