"""numba's compiler with what a kernel does not need left out: a cold compile takes two thirds of the time.

A kernel's text has no closures, no array expressions and no objects, and each of its words goes into its caller. So the
passes that look for such things are not run, a variable is not split into versions (LLVM does that again), and a word is lowered
and simplified (which its callers' loops need to become vector code), but not made into machine code by itself. Python's garbage collector, which would walk over the
compiler's objects again and again, rests until the kernel is done.

These are numba's own parts: `cpu.py` uses them only in the version that was tested; another compiles the ordinary way.
"""

# mypy: ignore-errors

from __future__ import annotations

import gc

from numba import _dynfunc
from numba.core import typed_passes, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager

PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    untyped_passes.GenericRewrites,
    typed_passes.NopythonTypeInference,
    typed_passes.IRLegalization,
    typed_passes.NativeLowering,
    typed_passes.NoPythonBackend,
)


class Part(JITCodeLibrary):
    """A library that only ever becomes part of another."""

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True


class Lean(CompilerBase):
    """The passes that a kernel needs."""

    library = JITCodeLibrary

    def define_pipelines(self):
        """The passes, and the library that the function's code goes to."""
        self.state.library = self.library(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        self.state.library.enable_object_caching()
        manager = PassManager("lean")
        for step in PASSES:
            manager.add_pass(step, step.__name__)
        manager.finalize()
        return [manager]

    def compile_extra(self, function):
        """Compile while the garbage collector rests."""
        collects = gc.isenabled()
        gc.disable()
        try:
            return super().compile_extra(function)
        finally:
            if collects:
                gc.enable()


class Word(Lean):
    """For a function that goes into its callers."""

    library = Part

    def define_pipelines(self):
        """The same passes, without machine code at their end."""
        self.state.targetctx.get_executable = _handle  # of this function alone: each has a context of its own
        return super().define_pipelines()


def _handle(library, description, environment):
    """What a caller's typing knows a word by; there is nothing to run behind it."""
    return _dynfunc.make_function(description.lookup_module(), description.qualname, "", 0, environment, (library,))
