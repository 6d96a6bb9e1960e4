"""Kernel source in LLVM's language, in one pass over the syntax tree.

What a function is given decides the types in it, and each way in which it is called makes one
function of LLVM's. A name has one type in all of its function: where a later line gives it a wider
one, the function is written again with that.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gpuquant.compiler.arithmetic import INDICES
from gpuquant.compiler.expressions import Expressions
from gpuquant.compiler.intrinsics import DECLARED
from gpuquant.compiler.targets import CPU, Target
from gpuquant.compiler.types import Kind, Value, returned, scalars, shown, wider
from gpuquant.errors import MemberError


def definitions(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """The functions of a module's source by name, and what its other names stand for: a number,
    or another name.
    """
    for line in tree.body:
        if isinstance(line, ast.FunctionDef):
            yield line.name, line
        elif isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            name, value = line.targets[0].id, line.value
            if isinstance(value, ast.Call):  # f64('nan')
                yield name, float(ast.literal_eval(value.args[0]))
            else:
                yield name, value.id if isinstance(value, ast.Name) else ast.literal_eval(value)


class Program:
    """The functions that a kernel's entry needs, written as they are asked for."""

    def __init__(self, known: Mapping[str, Any], target: Target = CPU) -> None:
        self.target = target
        self.functions = {
            name: word for name, word in known.items() if isinstance(word, ast.FunctionDef)
        }
        self.meanings = {name: word for name, word in known.items() if name not in self.functions}
        self.done: dict[Any, tuple[str, Kind]] = {}
        self.begun: set[Any] = set()
        self.texts = [DECLARED, *([target.declared] if target.gpu else [])]
        self.tables = 0

    def entry(self, name: str, kinds: Sequence[Kind]) -> str:
        """The whole module, whose entry is the function `name`.

        On a CPU it is `i32 NAME(i64 first, i64 count, ptr slots)`, which runs so many units: its
        other arguments lie in `slots`, eight bytes to a scalar; it returns 1 where there is not
        enough memory, else 0. On a GPU it is a kernel that takes the first unit and its arguments'
        scalars, and a block runs a unit.
        """
        if self.target.gpu:
            return self._kernel(name, kinds)
        types = [part for kind in kinds for part in scalars(kind)]
        loads = [
            (
                f"  %at.{k} = getelementptr inbounds i64, ptr %slots, i64 {k}\n"
                f"  %p{k} = load {part}, ptr %at.{k}"
            )
            for k, part in enumerate(types)
        ]
        given = [Value("i64", ("%first",)), Value("i64", ("%count",)), *self._given(kinds)]
        body = Function(self, self.functions[name], given, entry=True).write()
        head = (
            f"define i32 @{name}(i64 %first, i64 %count, ptr noalias readonly %slots) nounwind {{"
        )
        return "\n\n".join([*self.texts, "\n".join([head, *loads, body, "}"])])

    def _kernel(self, name: str, kinds: Sequence[Kind]) -> str:
        function = Function(self, self.functions[name], self._given(["i64", *kinds]), entry=True)
        body = function.write()
        heads = ", ".join(
            f"{part} %p{k}"
            for k, part in enumerate(part for kind in ("i64", *kinds) for part in scalars(kind))
        )
        head = f"define {self.target.convention} void @{name}({heads}) nounwind convergent #0 {{"
        width = self.target.width  # the registers that a thread may have rest on it
        bound = (
            f'attributes #0 = {{ "amdgpu-flat-work-group-size"="1,{width}" }}\n\n'
            f'!nvvm.annotations = !{{!0}}\n!0 = !{{ptr @{name}, !"maxntidx", i32 {width}}}'
        )
        return "\n\n".join(
            [
                f'target triple = "{self.target.triple}"',
                *self.texts,
                "\n".join([head, body, "}"]),
                bound,
            ]
        )

    def shared(self, size: int) -> str:
        """The symbol of so many bytes that a block's threads share."""
        self.tables += 1
        self.texts.append(
            f"@shared{self.tables} = internal addrspace(3) global [{size} x i8] undef, align 16"
        )
        return f"@shared{self.tables}"

    def called(self, name: str, kinds: tuple[Kind, ...]) -> tuple[str, Kind]:
        """The symbol and the kind of the result of a word for arguments of these kinds."""
        if (name, kinds) not in self.done:
            tree = self.functions[name]
            if len(tree.args.args) != len(kinds):
                raise MemberError(
                    f"{name} takes {len(tree.args.args)} arguments, {len(kinds)} are given"
                )
            if (name, kinds) in self.begun:
                raise MemberError(f"{name} calls itself, which a kernel cannot")
            self.begun.add((name, kinds))
            function = Function(self, tree, self._given(kinds))
            body = function.write()
            heads = ", ".join(
                f"{part} %p{k}"
                for k, part in enumerate(part for kind in kinds for part in scalars(kind))
            )
            way = (
                "noinline"
                if not self.target.gpu
                and any(isinstance(d, ast.Name) and d.id == "apart" for d in tree.decorator_list)
                else "alwaysinline"
            )
            symbol = f"@{name if name.isascii() else 'function'}.{len(self.done)}"
            way += " convergent" if self.target.gpu else ""  # it may wait for the other threads
            self.texts.append(
                f"define internal {returned(function.result)} {symbol}({heads}) {way} "
                f"nounwind {{\n{body}\n}}"
            )
            self.done[name, kinds] = (symbol, function.result)
        return self.done[name, kinds]

    def _given(self, kinds: Sequence[Kind]) -> list[Value]:
        """The arguments of a function, whose scalars are %p0, %p1, ..."""
        found, count = [], 0
        for kind in kinds:
            size = len(scalars(kind))
            found.append(Value(kind, tuple(f"%p{count + k}" for k in range(size))))
            count += size
        return found


class Loop(NamedTuple):
    """A loop on its way: the labels that `continue` and `break` go to, and the names that surely
    have a value where they do.
    """

    after: str
    end: str
    sure: list[set[str]]


class Function(Expressions):
    """The statements of one function; `entry` is a kernel's first."""

    def __init__(
        self,
        program: Program,
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
        self.stored = {
            n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        self.ends: set[bool] = set()  # whether its returns have a value
        self.changed = False
        self.loops: list[Loop] = []  # those that a line stands in

    @property
    def result(self) -> Kind:
        """The kind of what it returns."""
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
        """Write statements, up to one that leaves."""
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
            kind, place = self.element(target, self.value(target.value))
            self.store(value, kind, (place,))
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
            kind, place = self.element(line.target, self.value(line.target.value))
            self.store(
                self.binary(line.op, self.load(kind, (place,)), self.value(line.value)),
                kind,
                (place,),
            )
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
        """One turn of a loop, which goes on and ends at these labels; the names that surely have
        a value after it, however it ends.
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
