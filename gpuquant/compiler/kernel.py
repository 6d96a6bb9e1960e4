"""Makes the source of one kernel, for one target, from members and the body of a walk.

The source is a list of functions, each as a syntax tree: the members, rewritten by `subset.py`, and
the body of the walk. They may also call vmath, vcmath, rng and the intrinsics of `intrinsics.py`.
LLVM compiles the source as text. The text is kept on disk under a hash of all that it depends on:
an edit anywhere makes a new text, and an old text is never stale. Python runs the trees themselves,
which keep the line numbers of their files.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from gpuquant.compiler.bodies import Body, Narrow
from gpuquant.compiler.cache import cached_bytes, fingerprint
from gpuquant.compiler.flatten import Flatten
from gpuquant.compiler.formula import Formula
from gpuquant.compiler.functions import parse
from gpuquant.compiler.inline import Inliner
from gpuquant.compiler.member import PRECISIONS, Member, Precision
from gpuquant.compiler.records import Record, layout, words
from gpuquant.compiler.subset import Rewriter
from gpuquant.compiler.targets import TARGETS
from gpuquant.compiler.types import Dual
from gpuquant.errors import MemberError

STATE_TYPES = {"f32": np.float32, "f64": np.float64}
HEADS = {
    "cpu": (
        "def run(unit0, units, {arguments}):\n    lane0 = 0\n"
        "    for unit in range(unit0, unit0 + units):\n        pass"
    ),
    "python": (
        "def run(unit0, units, {arguments}):\n    for unit in range(unit0, unit0 + units):\n"
        "        {body}(unit, 0, {arguments})"
    ),
    "gpu": (
        "def run(unit0, {arguments}):\n    unit = unit0 + block_number()\n"
        "    lane0 = thread_number()"
    ),
}
# larger and smaller are Python's max and min: they keep a NaN in the first argument; a GPU's own
# max and min would drop it
POWERS = """
def larger(a, b):
    return b if b > a else a

def smaller(a, b):
    return b if b < a else a

def square(x):
    return x * x

def cube(x):
    return x * x * x

def fourth(x):
    return (x * x) * (x * x)
"""
SPECIAL = """
def erf{s}(x):
    return {f}(2.0) * norm_cdf{s}(x * {f}(1.4142135623730951)) - {f}(1.0)

def erfc{s}(x):
    return {f}(2.0) * norm_cdf{s}(-x * {f}(1.4142135623730951))
"""


@dataclass(frozen=True)
class Source:
    """A kernel's functions, and the meanings of its other names, as lines of a module. The
    function `run` is the kernel's entry.
    """

    lines: tuple[ast.stmt, ...]
    words: Mapping[str, Any] = field(default_factory=dict)  # names that only Python needs

    def text(self) -> str:
        """As text."""
        return ast.unparse(ast.fix_missing_locations(ast.Module(list(self.lines), []))) + "\n"


def vocabulary() -> str:
    """The modules of functions in `math/` as kernel source; made once for a library."""
    return cached_source(_vocabulary, "vocabulary")


def _vocabulary() -> str:
    from gpuquant.math import normal, rng, slopes, vcmath, vmath

    text = []
    for module in (vmath, normal, slopes, vcmath, rng):
        for name, function in vars(module).items():
            if (
                inspect.isfunction(function)
                and function.__module__ == module.__name__
                and name != "check"
            ):
                tree = Narrow("f64" if name.endswith("64") else "f32").visit(parse(function))
                text.append(ast.unparse(ast.fix_missing_locations(tree)))
    return "\n\n".join(
        [*text, POWERS, SPECIAL.format(s="32", f="f32"), SPECIAL.format(s="64", f="f64")]
    )


@lru_cache
def identity() -> str:
    """A hash of the source of the compiler and of `math/`, which give kernel source its meaning."""
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), *sorted(here.with_name("math").glob("*.py"))]
    return fingerprint(*(file.read_text() for file in files))


@lru_cache
def _package() -> str:
    """A hash of the whole library's source and of Python's version. A kernel's text may depend on
    both, besides its members.
    """
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    return fingerprint(sys.version, *(file.read_text() for file in files))


def _stable(thing: Any) -> str:
    """A text that identifies a member's function or class, the same in every process."""
    if isinstance(thing, CodeType):
        return _stable(
            (
                thing.co_code.hex(),
                thing.co_names,
                thing.co_varnames,
                thing.co_freevars,
                thing.co_consts,
            )
        )
    if isinstance(thing, tuple | list):
        return f"({', '.join(map(_stable, thing))})"
    return f"{thing.__module__}.{thing.__qualname__}" if isinstance(thing, type) else repr(thing)


def cached_source(make: Callable[[], str], *identity: Any) -> str:
    """The text that `make` gives, or what it gave in an earlier process for the same `identity` and
    library.

    Making a text takes as long as loading the machine code made from it.
    """
    return cached_bytes("text", lambda: make().encode(), _package(), _stable(identity)).decode()


def made(make: Callable[[str], Source], target: str, *identity: Any) -> str | Source:
    """The text of a kernel for a target, from `make(target)` now or in an earlier process. For
    Python, which runs the syntax trees, the result is the source itself.
    """
    return (
        make(target)
        if target == "python"
        else cached_source(lambda: make(target).text(), target, *identity)
    )


