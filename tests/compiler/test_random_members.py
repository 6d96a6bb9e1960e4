"""Python and every target agree about a member, or all refuse it."""

import ast
import linecache
import math
import types
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from gpuquant.compiler import arithmetic, build, interpret, llvm
from gpuquant.compiler.intrinsics import INTRINSICS
from gpuquant.compiler.kernel import Source
from gpuquant.compiler.member import PRECISIONS, Member
from gpuquant.compiler.subset import Rewriter
from gpuquant.compiler.targets import CUDA
from gpuquant.compiler.types import Value
from gpuquant.errors import MemberError
from tests import ptx
from tests.compiler.random_members import Writer

SAMPLES = np.array(
    [
        [0.5, -1.25, 2.0, 0.0],
        [3.0, 0.125, -0.5, 0.0],
        [4.625, 4.5, -1.0, 0.0],
        [0.75, 2.5, -2.0, 1.0],
    ]
)  # acc[0], acc[1], log_spots[0], level: a column each
KINDS = (ptx.array("f64", 2), ptx.array("f64", 2))
BATCH = 100


def member(text, name):
    """The function of a module's text."""
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    module = types.ModuleType(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        exec(compile(text, name, "exec"), module.__dict__)
    return module.f


def by_python(function):
    """What CPython makes of it, for every sample; the error where there is one."""
    try:
        return [
            float(function(SimpleNamespace(level=[level]), 0, (a, b), (s,)))
            for a, b, s, level in SAMPLES.T.tolist()
        ]
    except (IndexError, NameError, TypeError, ValueError) as failure:
        return failure


def kernel(functions, names, head):
    """The lines of a kernel that gives every function's value of a sample."""
    calls = "".join(
        (
            f"        out[{k}, unit] = {name}((x[3, unit],), 0, (x[0, unit], x[1, unit]), "
            "(x[2, unit],))\n"
        )
        for k, name in enumerate(names)
    )
    return Source((*ast.parse("F = f64").body, *functions, *ast.parse(head + calls).body))


CPU_HEAD = "def run(unit0, units, x, out):\n    for unit in range(unit0, unit0 + units):\n"
GPU_HEAD = (
    "def run(unit0, x, out):\n    unit = unit0 + block_number()\n    if thread_number() == 0:\n"
)


def rewritten(function, name):
    """The function as kernel source, if a target takes it."""
    made = Rewriter(
        Member(name, function, {"level": 0}, accurate=True, lengths={2: 2, 3: 1}),
        PRECISIONS["double"],
    ).rewrite()
    build.lowered(kernel(made, [name], CPU_HEAD).text(), KINDS)
    return made


def check(seeds):
    """How many of some random members are taken and refused."""
    taken, refused = {}, 0
    for seed in seeds:
        text = Writer(seed).text()
        function = member(text, f"<member {seed}>")
        value = by_python(function)
        try:
            made = rewritten(function, f"m{seed}")
        except MemberError as failure:
            assert str(failure), text
            refused += 1
            continue
        assert not isinstance(value, Exception), (
            f"Python refuses it, and the targets do not: {value!r}\n{text}"
        )
        taken[f"m{seed}"] = (value, made, text)
    if not taken:
        return 0, refused
    functions = [function for _, made, _ in taken.values() for function in made]
    source = kernel(functions, list(taken), CPU_HEAD)
    cpu, python = np.zeros((len(taken), 4)), np.zeros((len(taken), 4))
    build.tile(source.text(), (SAMPLES, cpu))(0, 4)
    interpret.interpreted(source)(0, 4, SAMPLES, python)
    for k, (value, _, text) in enumerate(taken.values()):
        scale = max(1.0, max(map(abs, value)) if all(map(math.isfinite, value)) else 1.0)
        for name, found in (("cpu", cpu[k]), ("python", python[k])):
            np.testing.assert_allclose(
                found, value, rtol=1e-12, atol=1e-12 * scale, err_msg=f"{name}\n{text}"
            )
    gpu = kernel(functions, list(taken), GPU_HEAD).text()
    assert ".entry run" in llvm.assembly(build.lowered(gpu, KINDS, CUDA), CUDA, "sm_90")
    return len(taken), refused


@pytest.mark.parametrize(
    "batch", [*range(3), *(pytest.param(k, marks=pytest.mark.slow) for k in range(3, 20))]
)
def test_random_members(batch):
    taken, refused = check(range(batch * BATCH, (batch + 1) * BATCH))
    assert taken > 0.3 * BATCH and refused > 0.05 * BATCH, (taken, refused)


@pytest.mark.parametrize("mutant", ["abs", "less", "negative index"])
def test_a_compiler_that_is_wrong_is_seen(mutant, monkeypatch, tmp_path):
    monkeypatch.setenv("GPUQUANT_CACHE", str(tmp_path))  # its code is kept where nobody finds it
    if mutant == "abs":
        monkeypatch.setitem(INTRINSICS, "abs", replace(INTRINSICS["abs"], cpu=lambda e, x: x))
    elif mutant == "less":
        monkeypatch.setitem(arithmetic.COMPARED, ast.Lt, arithmetic.COMPARED[ast.LtE])
    else:
        monkeypatch.setattr(
            Value,
            "items",
            lambda self, items=Value.items: (
                items(self)[::-1] if len(self.kind) > 1 else items(self)
            ),
        )
    with pytest.raises(AssertionError, match="cpu"):
        first = 10_000 + 1000 * len(mutant)
        check(range(first, first + BATCH))
