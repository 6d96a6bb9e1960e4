"""Compiles kernel source to LLVM IR, in one pass over the syntax tree.

The types of its arguments decide the types in a function, and each set of argument types makes one
LLVM function. A name has one type in the whole function. Where a later line gives the name a wider
type, the function is compiled again with the wider type.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import NamedTuple

from gpuquant.compiler.arithmetic import INDICES
from gpuquant.compiler.blocks import Scope
from gpuquant.compiler.expressions import Expressions
from gpuquant.compiler.intrinsics import ALONE
from gpuquant.compiler.types import Kind, Value, returned, scalars, shown, wider
from gpuquant.errors import MemberError


class Loop(NamedTuple):
    """A loop that is being compiled: the labels that `continue` and `break` jump to, and, for each
    of these jumps, the names that surely have a value there.
    """

    after: str
    end: str
    sure: list[set[str]]


class Function(Expressions):
    """The statements of one function; `entry` says whether it is a kernel's entry function."""

    def __init__(
        self,
        program: Scope,
        tree: ast.FunctionDef,
        given: Sequence[Value],
        *,
        entry: bool = False,
    ) -> None:
        super().__init__(
            tree.name,
            program,
            {argument.arg: value for argument, value in zip(tree.args.args, given, strict=True)},
        )
        self.tree = tree
        self.entry = entry
        if any(isinstance(d, ast.Name) and d.id == "rounded" for d in tree.decorator_list):
            self.flags = ALONE
        self.stored = {
            n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        self.ends: set[bool] = set()  # whether its returns have a value
        self.changed = False
        self.loops: list[Loop] = []  # the loops around the current line

    @property
    def result(self) -> Kind:
        """The kind of the function's result."""
        return self.kinds.get("return")

    def write(self) -> str:
        """The text of the body."""
        self.changed = True
        while self.changed:
            self.changed, self.open = False, True
            self.lines, self.heaps, self.places, self.sure, self.ends, self.count = (
                [],
                [],
                {},
                set(),
                set(),
                0,
            )
            self.slots = (
                ["  %failed = alloca i32", "  store i32 0, ptr %failed"]
                if self.entry and not self.target.gpu
                else []
            )
            self.begin("start")
            for name, value in self.given.items():
                if name in self.stored:
                    self.give(name, value)
            self.run(self.tree.body)
            self.ends |= {False} if self.open else set()
            if len(self.ends) > 1 and not self.entry:
                raise MemberError(f"{self.name} may end without a value")
            self.leave()
        return "\n".join([*self.slots, *self.lines])

    def give(self, name: str, value: Value) -> None:
        """Give a name a value."""
        try:
            kind = wider(self.kinds.get(name, value.kind), value.kind)
        except TypeError:
            raise self.wrong(
                f"'{name}' is {shown(self.kinds[name])} in one line and "
                f"{shown(value.kind)} in another"
            ) from None
        if self.kinds.setdefault(name, kind) != kind:
            self.changed = True
            self.places.pop(name, None)
        self.kinds[name] = kind
        if name not in self.places:
            self.places[name] = self.room(scalars(kind))
        self.store(value, kind, self.places[name])
        self.sure.add(name)

    def leave(self) -> None:
        """The end of the function, to which every return goes."""
        self.begin("leave")
        for heap in self.heaps:
            self.do(f"call void @free(ptr {self.op(f'load ptr, ptr {heap}')})")
        if self.entry and self.target.gpu:
            self.do("ret void")
            return
        if self.entry:
            self.do(f"ret i32 {self.op('load i32, ptr %failed')}")
            return
        result = self.load(self.result, self.places.get("return", ()))
        type_ = returned(self.result)
        if len(result.parts) < 2:
            self.do(f"ret {type_} {''.join(result.parts)}")
            return
        whole = "undef"
        for k, (part, of) in enumerate(zip(result.parts, scalars(self.result), strict=True)):
            whole = self.op(f"insertvalue {type_} {whole}, {of} {part}, {k}")
        self.do(f"ret {type_} {whole}")

    # statements

    def run(self, lines: Sequence[ast.stmt]) -> None:
        """Compile statements, up to the first that leaves the block."""
        for line in lines:
            if self.open:
                self.line = line
                getattr(self, f"_{type(line).__name__.lower()}", self._unknown)(line)

    def _unknown(self, line: ast.stmt) -> None:
        raise self.wrong(f"{type(line).__name__} is not known to a kernel")

    def _pass(self, line: ast.Pass) -> None:
        pass

    def _expr(self, line: ast.Expr) -> None:
        if not isinstance(line.value, ast.Constant):
            self.value(line.value)

    def _return(self, line: ast.Return) -> None:
        self.ends.add(line.value is not None)
        if line.value is not None:
            value = self.value(line.value)
            if "ptr" in scalars(value.kind):
                raise self.wrong("an array cannot be returned")
            self.give("return", value)
        self.go("leave")

    def _assign(self, line: ast.Assign) -> None:
        value = self.value(line.value)
        for target in line.targets:
            self._put(target, value)

    def _put(self, target: ast.expr, value: Value) -> None:
        if isinstance(target, ast.Name):
            self.give(target.id, value)
        elif isinstance(target, ast.Subscript):
            self.store(value, *self.element(target, self.value(target.value)))
        elif (
            isinstance(target, ast.Tuple)
            and isinstance(value.kind, tuple)
            and len(value.kind) == len(target.elts)
        ):
            for inner, part in zip(target.elts, value.items(), strict=True):
                self._put(inner, part)
        else:
            raise self.wrong(f"{shown(value.kind)} cannot go to '{ast.unparse(target)}'")

    def _augassign(self, line: ast.AugAssign) -> None:
        if isinstance(line.target, ast.Subscript):
            kind, places = self.element(line.target, self.value(line.target.value))
            sum_ = self.binary(line.op, self.load(kind, places), self.value(line.value))
            self.store(sum_, kind, places)
        elif isinstance(line.target, ast.Name):
            self.give(
                line.target.id,
                self.binary(line.op, self._name_value(line.target), self.value(line.value)),
            )
        else:
            raise self.wrong(f"'{ast.unparse(line.target)}' cannot be assigned to")

    def _if(self, line: ast.If) -> None:
        yes, no, end = self.label("then"), self.label("else"), self.label("end")
        self.split(self.truth(line.test), yes, no)
        before, after = self.sure, []
        for label, lines in ((yes, line.body), (no, line.orelse)):
            self.begin(label)
            self.sure = set(before)
            self.run(lines)
            after += [self.sure] if self.open else []
            self.go(end)
        if after:  # else both sides have left
            self.begin(end)
            self.sure = set.intersection(*after)

    def _while(self, line: ast.While) -> None:
        self._without_else(line)
        head, body, end = self.label("while"), self.label("do"), self.label("end")
        self.begin(head)
        self.split(self.truth(line.test), body, end)
        self.begin(body)
        before = set(self.sure)
        self._turn(line.body, head, end)
        self.go(head)
        self.begin(end)
        self.sure = before

    def _for(self, line: ast.For) -> None:
        self._without_else(line)
        loop = line.iter
        if not (
            isinstance(loop, ast.Call)
            and ast.unparse(loop.func) == "range"
            and isinstance(line.target, ast.Name)
        ):
            raise self.wrong("a kernel's loop is over range(...)")
        ends = [self.value(a) for a in loop.args]
        if not 1 <= len(ends) <= 3 or any(end.kind not in (*INDICES, "i8") for end in ends):
            raise self.wrong(
                f"'{ast.unparse(loop)}': a range has one to three ends, which are whole numbers"
            )
        limits = [self.cast(end, "i64").parts[0] for end in ends]
        start, stop, step = (["0", *limits, "1"] if len(limits) == 1 else [*limits, "1"])[:3]
        if step.startswith("%") or step == "0":
            raise self.wrong("the step of a loop must be a constant")
        head, body, after, end = (self.label(word) for word in ("for", "do", "next", "end"))
        (turn,) = self.room(["i64"])
        self.do(f"store i64 {start}, ptr {turn}")
        self.begin(head)
        now = self.op(f"load i64, ptr {turn}")
        self.split(
            self.op(f"icmp {'sgt' if step.startswith('-') else 'slt'} i64 {now}, {stop}"), body, end
        )
        self.begin(body)
        before = set(self.sure)
        self.give(line.target.id, Value("i64", (now,)))
        turned = self._turn(line.body, after, end)
        known = not start.startswith("%") and not stop.startswith("%")
        self.begin(after)
        self.do(f"store i64 {self.op(f'add nsw i64 {now}, {step}')}, ptr {turn}")
        self.go(head)
        self.begin(end)
        self.sure = turned if known and range(int(start), int(stop), int(step)) else before

    def _turn(self, lines: Sequence[ast.stmt], after: str, end: str) -> set[str]:
        """Compile the body of a loop: `continue` jumps to the label `after`, and `break` to `end`.
        The result is the names that surely have a value after the body, however the body ends.
        """
        self.loops.append(Loop(after, end, []))
        self.run(lines)
        ends = [*self.loops.pop().sure, *([set(self.sure)] if self.open else [])]
        return set.intersection(*ends) if ends else set(self.sure)

    def _without_else(self, line: ast.For | ast.While) -> None:
        if line.orelse:
            raise self.wrong("a loop has no else in a kernel")

    def _continue(self, line: ast.Continue) -> None:
        self.loops[-1].sure.append(set(self.sure))
        self.go(self.loops[-1].after)

    def _break(self, line: ast.Break) -> None:
        self.loops[-1].sure.append(set(self.sure))
        self.go(self.loops[-1].end)
