"""Rewrites records as places in arrays, and bundles as tuples, which every target supports.

A record is a table of numbers, a row and a column: `account.cash` becomes `account[0, 0]`, and one
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
class RecordView:
    """A record as its place in an array: the table, the first of its rows, and its column."""

    layout: Layout
    table: ast.expr
    row: ast.expr
    column: ast.expr


@dataclass(frozen=True)
class TableView:
    """A list of records as an array."""

    layout: Layout
    table: ast.expr


@dataclass(frozen=True)
class BundleView:
    """A bundle as a tuple."""

    name: str
    fields: dict[str, str]

    def field(self, name: str) -> str:
        """The annotation of one of its fields."""
        if name not in self.fields:
            raise MemberError(f"{self.name} has no '{name}': it has {', '.join(self.fields)}")
        return self.fields[name]


class Flatten(ast.NodeTransformer):
    """Write the records of kernel functions as places in arrays, and their bundles as tuples.

    Parameters
    ----------
    layouts : mapping
        The layouts of the records, by name.
    bundles : sequence of type
        The bundles.
    functions : mapping
        The functions by the names that they are called by, with annotated parameters.
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
                name: getattr(annotation, "__forward_arg__", str(annotation))
                for name, annotation in bundle.__annotations__.items()
            }
            for bundle in bundles
        }
        self.takes = {name: list(_annotations(tree).values()) for name, tree in functions.items()}
        self.views: dict[str, Any] = {}

    def function(self, tree: ast.FunctionDef) -> ast.FunctionDef:
        """The function, rewritten to use only numbers, arrays and tuples."""
        self.views, parameters = {}, []
        for name, annotation in _annotations(tree).items():
            view = self._view_of_annotation(annotation, ast.Name(name, ast.Load()))
            if view:
                self.views[name] = view
            parameters.append(ast.arg(name))
            if isinstance(view, RecordView):
                parameters += [ast.arg(f"{name}_row"), ast.arg(f"{name}_column")]
        tree.args.args = parameters
        tree.body = self._statements(tree.body)
        return ast.fix_missing_locations(tree)

    def _view_of_annotation(self, annotation: str, node: ast.expr) -> Any:
        """The view of an expression with this annotation; None for a number or an array."""
        inner = (
            annotation.removeprefix("list[").removesuffix("]")
            if annotation.startswith("list[")
            else annotation
        )
        if annotation in self.layouts:
            assert isinstance(node, ast.Name)
            row, column = (ast.Name(f"{node.id}_{end}", ast.Load()) for end in ("row", "column"))
            return RecordView(self.layouts[annotation], node, row, column)
        if inner != annotation:
            return TableView(self.layouts[inner], node)
        return (
            BundleView(annotation, self.bundles[annotation]) if annotation in self.bundles else None
        )

    def _view_of(self, node: ast.expr) -> Any:
        """The view of an expression; None for a number or an array."""
        if isinstance(node, ast.Name):
            return self.views.get(node.id)
        if isinstance(node, ast.Attribute):
            whole = self._view_of(node.value)
            if isinstance(whole, BundleView):
                return self._view_of_annotation(whole.field(node.attr), self.visit(copied(node)))
        if isinstance(node, ast.Subscript):
            table = self._view_of(node.value)
            if isinstance(table, TableView):
                at = self.visit(copied(node.slice))
                if not isinstance(at, ast.Tuple):
                    return RecordView(table.layout, table.table, ast.Constant(0), at)
                row = _product(at.elts[0], table.layout.size)
                return RecordView(table.layout, table.table, row, at.elts[1])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._view_of_call(node, node.func.id)
        return None

    def _view_of_call(self, node: ast.Call, word: str) -> Any:
        """The view of what a call makes; None for a number or an array."""
        if word in self.layouts:
            layout = self.layouts[word]
            zero = ast.Constant(0)
            return RecordView(
                layout, _empty(ast.Constant(layout.size), ast.Constant(1), layout), zero, zero
            )
        if word == "records":
            layout = self.layouts[ast.unparse(node.args[0])]
            at = self.visit(node.args[1])
            rows, columns = at.elts if isinstance(at, ast.Tuple) else (ast.Constant(1), at)
            return TableView(layout, _empty(_product(rows, layout.size), columns, layout))
        if word == "view":
            return TableView(self.layouts[ast.unparse(node.args[0])], self.visit(node.args[1]))
        return BundleView(word, self.bundles[word]) if word in self.bundles else None

    # statements

    def _statements(self, lines: list[ast.stmt]) -> list[ast.stmt]:
        written: list[ast.stmt] = []
        for line in lines:
            flat = self.visit(line)
            written += flat if isinstance(flat, list) else [flat]
        return written

    def visit_If(self, node: ast.If) -> Any:
        """After an `if`, a name has a view only where both sides leave it the same one."""
        node.test, before = self.visit(node.test), dict(self.views)
        node.body = self._statements(node.body)
        one, self.views = self.views, dict(before)
        node.orelse = self._statements(node.orelse)
        self.views = _common_views(one, self.views)
        return node

    def visit_For(self, node: ast.For) -> Any:
        node.iter, before = self.visit(node.iter), dict(self.views)
        node.body = self._statements(node.body)
        self.views = _common_views(before, self.views)
        return node

    def visit_While(self, node: ast.While) -> Any:
        """After a loop, a name has a view only where every turn leaves it the same one."""
        node.test, before = self.visit(node.test), dict(self.views)
        node.body = self._statements(node.body)
        self.views = _common_views(before, self.views)
        return node

    def visit_Assign(self, node: ast.Assign) -> Any:
        view = self._view_of(node.value)
        if view is None or not isinstance(node.targets[0], ast.Name):
            for target in node.targets:  # the name no longer holds a record
                if isinstance(target, ast.Name):
                    self.views.pop(target.id, None)
            return self.generic_visit(node)
        name = node.targets[0].id
        target = ast.Name(name, ast.Store())
        if isinstance(view, BundleView):
            self.views[name] = view
            return ast.Assign([target], self.visit(node.value))
        if isinstance(view, TableView):
            self.views[name] = TableView(view.layout, ast.Name(name, ast.Load()))
            return ast.Assign([target], view.table)
        lines: list[ast.stmt] = []
        ends = []
        for end, value in (("row", view.row), ("column", view.column)):
            ends.append(value)
            if not isinstance(value, ast.Constant):  # saved: the names in it may change later
                lines.append(ast.Assign([ast.Name(f"{name}_{end}", ast.Store())], value))
                ends[-1] = ast.Name(f"{name}_{end}", ast.Load())
        table = view.table
        if isinstance(node.value, ast.Call):
            lines.append(ast.Assign([target], table))
            table = ast.Name(name, ast.Load())
        self.views[name] = RecordView(view.layout, table, *ends)
        return lines or ast.Pass()

    def visit_Expr(self, node: ast.Expr) -> Any:
        call = node.value
        word = (
            call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else ""
        )
        if word not in ("clear", "add_fields", "write_fields"):
            return self.generic_visit(node)
        assert isinstance(call, ast.Call)
        record = self._view_of(call.args[0])
        if not isinstance(record, RecordView):
            raise MemberError(f"'{ast.unparse(node)}': {word} takes a record")
        return [self._field_statement(word, call, record, k) for k in range(record.layout.size)]

    def _field_statement(self, word: str, call: ast.Call, record: RecordView, k: int) -> ast.stmt:
        """The statement of `clear`, `add_fields` or `write_fields` for number `k` of a record."""
        if word == "clear":
            return ast.Assign([_element(record, k, ast.Store())], ast.Constant(0.0))
        if word == "add_fields":
            added = self._view_of(call.args[1])
            if not isinstance(added, RecordView) or added.layout != record.layout:
                raise MemberError(f"'{ast.unparse(call)}': both must be a {record.layout.name}")
            other = _element(added, k, ast.Load())
            return ast.AugAssign(_element(record, k, ast.Store()), ast.Add(), other)
        table, *at = (self.visit(copied(a)) for a in call.args[1:])
        index = ast.Tuple([*at[:-1], _sum(at[-1], k)], ast.Load())
        target = ast.Subscript(table, index, ast.Store())
        return ast.Assign([target], _element(record, k, ast.Load()))

    # expressions

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        whole = self._view_of(node.value)
        if isinstance(whole, BundleView):
            whole.field(node.attr)
            at = ast.Constant(list(whole.fields).index(node.attr))
            return ast.Subscript(self.visit(node.value), at, node.ctx)
        if not isinstance(whole, RecordView):
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
        whole = self._view_of(inner.value) if isinstance(inner, ast.Attribute) else None
        if not isinstance(whole, RecordView) or not isinstance(inner, ast.Attribute):
            return self.generic_visit(node)
        field, at = whole.layout.field(inner.attr), self.visit(node.slice)
        row = _sum(at, field.row)
        index = ast.Tuple([_sum_of(whole.row, row), copied(whole.column)], ast.Load())
        return ast.Subscript(copied(whole.table), index, node.ctx)

    def visit_Call(self, node: ast.Call) -> Any:
        word = node.func.id if isinstance(node.func, ast.Name) else ""
        if word == "len" and isinstance(table := self._view_of(node.args[0]), TableView):
            shape = ast.Attribute(table.table, "shape", ast.Load())
            return ast.Subscript(shape, ast.Constant(1), ast.Load())
        if word in self.bundles:
            given = {word.arg: word.value for word in node.keywords}
            names = list(self.bundles[word])
            given |= dict(zip(names, node.args, strict=False))
            return ast.Tuple([self.visit(given[name]) for name in names], ast.Load())
        arguments: list[ast.expr] = []
        for k, argument in enumerate(node.args):
            view = self._view_of(argument)
            if view is not None and word in self.takes:
                self._check(node, view, self.takes[word][k])
            if isinstance(view, RecordView) and word in self.takes:
                arguments += [copied(x) for x in (view.table, view.row, view.column)]
            else:
                arguments.append(self.visit(argument))
        node.args = arguments
        return node

    def _check(self, node: ast.Call, view: Any, expected: str) -> None:
        """Refuse an argument whose record type is not that of the parameter's annotation."""
        given = view.name if isinstance(view, BundleView) else view.layout.name
        given = f"list[{given}]" if isinstance(view, TableView) else given
        if given != expected and (expected or isinstance(view, RecordView)):
            what = expected or "a number"
            raise MemberError(f"'{ast.unparse(node)}': a {given} is given where {what} is taken")


