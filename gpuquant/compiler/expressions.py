"""Compiles the expressions of kernel source to LLVM IR."""

from __future__ import annotations

import ast
from collections.abc import Callable

from gpuquant.compiler import duals
from gpuquant.compiler.arithmetic import INDICES
from gpuquant.compiler.intrinsics import INTRINSICS
from gpuquant.compiler.scratch import Scratch
from gpuquant.compiler.types import (
    COMPLEX,
    Array,
    Dual,
    Kind,
    Value,
    joined,
    literal,
    number,
    returned,
    scalars,
    shown,
)


class Expressions(Scratch):
    """The values of a function's expressions."""

    def truth(self, node: ast.expr) -> str:
        """Whether an expression is true, as a bit."""
        return (
            self._both(node, self.truth)
            if isinstance(node, ast.BoolOp)
            else self.cast(self.value(node), "bool").parts[0]
        )

    def _constant_value(self, node: ast.Constant) -> Value:
        if not isinstance(node.value, int | float | complex) or (
            isinstance(node.value, int) and not -(1 << 63) <= node.value < 1 << 64
        ):
            raise self.wrong(f"{node.value!r} is not a number of 64 bits")
        return number(node.value)

    def _name_value(self, node: ast.Name) -> Value:
        name = node.id
        if name in self.places and name in self.sure:
            return self.load(self.kinds[name], self.places[name])
        if name in self.stored:
            raise self.wrong(
                f"'{name}' is read before a line gives it a value, or only one side of an "
                "`if` does, or a loop that may make no turn"
            )
        if name in self.given:
            return self.given[name]
        meaning = self.program.meanings.get(name)
        if not isinstance(meaning, int | float):
            raise self.wrong(f"the name '{name}' has no value here")
        return number(meaning)

    def _tuple_value(self, node: ast.Tuple) -> Value:
        return joined([self.value(n) for n in node.elts])

    def _part(self, node: ast.expr) -> tuple[Kind, tuple[str, ...]] | None:
        """The kind and the addresses of a local name, or of one value of a local tuple, so that
        only this value is loaded; None for other expressions.
        """
        if isinstance(node, ast.Name) and node.id in self.places and node.id in self.sure:
            return self.kinds[node.id], self.places[node.id]
        if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Constant):
            return None
        at, whole = node.slice.value, self._part(node.value)
        if whole is None or not isinstance(whole[0], tuple) or type(at) is not int:
            return None
        if not 0 <= at < len(whole[0]):
            return None
        kind = whole[0][at]
        first = len(scalars(whole[0][:at]))
        return kind, whole[1][first : first + len(scalars(kind))]

    def _subscript_value(self, node: ast.Subscript) -> Value:
        part = self._part(node)
        if part is not None:
            return self.load(*part)
        held = self.value(node.value)
        if not isinstance(held.kind, tuple):
            return self.load(*self.element(node, held))
        items = held.items()
        if isinstance(node.slice, ast.Slice):
            return joined(items[self._ends(node.slice)])
        at = self.value(node.slice)
        if at.kind not in INDICES:
            raise self.wrong(
                f"'{ast.unparse(node)}': an index must be a whole number, not {shown(at.kind)}"
            )
        known = at.known()
        if known is None:
            raise self.wrong(
                f"'{ast.unparse(node)}': which value of a tuple is asked for must be "
                "known when it is compiled: a constant, or a loop's variable over "
                "constants"
            )
        if not -len(items) <= known < len(items):
            raise self.wrong(
                f"'{ast.unparse(node)}' asks for number {known} of {len(items)} values"
            )
        return items[known]

    def _ends(self, node: ast.Slice) -> slice:
        """The ends of a slice of a tuple, which must be known here."""
        ends = [
            None if end is None else self.value(end).known() for end in (node.lower, node.upper)
        ]
        if node.step is not None or any(
            end is not None and not isinstance(known, int)
            for end, known in zip((node.lower, node.upper), ends, strict=True)
        ):
            raise self.wrong(
                f"'[{ast.unparse(node)}]': the ends of a slice must be constants, without a step"
            )
        return slice(*ends)

    def element(self, node: ast.Subscript, array: Value) -> tuple[Kind, tuple[str, ...]]:
        """The kind and the place in memory of an element."""
        return self.place(
            array,
            [
                self.value(n)
                for n in (node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice])
            ],
        )

    def _attribute_value(self, node: ast.Attribute) -> Value:
        value = self.value(node.value)
        if node.attr == "shape" and isinstance(value.kind, Array):
            extents = self.shape(value)
            return Value(("i64",) * len(extents), tuple(extents))
        if node.attr in ("real", "imag") and value.kind == COMPLEX:
            return Value("f64", (value.parts[node.attr == "imag"],))
        raise self.wrong(f"'{ast.unparse(node)}' is not known to a kernel")

    def _unaryop_value(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Not):
            return Value("bool", (self.op(f"xor i1 {self.truth(node.operand)}, true"),))
        if isinstance(node.op, ast.UAdd):
            return self.value(node.operand)
        if not isinstance(node.op, ast.USub):
            raise self.wrong(f"'{ast.unparse(node)}' is not known to a kernel")
        if isinstance(node.operand, ast.Constant) and isinstance(node.operand.value, int | float):
            return number(-node.operand.value)
        return self.negated(self.value(node.operand))

    def _binop_value(self, node: ast.BinOp) -> Value:
        return self.binary(node.op, self.value(node.left), self.value(node.right))

    def _compare_value(self, node: ast.Compare) -> Value:
        if not all(map(self.quick, node.comparators[1:])):
            raise self.wrong(
                f"'{ast.unparse(node)}': write `a < b and b < c`, which looks at c only "
                "where it must"
            )
        values = [self.value(n) for n in (node.left, *node.comparators)]
        bits = [
            self.compared(op, a, b) for op, a, b in zip(node.ops, values, values[1:], strict=False)
        ]
        whole = bits[0]
        for bit in bits[1:]:
            whole = self.op(f"select i1 {whole}, i1 {bit}, i1 false")
        return Value("bool", (whole,))

    def _boolop_value(self, node: ast.BoolOp) -> Value:
        return Value("bool", (self._both(node, self._bit),))

    def _bit(self, node: ast.expr) -> str:
        """An operand of an `and` or `or` whose result is a value. It must be a boolean,
        since Python's `a or b` of two numbers is a number.
        """
        value = self.value(node)
        if value.kind != "bool" and value.known() not in (0, 1):
            raise self.wrong(f"'{ast.unparse(node)}' is no truth: write `a if test else b`")
        return self.cast(value, "bool").parts[0]

    def _both(self, node: ast.BoolOp, of: Callable[[ast.expr], str]) -> str:
        """`a and b` or `a or b` as a bit; `of` gives the bit of each operand."""
        both = isinstance(node.op, ast.And)
        result = of(node.values[0])
        for other in node.values[1:]:
            if self.quick(other):
                right = of(other)
                result = self.op(
                    f"select i1 {result}, i1 {right}, i1 false"
                    if both
                    else f"select i1 {result}, i1 true, i1 {right}"
                )
                continue
            look, end, before = self.label("look"), self.label("end"), self.block
            self.split(result, *((look, end) if both else (end, look)))
            self.begin(look)
            right, after = of(other), self.block
            self.begin(end)
            result = self.op(
                f"phi i1 [{literal(not both, 'bool')}, %{before}], [{right}, %{after}]"
            )
        return result

    def _ifexp_value(self, node: ast.IfExp) -> Value:
        test = self.truth(node.test)
        if self.quick(node.body) and self.quick(node.orelse):
            a, b = self.value(node.body), self.value(node.orelse)
            kind = self.alike(a.kind, b.kind)
            return self.chosen(test, self.cast(a, kind), self.cast(b, kind))
        yes, no, one, other, end = (
            self.label(word) for word in ("then", "else", "one", "other", "end")
        )
        self.split(test, yes, no)
        self.begin(yes)
        a = self.value(node.body)
        self.go(one)
        self.begin(no)
        b = self.value(node.orelse)
        self.go(other)
        kind = self.alike(a.kind, b.kind)
        self.begin(one)
        a = self.cast(a, kind)
        self.go(end)
        self.begin(other)
        b = self.cast(b, kind)
        self.begin(end)
        return Value(
            kind,
            tuple(
                self.op(f"phi {t} [{x}, %{one}], [{y}, %{other}]")
                for t, x, y in zip(scalars(kind), a.parts, b.parts, strict=True)
            ),
        )

    def quick(self, node: ast.expr) -> bool:
        """Whether an expression may be evaluated speculatively, without a branch: it reads no
        array, and it is safe to evaluate for every number.
        """
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call) and not (
                isinstance(inner.func, ast.Name) and self._quick_word(self.word(inner.func.id))
            ):
                return False
            if isinstance(inner, ast.FloorDiv | ast.Mod) or (
                isinstance(inner, ast.Subscript) and not self._holds_values(inner.value)
            ):
                return False
        return True

    def _quick_word(self, name: str) -> bool:
        return name in INTRINSICS and INTRINSICS[name].quick and name not in self.program.functions

    def _holds_values(self, node: ast.expr) -> bool:
        """Whether an expression is a tuple, or the name of one."""
        if not isinstance(node, ast.Name):
            return isinstance(node, ast.Tuple)
        kind = (
            self.kinds[node.id]
            if node.id in self.places
            else self.given[node.id].kind
            if node.id in self.given
            else None
        )
        return isinstance(kind, tuple)

    def _call_value(self, node: ast.Call) -> Value:
        if ast.unparse(node.func) == "np.empty":
            return self._empty(node)
        if ast.unparse(node.func) == "shared":
            return self._shared(node)
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise self.wrong(f"'{ast.unparse(node)}' cannot be called")
        name, given = self.word(node.func.id), [self.value(a) for a in node.args]
        if name in self.program.functions:
            return self._of_function(name, given)
        word = INTRINSICS.get(name)
        if word is None:
            raise self.wrong(f"'{ast.unparse(node)}': '{name}' is not known to a kernel")
        if len(given) != word.takes:
            raise self.wrong(
                f"'{ast.unparse(node)}': {name} takes {word.takes} "
                f"argument{'s' if word.takes != 1 else ''}"
            )
        return word.form(self.target.gpu)(self, *given)

    def _of_function(self, name: str, given: list[Value]) -> Value:
        if f"slope_{name}" in self.program.functions and isinstance(given[0].kind, Dual):
            value = self._of_function(name, [given[0].plain])
            slope = self._of_function(f"slope_{name}", [given[0].plain, value])
            return duals.chained(self, given[0], value, slope)
        arguments = self.program.functions[name].args
        left_out = len(arguments.args) - len(given)
        given += [
            self.value(default)
            for default in (arguments.defaults[-left_out:] if left_out > 0 else ())
        ]
        symbol, kind = self.program.called(name, tuple(v.kind for v in given))
        call = (
            f"call {returned(kind)} "
            f"{symbol}({', '.join(f'{t} {p}' for v in given for t, p in v.typed())})"
        )
        size = len(scalars(kind))
        if size == 0:
            self.do(call)
            return Value(kind)
        whole = self.op(call)
        return Value(
            kind,
            (whole,)
            if size == 1
            else tuple(self.op(f"extractvalue {returned(kind)} {whole}, {k}") for k in range(size)),
        )
