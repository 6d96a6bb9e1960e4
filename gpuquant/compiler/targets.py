"""What a kernel can be made for: this CPU, an NVIDIA GPU, Python itself; and AMD's GPUs, for which
kernels compile but were never run.

On a CPU the lanes of a unit of work are a loop that LLVM turns into vector instructions, on a GPU
each is a thread. Python runs what a CPU runs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One of them.

    Parameters
    ----------
    name : str
        cpu, cuda, python or amd.
    lanes : int
        Lanes that one call of a kernel computes.
    width : int
        Lanes of a unit of work; fixed, because the tree of their sums is part of a result's bits.
    triple : str
        LLVM's name for the machine; a CPU's is asked of the machine itself.
    convention : str
        How LLVM says that a function is a kernel's entry.
    stack : str
        The address space of a thread's own memory, where it has one.
    block, thread, barrier : str
        LLVM's functions for the number of a block and of a thread in it, and for waiting until all
        threads are there.
    """

    name: str
    lanes: int
    width: int = 256
    triple: str = ""
    convention: str = ""
    stack: str = ""
    block: str = ""
    thread: str = ""
    barrier: str = ""

    @property
    def gpu(self) -> bool:
        """Whether a lane is a thread."""
        return bool(self.convention)

    @property
    def declared(self) -> str:
        """The declarations of its own functions."""
        if not self.gpu:
            return ""
        return (
            f"declare i32 {self.block}()\ndeclare i32 {self.thread}()\ndeclare void {self.barrier}"
        )


CPU = Target("cpu", lanes=256)
PYTHON = Target("python", lanes=256)
CUDA = Target(
    "cuda",
    lanes=1,
    triple="nvptx64-nvidia-cuda",
    convention="ptx_kernel",
    block="@llvm.nvvm.read.ptx.sreg.ctaid.x",
    thread="@llvm.nvvm.read.ptx.sreg.tid.x",
    barrier="@llvm.nvvm.barrier0()",
)
AMD = Target(
    "amd",
    lanes=1,
    triple="amdgcn-amd-amdhsa",
    convention="amdgpu_kernel",
    stack="addrspace(5)",
    block="@llvm.amdgcn.workgroup.id.x",
    thread="@llvm.amdgcn.workitem.id.x",
    barrier="@llvm.amdgcn.s.barrier()",
)
TARGETS = {target.name: target for target in (CPU, PYTHON, CUDA, AMD)}
