"""The expressions of kernel source in LLVM's language."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from gpuquant.compiler.arithmetic import INDICES, Arithmetic
from gpuquant.compiler.intrinsics import INTRINSICS
from gpuquant.compiler.targets import Target
from gpuquant.compiler.types import (
    COMPLEX,
    SIZES,
    Array,
    Kind,
    Value,
    joined,
    literal,
    number,
    returned,
    scalars,
    shown,
)

SMALL = 1 << 16  # bytes of an array on the stack, at most
OWN = 1 << 19  # and in a GPU's thread, which has no other memory


class Scope(Protocol):
    """What is around a function: the others by name, what other names stand for, and the one
    that a call comes to.
    """

    @property
    def target(self) -> Target:
        """What it is written for."""

    @property
    def functions(self) -> Mapping[str, ast.FunctionDef]:
        """The functions by name."""

    @property
    def meanings(self) -> Mapping[str, Any]:
        """What other names stand for: a number, or another name."""

    def shared(self, size: int) -> str:
        """The symbol of so many bytes that a block's threads share."""

    def called(self, name: str, kinds: tuple[Kind, ...]) -> tuple[str, Kind]:
        """The symbol and the kind of the result of a word for arguments of these kinds."""


class Expressions(Arithmetic):
    """One function on its way into LLVM's language: its blocks, its names and the values of its
    expressions.
    """

    def __init__(self, name: str, program: Scope, given: Mapping[str, Value]) -> None:
        super().__init__(name, program.target)
        self.program = program
        self.given = given  # its arguments
        self.entry = False  # whether it is a kernel's first
        self.stored: set[str] = set()  # the names that are assigned to
        self.sure: set[str] = set()  # those of them that have a value by now
        self.kinds: dict[str, Kind] = {}  # of names that are assigned to
        self.places: dict[str, tuple[str, ...]] = {}  # and where they lie
        self.slots: list[str] = []  # what is done before the first line
        self.heaps: list[str] = []  # scratch to give back
        self.block = ""
        self.open = True

    # blocks

    def label(self, word: str) -> str:
        """A new label."""
        self.count += 1
        return f"{word}{self.count}"

    def go(self, label: str) -> None:
        """Leave the block for another, unless it has been left."""
        if self.open:
            self.do(f"br label %{label}")
        self.open = False

    def split(self, test: str, yes: str, no: str) -> None:
        """Leave the block for one of two others."""
        if self.open:
            self.do(f"br i1 {test}, label %{yes}, label %{no}")
        self.open = False

    def begin(self, label: str) -> None:
        """Begin a block."""
        self.go(label)
        self.lines.append(f"{label}:")
        self.block, self.open = label, True

    def room(self, types: Sequence[str]) -> tuple[str, ...]:
        """New places in memory, which LLVM turns into registers."""
        made = []
        for type_ in types:
            self.count += 1
            made.append(self.on_stack(f"%at{self.count}", type_))
            self.slots.append(f"  store {type_} zeroinitializer, ptr %at{self.count}")
        return tuple(made)

    def on_stack(self, name: str, what: str) -> str:
        """A place of this name in the thread's own memory, made before the first line."""
        space = self.target.stack
        if not space:
            self.slots.append(f"  {name} = alloca {what}")
        else:  # where that is another memory, its address is made one of any memory
            self.slots.append(
                f"  {name}.own = alloca {what}, {space}\n"
                f"  {name} = addrspacecast ptr {space} {name}.own to ptr"
            )
        return name

    def load(self, kind: Kind, places: Sequence[str]) -> Value:
        """What lies at these places."""
        return Value(
            kind,
            tuple(
                self.op(f"load {t}, ptr {p}") for t, p in zip(scalars(kind), places, strict=True)
            ),
        )

    def store(self, value: Value, kind: Kind, places: Sequence[str]) -> None:
        """Put a value at these places."""
        for type_, part, place in zip(
            scalars(kind), self.cast(value, kind).parts, places, strict=True
        ):
            self.do(f"store {type_} {part}, ptr {place}")

    # values

    def value(self, node: ast.expr) -> Value:
        """The value of an expression."""
        of: Callable[..., Value] | None = getattr(
            self, f"_{type(node).__name__.lower()}_value", None
        )
        if of is None:
            raise self.wrong(f"'{ast.unparse(node)}' is not known to a kernel")
        return of(node)

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
        """Where a value of a tuple that a name holds lies, so that it is read alone."""
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
            kind, place = self.element(node, held)
            return self.load(kind, (place,))
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

    def element(self, node: ast.Subscript, array: Value) -> tuple[str, str]:
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
        """A truth that is a value: of a number `a or b` would be a number."""
        value = self.value(node)
        if value.kind != "bool" and value.known() not in (0, 1):
            raise self.wrong(f"'{ast.unparse(node)}' is no truth: write `a if test else b`")
        return self.cast(value, "bool").parts[0]

    def _both(self, node: ast.BoolOp, of: Callable[[ast.expr], str]) -> str:
        """`a and b`, `a or b`, each operand being a truth by `of`."""
        both = isinstance(node.op, ast.And)
        found = of(node.values[0])
        for other in node.values[1:]:
            if self.quick(other):
                right = of(other)
                found = self.op(
                    f"select i1 {found}, i1 {right}, i1 false"
                    if both
                    else f"select i1 {found}, i1 true, i1 {right}"
                )
                continue
            look, end, before = self.label("look"), self.label("end"), self.block
            self.split(found, *((look, end) if both else (end, look)))
            self.begin(look)
            right, after = of(other), self.block
            self.begin(end)
            found = self.op(f"phi i1 [{literal(not both, 'bool')}, %{before}], [{right}, %{after}]")
        return found

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
        """Whether an expression may be worked out without need: it reads no memory and ends for
        every number. Then no branch is needed.
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
        """Whether an expression is plainly a tuple."""
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

    # calls

    def word(self, name: str) -> str:
        """What a name that is called stands for."""
        meaning = self.program.meanings.get(name)
        return meaning if isinstance(meaning, str) else name

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

    def _empty(self, node: ast.Call) -> Value:
        """Scratch: on the stack where it is small, which shows LLVM that nothing else lies there,
        else from the heap.

        Where its line is passed again, what it gave before is gone.
        """
        shape, kind = node.args[0], self.word(ast.unparse(node.args[1]))
        extents = [
            self.cast(self.value(n), "i64").parts[0]
            for n in (shape.elts if isinstance(shape, ast.Tuple) else [shape])
        ]
        array = Array(kind, tuple(None if n.startswith("%") else int(n) for n in extents))
        size = str(SIZES[kind])
        for extent in extents:
            size = self.integer("mul", size, extent)
        if not size.startswith("%") and int(size) <= (OWN if self.target.gpu else SMALL):
            self.count += 1
            return Value(array, (self.on_stack(f"%stack{self.count}", f"[{size} x i8], align 64"),))
        return Value(array, (self._from_heap(size), *(n for n in extents if n.startswith("%"))))

    def _shared(self, node: ast.Call) -> Value:
        """Memory that the threads of a block share."""
        extents, kind = (
            [n.known() for n in self.value(node.args[0]).items()],
            self.word(ast.unparse(node.args[1])),
        )
        if None in extents:
            raise self.wrong(
                f"'{ast.unparse(node)}': memory that threads share has a size that is known"
            )
        shape = tuple(extents)
        return Value(
            Array(kind, shape),
            (
                self.op(
                    "addrspacecast ptr addrspace(3) "
                    f"{self.program.shared(math.prod(shape) * SIZES[kind])} to ptr"
                ),
            ),
        )

    def _from_heap(self, size: str) -> str:
        """So many bytes, at an address that a vector likes; where there are none the kernel ends
        and says so.
        """
        if self.target.gpu:
            raise self.wrong(
                f"scratch of a GPU's thread must have a size that is known, of at most {OWN} bytes"
            )
        if not self.entry:
            raise self.wrong(
                "scratch that is large, or of a size that is not known, belongs to the "
                "kernel itself"
            )
        (heap,) = self.room(["ptr"])
        self.heaps.append(heap)
        self.do(f"call void @free(ptr {self.op(f'load ptr, ptr {heap}')})")  # of the turn before
        raw = self.op(f"call noalias ptr @malloc(i64 {self.integer('add', size, '64')})")
        self.do(f"store ptr {raw}, ptr {heap}")
        none, some = self.label("none"), self.label("some")
        self.split(self.op(f"icmp eq ptr {raw}, null"), none, some)
        self.begin(none)
        self.do("store i32 1, ptr %failed")
        self.go("leave")
        self.begin(some)
        return self.op(
            "call ptr @llvm.ptrmask.p0.i64(ptr "
            f"{self.op(f'getelementptr inbounds i8, ptr {raw}, i64 63')}, i64 -64)"
        )
