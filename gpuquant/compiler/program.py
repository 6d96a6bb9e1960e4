"""A kernel in LLVM IR: each function is compiled once for each set of argument types."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gpuquant.compiler.intrinsics import DECLARED
from gpuquant.compiler.statements import Function
from gpuquant.compiler.targets import CPU, Target
from gpuquant.compiler.types import Kind, Value, returned, scalars
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
    """The functions that a kernel's entry needs; each is compiled when the first call needs it."""

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

        On a CPU the entry is `i32 NAME(i64 first, i64 count, ptr slots)`. It runs `count` units
        from `first` on. `slots` holds the other arguments, eight bytes for each scalar. The result
        is 1 where there is not enough memory, else 0. On a GPU the entry is a kernel that takes the
        first unit and the scalars of its arguments; each block runs one unit.
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
        width = self.target.width  # this limits the registers of a thread
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
        """The symbol of `size` bytes of memory that a block's threads share."""
        self.tables += 1
        self.texts.append(
            f"@shared{self.tables} = internal addrspace(3) global [{size} x i8] undef, align 16"
        )
        return f"@shared{self.tables}"

    def called(self, name: str, kinds: tuple[Kind, ...]) -> tuple[str, Kind]:
        """The symbol of a function for arguments of these kinds, and the kind of its result."""
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
        result, count = [], 0
        for kind in kinds:
            size = len(scalars(kind))
            result.append(Value(kind, tuple(f"%p{count + k}" for k in range(size))))
            count += size
        return result
