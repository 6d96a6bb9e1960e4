"""From members and a walk to the source of a kernel, one for each combination, and from there to where it runs.

The source is the members rewritten by `language.py` and the body of the walk; the words they use (vmath, vcmath, rng and the target's own)
are around it. For a CPU it becomes machine code in `cpu.py`, for a GPU a module that numba compiles. Source and machine code are kept on
disk (`cache.py`), under names that are hashes of all they were made from, so that an edit anywhere makes new ones and an old one is never stale: a new
process has both in a fraction of a second.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from gpuquant.device.cache import fingerprint, keep
from gpuquant.device.forks import compiling
from gpuquant.device.formula import Formula
from gpuquant.device.language import PRECISIONS, Body, Member, Narrow, Precision, Rewriter, parse
from gpuquant.device.rearrange import Inliner

HEADER = "from numba import cuda\nfrom gpuquant.device.cuda_words import LANES, WIDTH, apart, bits32, bits64, combine, f32, f64, from_bits32, from_bits64, halted, i32, i64, jit, kernel, sqrt, u32, u64"
POWERS = """
@jit
def larger(a, b):
    return b if b > a else a

@jit
def smaller(a, b):
    return b if b < a else a

@jit
def square(x):
    return x * x

@jit
def cube(x):
    return x * x * x

@jit
def fourth(x):
    return (x * x) * (x * x)
"""
SPECIAL = """
@jit
def erf{s}(x):
    return {f}(2.0) * norm_cdf{s}(x * {f}(1.4142135623730951)) - {f}(1.0)

@jit
def erfc{s}(x):
    return {f}(2.0) * norm_cdf{s}(-x * {f}(1.4142135623730951))
"""
# larger and smaller: Python's max and min, which keep a NaN that comes first; a GPU's own would swallow it


@lru_cache
def words() -> dict[str, Any]:
    """vmath, vcmath and rng for a GPU, by name."""
    module = load(f"{HEADER}\n\n{vocabulary()}")
    return {name: word for name, word in vars(module).items() if not name.startswith("__")}


def vocabulary() -> str:
    """vmath, vcmath and rng as kernel source; made once for a library."""
    return kept(_vocabulary, "vocabulary")


def _vocabulary() -> str:
    from gpuquant import rng, vcmath, vmath

    text = []
    for module in (vmath, vcmath, rng):
        for name, function in vars(module).items():
            if inspect.isfunction(function) and function.__module__ == module.__name__ and name != "check":
                tree = Narrow("f64" if name.endswith("64") else "f32").visit(parse(function))
                text.append("@jit\n" + ast.unparse(ast.fix_missing_locations(tree)))
    return "\n\n".join([*text, POWERS, SPECIAL.format(s="32", f="f32"), SPECIAL.format(s="64", f="f64")])


WORDS = ("vmath", "vcmath", "rng", "device/compile", "device/language")
OWN = {
    "cpu": ("device/cpu", "device/cpu_words", "device/lower", "device/expressions", "device/reckon", "device/kinds", "device/machine"),
    "cuda": ("device/cuda_words", "device/scalars"),
}


@lru_cache
def identity(target: str) -> str:
    """A hash of what gives the words of a kernel for `target` their meaning: the vocabulary, the target's own words and its compiler."""
    if target == "cpu":
        from gpuquant.device.machine import host

        made_by = host().name
    else:
        import numba

        made_by = numba.__version__
    here = Path(__file__).parents[1]
    return fingerprint(made_by, *(here.joinpath(f"{name}.py").read_text() for name in (*WORDS, *OWN[target])))


@lru_cache
def _package() -> str:
    """A hash of the whole library's source: what a kernel's text may rest on besides its members."""
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    return fingerprint(sys.version, *(file.read_text() for file in files))


def _stable(thing: Any) -> str:
    """What identifies a member's function or class in any process, as text."""
    if isinstance(thing, CodeType):
        return _stable((thing.co_code.hex(), thing.co_names, thing.co_varnames, thing.co_freevars, thing.co_consts))
    if isinstance(thing, tuple | list):
        return f"({', '.join(map(_stable, thing))})"
    return f"{thing.__module__}.{thing.__qualname__}" if isinstance(thing, type) else repr(thing)


def kept(make: Callable[[], str], *identity: Any) -> str:
    """The kernel text that `make` gives, or what it gave in an earlier process for the same `identity` and library.

    Making a text takes as long as loading the machine code made from it.
    """
    return keep("text", lambda: make().encode(), _package(), _stable(identity)).decode()


def accessors(name: str, count: int) -> str:
    """`load_NAME(block, at, lane) -> tuple` and `store_NAME(block, at, lane, tuple)` for `count` fields from row `at`."""
    loads = ", ".join(f"block[at + {k}, lane]" for k in range(count)) + ("," if count == 1 else "")
    stores = "\n".join(f"    block[at + {k}, lane] = values[{k}]" for k in range(count)) or "    pass"
    return f"@jit\ndef load_{name}(block, at, lane):\n    return ({loads})\n\n@jit\ndef store_{name}(block, at, lane, values):\n{stores}\n"


