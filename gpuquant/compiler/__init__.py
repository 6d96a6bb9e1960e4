"""From plain Python functions to machine code, for a CPU and for a GPU, by one front end.

README.md says what the language is.

    functions, names    Python functions as they are run, and what their names stand for
    subset       what a member may say, and its rewriting into kernel source
    unroll, formula, inline, bodies    what is written out, put in place of a call, or has a form
                 of its own on a target
    types, arithmetic, expressions, statements    kernel source in LLVM's language
    intrinsics, reduction    the words beyond Python's: what each means, and its form on each target
    targets      CPU, GPU and Python itself
    llvm, build  LLVM's language to machine code, and a kernel's source to what runs
    interpret    the same source run by Python
    cache        what was compiled, kept on disk
    kernel       members and a walk to one kernel's source

llvmlite is imported here and nowhere else. Where a kernel runs is the affair of `device/`.
"""
