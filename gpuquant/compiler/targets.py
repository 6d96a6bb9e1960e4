"""The targets of a kernel: this CPU, an NVIDIA GPU, and Python itself. Kernels also compile for
AMD's GPUs, but have never been run on one.

On a CPU the lanes of a unit of work are a loop that LLVM turns into vector instructions. On a GPU
each lane is a thread. Python runs the same loop as a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One target.

    Parameters
    ----------
    name : str
        cpu, cuda, python or amd.
    lanes : int
        Lanes that one call of a kernel computes.
    width : int
        Lanes of a unit of work. It is fixed, because the bits of a result depend on the tree that
        merges the lanes' sums.
    triple : str
        LLVM's name for the machine; empty for a CPU, since LLVM finds the name of this machine.
    convention : str
        LLVM's calling convention of a kernel's entry.
    stack : str
        The address space of the stack; empty where the stack is in the generic address space.
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
        """LLVM's declarations of the target's own functions."""
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