def source(
    body: Callable[..., Any],
    members: Sequence[Member],
    *,
    target: str,
    precision: str,
    constants: Mapping[str, int | float],
    extra: str = "",
    helpers: Mapping[str, Callable[..., Any]] | None = None,
    apart: Sequence[str] = (),
) -> str:
    """The text of a kernel module, for `target` `cpu` or `cuda`.

    `body(unit, lane0, ...)` is the walk of one unit of work; the module's `run` does it for a range of units on a CPU, for one
    unit per block on a GPU. `helpers` are what it calls, by the names it calls them; those named in `apart` stay functions of their own, the
    others go in place of their calls.
    """
    kind: Precision = PRECISIONS[precision]
    gpu = target == "cuda"
    arguments = [a.arg for a in parse(body).args.args][2:]
    entry = (
        f"@kernel\ndef run(unit0, {', '.join(arguments)}):\n    unit = unit0 + cuda.blockIdx.x\n    lane0 = cuda.threadIdx.x\n"
        if gpu
        else f"@kernel\ndef run(unit0, units, {', '.join(arguments)}):\n    lane0 = 0\n    for unit in range(unit0, unit0 + units):\n"
    )
    parts = ["from gpuquant.device.compile import words\nglobals().update(words())"] if gpu else []
    parts.append(f"F = {kind.state}\nD = f{kind.draw}\nnormals = normals{kind.draw}\nuniform = uniform{kind.draw}")
    procedures = {name: Body(gpu, constants).visit(parse(function)) for name, function in (helpers or {}).items()}
    inliner = Inliner({name: tree for name, tree in procedures.items() if name not in apart})
    inside = ast.unparse(ast.fix_missing_locations(ast.Module(inliner.visit(Body(gpu, constants).visit(parse(body))).body, [])))
    for name in apart:
        if name in procedures:
            procedures[name] = inliner.visit(procedures[name])
    rest = [*((Formula if member.formula else Rewriter)(member, kind).rewrite() for member in members), extra]
    kept: dict[str, str] = {}  # what an expression calls is a function still; callers come after what they call

    def keep(text: str) -> None:
        """Keep the functions that a text calls, each after those that it calls itself."""
        for name in sorted(set(re.findall(r"\b(\w+)\(", text)) & set(procedures) - set(kept)):
            tree = procedures[name]
            tree.name = name
            own = ast.unparse(ast.fix_missing_locations(tree))
            keep(own.split("\n", 1)[1])
            kept.setdefault(name, f"@{'apart' if name in apart else 'jit'}\n{own}")

    keep("\n".join([inside, *rest]))
    used = set(re.findall(r"\w+", "\n".join([inside, *kept.values(), *rest]))) | {"LANES", "WIDTH"}
    parts += [f"{name} = {value}" for name, value in constants.items() if name in used]
    return "\n\n".join([*parts, *kept.values(), *rest, entry + textwrap.indent(inside, "    " if gpu else "        ")]) + "\n"


@lru_cache(maxsize=512)
def load(text: str) -> ModuleType:
    """The module of a GPU's kernel with this text."""
    name = "gpuquant_kernel_" + fingerprint(identity("cuda"), text)
    with compiling:
        if name not in sys.modules:
            module = ModuleType(name)
            exec(compile(text, f"<{name}>", "exec"), module.__dict__)
            linecache.cache[f"<{name}>"] = (len(text), None, text.splitlines(keepends=True), f"<{name}>")  # for the lines of an error
            sys.modules[name] = module
        return sys.modules[name]


def run(
    text_of: Callable[[str], str],
    place: Any,
    units: int,
    arguments: tuple[Any, ...],
    *,
    chunk: int = 1,
    progress: Callable[[int], None] | None = None,
    halt: Any = None,
) -> None:
    """Run `units` units of the kernel whose source is `text_of(target)` at `place`.

    On a CPU the units go to the pool in chunks of `chunk`; on a GPU each is a block. `halt` is an array among the arguments whose first element, once it is
    not 0, makes the kernel end early: with it ctrl-C need not wait for a unit.
    """
    if units == 0:
        return
    if place.kind == "cpu":
        from gpuquant.device import cpu

        cpu.run_tiles(cpu.tile(text_of("cpu"), arguments), units, place.threads, max(1, chunk), progress, halt)
        return
    from gpuquant.device import cuda

    if place.kind == "simulator":
        cuda.require_simulator()
    module = load(text_of("cuda"))
    cuda.launch(module.run, units, module.WIDTH, arguments, place)
    if progress:
        progress(units)


def width(place: Any) -> int:
    """Lanes of one unit of work at `place`."""
    if place.kind == "cpu":
        from gpuquant.device.cpu_words import WIDTH
    else:
        from gpuquant.device.cuda_words import WIDTH
    return int(WIDTH)


STATE_TYPES = {"f32": np.float32, "f64": np.float64}
