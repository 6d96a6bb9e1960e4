"""One front end compiles plain Python functions to machine code, for a CPU and for a GPU.

README.md describes the language.

    functions, names    the source of Python functions, and the meanings of their names
    subset       the checks of a member's Python, and its rewriting into kernel source
    unroll, formula, inline, bodies    unrolled loops, array formulas, inlined calls, and the
                 constructs whose form depends on the target
    types, arithmetic, expressions, statements    kernel source to LLVM IR
    intrinsics, reduction    built-in functions: the meaning of each, and its form on each target
    targets      CPU, GPU and Python itself
    llvm, build  LLVM IR to machine code, and a kernel's source to a callable kernel
    interpret    the same source, run by Python
    cache        compiled code, kept on disk
    kernel       the source of one kernel, from members and the body of a walk

llvmlite is imported here and nowhere else. `device/` decides where a kernel runs.
"""
