"""The basic blocks and the memory of one function that is being compiled to LLVM IR."""

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
    """The program around a function: the other functions by name, the meanings of other names, and
    the compiled function that a call resolves to.
    """

    @property
    def target(self) -> Target:
        """The target that the program is compiled for."""

    @property
    def functions(self) -> Mapping[str, ast.FunctionDef]:
        """The functions by name."""

    @property
    def meanings(self) -> Mapping[str, Any]:
        """What other names stand for: a number, or another name."""

    def shared(self, size: int) -> str:
        """The symbol of `size` bytes of memory that a block's threads share."""

    def called(self, name: str, kinds: tuple[Kind, ...]) -> tuple[str, Kind]:
        """The symbol of a function for arguments of these kinds, and the kind of its result."""


class Blocks(Arithmetic):
    """One function that is being compiled to LLVM IR: its names, basic blocks and memory."""

    def __init__(self, name: str, program: Scope, given: Mapping[str, Value]) -> None:
        super().__init__(name, program.target)
        self.program = program
        self.given = given  # the function's arguments
        self.entry = False  # whether the function is a kernel's entry
        self.stored: set[str] = set()  # the names that are assigned to
        self.sure: set[str] = set()  # the assigned names that surely have a value at this point
        self.kinds: dict[str, Kind] = {}  # the kinds of the assigned names
        self.places: dict[str, tuple[str, ...]] = {}  # the stack addresses of the assigned names
        self.slots: list[str] = []  # the instructions before the first statement
        self.heaps: list[str] = []  # where the pointers to heap arrays are; freed at the end
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
        """New places on the stack, set to zero, which LLVM turns into registers."""
        made = []
        for type_ in types:
            self.count += 1
            made.append(self.on_stack(f"%at{self.count}", type_))
            self.slots.append(f"  store {type_} zeroinitializer, ptr %at{self.count}")
        return tuple(made)

    def on_stack(self, name: str, what: str) -> str:
        """Allocate stack memory under this name, before the first statement."""
        space = self.target.stack
        if not space:
            self.slots.append(f"  {name} = alloca {what}")
        else:  # the stack has its own address space: cast to the generic one
            self.slots.append(
                f"  {name}.own = alloca {what}, {space}\n"
                f"  {name} = addrspacecast ptr {space} {name}.own to ptr"
            )
        return name

    def load(self, kind: Kind, places: Sequence[str]) -> Value:
        """Load the value that is stored at these addresses."""
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
        """The name of the function or type that a name in kernel source stands for."""
        meaning = self.program.meanings.get(name)
        return meaning if isinstance(meaning, str) else name
