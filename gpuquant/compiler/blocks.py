"""The blocks and the memory of one function on its way into LLVM's language."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from gpuquant.compiler.arithmetic import Arithmetic
from gpuquant.compiler.targets import Target
from gpuquant.compiler.types import (
    Kind,
    Value,
    scalars,
)


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


class Blocks(Arithmetic):
    """One function on its way into LLVM's language: its names, its blocks and its memory."""

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

    def value(self, node: ast.expr) -> Value:
        """The value of an expression."""
        of: Callable[..., Value] | None = getattr(
            self, f"_{type(node).__name__.lower()}_value", None
        )
        if of is None:
            raise self.wrong(f"'{ast.unparse(node)}' is not known to a kernel")
        return of(node)

    def word(self, name: str) -> str:
        """What a name that is called stands for."""
        meaning = self.program.meanings.get(name)
        return meaning if isinstance(meaning, str) else name