def _common_views(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The names with the same view in both."""
    return {
        n: view
        for n, view in one.items()
        if n in other and _view_text(view) == _view_text(other[n])
    }


def _view_text(view: Any) -> str:
    if isinstance(view, BundleView):
        return view.name
    parts = (view.table, view.row, view.column) if isinstance(view, RecordView) else (view.table,)
    return " ".join([view.layout.name, *map(ast.dump, parts)])


def _annotations(tree: ast.FunctionDef) -> dict[str, str]:
    """The annotations of a function's parameters, by name; "" where there is none."""
    types: dict[str, str] = getattr(tree, "types", {})
    return {argument.arg: types.get(argument.arg, "") for argument in tree.args.args}


def _empty(rows: ast.expr, columns: ast.expr, layout: Layout) -> ast.expr:
    shape = ast.Tuple([rows, columns], ast.Load())
    empty = ast.Attribute(ast.Name("np", ast.Load()), "empty", ast.Load())
    return ast.Call(empty, [shape, ast.Name(layout.number, ast.Load())], [])


def _element(record: RecordView, row: int, ctx: ast.expr_context) -> ast.Subscript:
    at = ast.Tuple([_sum(record.row, row), copied(record.column)], ast.Load())
    return ast.Subscript(copied(record.table), at, ctx)


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