def accessors(name: str, count: int) -> list[ast.stmt]:
    """`load_NAME(block, at, lane) -> tuple` and `store_NAME(block, at, lane, tuple)` for `count`
    fields from row `at`.
    """
    loads = ", ".join(f"block[at + {k}, lane]" for k in range(count)) + ("," if count == 1 else "")
    stores = (
        "\n".join(f"    block[at + {k}, lane] = values[{k}]" for k in range(count)) or "    pass"
    )
    return ast.parse(
        f"def load_{name}(block, at, lane):\n    return ({loads})\n\n"
        f"def store_{name}(block, at, lane, values):\n{stores}\n"
    ).body


def source(
    body: Callable[..., Any],
    members: Sequence[Member],
    *,
    target: str,
    precision: str,
    constants: Mapping[str, Any],
    types: Sequence[type] = (),
    extra: Sequence[ast.stmt] = (),
    helpers: Mapping[str, Callable[..., Any]] | None = None,
    apart: Sequence[str] = (),
) -> Source:
    """The source of a kernel; `target` is the name of a target.

    `body(unit, lane0, ...)` does one unit of work. The kernel's `run` does this for a range of
    units on a CPU, and for one unit per block on a GPU. `constants` are numbers, and objects whose
    attributes are numbers. `types` are the kernel's records and bundles. `helpers` are the
    functions that the body calls, by name; the helpers named in `apart` stay functions, and the
    others are inlined. `extra` is further kernel source.
    """
    kind: Precision = PRECISIONS[precision]
    form = Body(TARGETS[target], constants)
    walk = form.visit(parse(body))
    rewritten = [
        function
        for member in members
        for function in (Formula if member.formula else Rewriter)(member, kind).rewrite()
    ]
    procedures: dict[str, ast.FunctionDef] = {}
    waiting = [walk, *rewritten, *_functions(extra)]
    while waiting:  # keep only helpers that are still called without the dropped branches
        for name in _calls(waiting.pop()) & set(helpers or {}) - set(procedures):
            tree = form.visit(parse((helpers or {})[name]))
            tree.name = name
            tree.decorator_list = [ast.Name("apart", ast.Load())] if name in apart else []
            procedures[name] = tree
            waiting.append(tree)
    slopes = constants.get("SLOPES", 0)
    dual = Dual(kind.state, slopes).word if slopes else kind.state
    numbers = {**constants, "F": kind.state, "dual": dual}
    layouts = {t.__name__: layout(t, numbers) for t in types if issubclass(t, Record)}
    bundles = [t for t in types if not issubclass(t, Record)]
    if target != "python":  # Python inlines nothing, so that a debugger can stop in each function
        flatten = Flatten(layouts, bundles, procedures)
        walk = flatten.function(walk)
        procedures = {name: flatten.function(tree) for name, tree in procedures.items()}
        extra = [flatten.function(f) if isinstance(f, ast.FunctionDef) else f for f in extra]
        inliner = Inliner({name: tree for name, tree in procedures.items() if name not in apart})
        walk = inliner.visit(walk)
        for name in apart:
            if name in procedures:
                procedures[name] = inliner.visit(procedures[name])
    run = _entry(walk, target)
    functions = _called(
        run,
        {tree.name: tree for tree in (*procedures.values(), walk, *rewritten, *_functions(extra))},
    )
    lines = _meanings(kind, constants, (run, *functions))
    return Source((*lines, *functions, run), words(layouts, bundles))


def _entry(walk: ast.FunctionDef, target: str) -> ast.FunctionDef:
    """A kernel's entry function, which does the work of each unit."""
    arguments = ", ".join(argument.arg for argument in walk.args.args[2:])
    head = HEADS["gpu" if TARGETS[target].gpu else target]
    (run,) = ast.parse(head.format(arguments=arguments, body=walk.name)).body
    assert isinstance(run, ast.FunctionDef)
    if target == "cpu":
        units = run.body[-1]
        assert isinstance(units, ast.For)
        units.body = walk.body
    elif target != "python":
        run.body += walk.body
    return run


def _meanings(
    kind: Precision, constants: Mapping[str, Any], functions: Sequence[ast.FunctionDef]
) -> list[ast.stmt]:
    """The assignments of the names that a kernel's functions use but do not define."""
    used = {n.id for f in functions for n in ast.walk(f) if isinstance(n, ast.Name)}
    lines = [
        f"F = {kind.state}",
        f"D = f{kind.draw}",
        f"normals = normals{kind.draw}",
        f"uniform = uniform{kind.draw}",
        f"norm_inv = norm_inv{kind.draw}",
    ]
    for name, value in constants.items():
        if name in used and not isinstance(value, bool | int | float | str):
            raise MemberError(f"'{name}' is {type(value).__name__}: a variable needs another name")
        if name in used | {"LANES", "WIDTH"}:
            lines.append(f"{name} = {value}")
    return ast.parse("\n".join(lines)).body


def _functions(lines: Sequence[ast.stmt]) -> list[ast.FunctionDef]:
    return [line for line in lines if isinstance(line, ast.FunctionDef)]


def _calls(function: ast.AST) -> set[str]:
    """The names that a function calls."""
    return {
        node.func.id
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


def _called(entry: ast.FunctionDef, known: Mapping[str, ast.FunctionDef]) -> list[ast.FunctionDef]:
    """The direct and indirect callees of an entry, each after its own callees."""
    result: list[ast.FunctionDef] = []
    seen: set[str] = set()

    def look(function: ast.FunctionDef) -> None:
        for node in ast.walk(function):
            name = (
                node.func.id
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                else ""
            )
            if name in known and name not in seen:
                seen.add(name)
                look(known[name])
                result.append(known[name])

    look(entry)
    return result
