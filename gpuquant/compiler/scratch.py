"""Scratch: arrays of a kernel's own, on the stack, on the heap, or shared by a block's threads."""

from __future__ import annotations

import ast
import math

from gpuquant.compiler.blocks import Blocks
from gpuquant.compiler.types import (
    SIZES,
    Array,
    Value,
    element_kind,
    size_of,
)

SMALL = 1 << 16  # bytes of the largest array on a CPU's stack
OWN = 1 << 19  # bytes of the largest array of a GPU's thread, which has no heap


class Scratch(Blocks):
    """A function's arrays."""

    def _empty(self, node: ast.Call) -> Value:
        """Allocate an array: on the stack where the array is small, so that LLVM knows that
        nothing aliases it, else on the heap.

        When the same line runs again, the array that it gave before is no longer valid.
        """
        shape, kind = node.args[0], element_kind(self.word(ast.unparse(node.args[1])))
        extents = [
            self.cast(self.value(n), "i64").parts[0]
            for n in (shape.elts if isinstance(shape, ast.Tuple) else [shape])
        ]
        array = Array(kind, tuple(None if n.startswith("%") else int(n) for n in extents))
        size = str(size_of(kind))
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
        """Allocate `size` bytes on the heap, aligned to 64 bytes. Where there is not enough memory,
        the kernel ends and returns 1.
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
        # free the array that this line gave in the iteration before
        self.do(f"call void @free(ptr {self.op(f'load ptr, ptr {heap}')})")
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
