"""What a member says is what Python would do, or it is refused by name: cases that were once
neither.
"""

import ast
import importlib
import linecache
import textwrap
import types
from dataclasses import dataclass

import numpy as np
import pytest

import gpuquant as gq
from gpuquant.compiler import build, interpret
from gpuquant.compiler.functions import fingerprint, parse
from gpuquant.data.domains import Column, positive
from gpuquant.errors import MemberError
from gpuquant.payoffs.base import Payoff
from gpuquant.rules.base import Rule
from tests.compiler.test_random_members import CPU_HEAD, SAMPLES, by_python, kernel, rewritten

# a module with a function f(p, i, acc, log_spots), and what a refusal says; nothing where Python's
# value is wanted
CASES = {
    "a module's own min": (
        "def min(a, b):\n    return a + b\ndef f(p, i, acc, log_spots):\n"
        "    return min(acc[0], 1.0)",
        "'min' is Python's own word here",
    ),
    "a module's own sum": (
        "def sum(x):\n    return 1.0\ndef f(p, i, acc, log_spots):\n"
        "    return sum(acc[j] for j in range(2))",
        "'sum' is Python's own word here",
    ),
    "a module's own math": (
        "class math:\n    exp = staticmethod(lambda x: 7.0)\n"
        "def f(p, i, acc, log_spots):\n    return math.exp(0.5)",
        "'math' is Python's own word",
    ),
    "a local word that is called": (
        "def f(p, i, acc, log_spots):\n    min = 3.0\n    return min(acc[0], 1.0)",
        "'min' is a local name here",
    ),
    "a local name like a kernel's": (
        "def f(p, i, acc, log_spots):\n    square = acc[0]**2\n    larger = 1.0\n"
        "    bool = 2.0\n    return square + max(larger, acc[1])**2 + bool",
        "",
    ),
    "names like a kernel's that end in a line": (
        "def f(p, i, acc, log_spots):\n    F = 1.0\n    F_ = 2.0\n    return F + acc[0]",
        "",
    ),
    "a constant in a range": (
        "BATCH = 2\ndef f(p, i, acc, log_spots):\n    t = 0.0\n"
        "    for j in range(BATCH):\n        t += 1.0\n    return t",
        "",
    ),
    "a constant as an index": (
        "NORMALS = 1\ndef f(p, i, acc, log_spots):\n    return acc[NORMALS]",
        "",
    ),
    "a float as an index": (
        "K = 1.0\ndef f(p, i, acc, log_spots):\n    return acc[K]",
        "'K' is no local name and no whole number",
    ),
    "a default beside a local of its name": (
        "LEVEL = 1.5\ndef h(x, LEVEL=LEVEL):\n    return x * LEVEL\n"
        "def f(p, i, acc, log_spots):\n    LEVEL = 9.0\n    return h(acc[0]) + LEVEL",
        "",
    ),
    "a default that was bound before": (
        "K = 1.5\ndef h(x, y=K):\n    return x * y\nK = 2.5\n"
        "def f(p, i, acc, log_spots):\n    return h(acc[0])",
        "",
    ),
    "a default that is a tuple": (
        "def h(x, y=(1.0, 2.0)):\n    return x * y[1]\ndef f(p, i, acc, log_spots):\n"
        "    return h(acc[0])",
        "",
    ),
    "a keyword alone": (
        "y = 5.0\ndef h(x, *, y=2.0):\n    return x * y\ndef f(p, i, acc, log_spots):\n"
        "    return h(acc[0])",
        "its parameters must be plain ones",
    ),
    "any keywords": (
        "def h(x, **y):\n    return x\ndef f(p, i, acc, log_spots):\n    return h(acc[0])",
        "its parameters must be plain ones",
    ),
    "a branch that is never taken": (
        "Y = 7.0\ndef f(p, i, acc, log_spots):\n    if 1 > 2:\n        Y = 3.0\n    return Y",
        "'Y'",
    ),
    "a loop that makes no turn": (
        "Y = 7.0\ndef f(p, i, acc, log_spots):\n    for j in range(0):\n"
        "        Y = acc[j]\n    return Y",
        "'Y'",
    ),
    "the else of a loop": (
        "def f(p, i, acc, log_spots):\n    t = 0.0\n    for j in range(2):\n"
        "        t += acc[j]\n    else:\n        t += 100.0\n    return t",
        "a loop's else",
    ),
    "a decorator": (
        "import functools\ndef twice(g):\n    @functools.wraps(g)\n    def new(x):\n"
        "        return 2.0 * g(x)\n    return new\n@twice\ndef h(x):\n"
        "    return x + 1.0\ndef f(p, i, acc, log_spots):\n    return h(acc[0])",
        "a decorator has put another function in its place",
    ),
    "a range of a float": (
        "def f(p, i, acc, log_spots):\n    t = 0.0\n    for j in range(acc[0]):\n"
        "        t += 1.0\n    return t",
        "which are whole numbers",
    ),
    "a range of four": (
        "def f(p, i, acc, log_spots):\n    t = 0.0\n    for j in range(0, 1, 1, 1):\n"
        "        t += 1.0\n    return t",
        "range takes one to three",
    ),
    "a range without a step": (
        "def f(p, i, acc, log_spots):\n    t = 0.0\n    for j in range(0, 2, 0):\n"
        "        t += 1.0\n    return t",
        "step of a loop",
    ),
    "large powers of a loop's variable": (
        "def f(p, i, acc, log_spots):\n    t = 0.0\n    for j in range(100000, 100002):\n"
        "        t += j**4\n    return t",
        "",
    ),
    "a product of loop variables": (
        "def f(p, i, acc, log_spots):\n    y = 1.0\n    for k in range(2, 25):\n"
        "        y *= k\n    return y",
        "",
    ),
    "shifts": (
        "def f(p, i, acc, log_spots):\n    y = 1.0\n    for k in range(2):\n"
        "        y <<= k\n    return y",
        "the operator in",
    ),
    "a remainder": (
        "def f(p, i, acc, log_spots):\n    y = 1.0\n    y %= 2.0\n    return y",
        "the operator in",
    ),
    "the length of a slice": (
        "def h(x):\n    return x[0] * len(x)\ndef f(p, i, acc, log_spots):\n    return h(acc[0:9])",
        "",
    ),
    "the row": ("def f(p, i, acc, log_spots):\n    return i + 1.0", "'i' is the row"),
    "another row": (
        "def f(p, i, acc, log_spots):\n    return p.level[0]",
        "a column is asked for the row alone",
    ),
    "a row that is handed on": (
        "def h(q, k, x):\n    return q.level[k] * x\ndef f(p, i, acc, log_spots):\n"
        "    return h(p, i, acc[0])",
        "",
    ),
    "functions that call each other": (
        "def a(x):\n    return b(x)\ndef b(x):\n    return a(x)\n"
        "def f(p, i, acc, log_spots):\n    return a(acc[0])",
        "calls itself",
    ),
    "a long sum": (
        "def f(p, i, acc, log_spots):\n    return sum(j * 1.0 for j in range(400))",
        "400 terms",
    ),
    "a loop that is too long": (
        "def f(p, i, acc, log_spots):\n    t = 0.0\n    for j in range(100000):\n"
        "        t += acc[j - j]\n    return t",
        "too long for that",
    ),
    "a name of another alphabet": (
        "def größe(x):\n    return 2.0 * x\ndef f(p, i, acc, log_spots):\n    return größe(acc[0])",
        "",
    ),
    "nothing divided by nothing": (
        "def f(p, i, acc, log_spots):\n    t = 0.0\n    for j in range(1, 3):\n"
        "        t += j / j\n    return t + (acc[0] > -9.0) / (acc[1] > -9.0)",
        "",
    ),
    "numbers or numbers": ("def f(p, i, acc, log_spots):\n    return acc[0] or 1.0", "is no truth"),
    "a tuple or a number": (
        "def f(p, i, acc, log_spots):\n    y = acc or 1.0\n    return 1.0",
        "is no truth",
    ),
    "a slice from a tuple": (
        "def f(p, i, acc, log_spots):\n    return acc[acc:][0]",
        "the ends of a slice must be constants",
    ),
    "a slice from a half": (
        "def f(p, i, acc, log_spots):\n    return acc[0.5:][0]",
        "the ends of a slice must be constants",
    ),
    "a number beyond every float": (
        "HUGE = 10**400\ndef f(p, i, acc, log_spots):\n    return acc[0] + HUGE",
        "beyond every float",
    ),
    "a loop's variable that is changed": (
        "def f(p, i, acc, log_spots):\n    t = 0.0\n    for j in range(len(acc)):\n"
        "        j = j + 1.0\n        t += j\n    return t",
        "",
    ),
    "a function inside": (
        "def f(p, i, acc, log_spots):\n    def g(x):\n        return x\n    return g(acc[0])",
        "FunctionDef cannot run|'g' is a local name",
    ),
    "a type beside a name": (
        "def f(p, i, acc, log_spots):\n    y: float = 1.0\n    return y",
        "AnnAssign cannot run",
    ),
    "an empty docstring": ('def f(p, i, acc, log_spots):\n    ""\n    return acc[0]', ""),
    "tuples added": (
        "def f(p, i, acc, log_spots):\n    return sum((acc[j], 1.0) for j in range(2))[0]",
        "numbers are added",
    ),
}


def module(text, name):
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    made = types.ModuleType(name)
    exec(compile(text, name, "exec"), made.__dict__)
    return made


@pytest.mark.parametrize("case", CASES)
def test_it_is_pythons_or_refused(case):
    text, refusal = CASES[case]
    text += "\n"
    function = module(text, f"<{case}>").f
    if refusal:
        with pytest.raises(MemberError, match=refusal):
            rewritten(function, "f")
        return
    value, made = by_python(function), rewritten(function, "f")
    source = kernel(made, ["f"], CPU_HEAD)
    cpu, python = np.zeros((1, 4)), np.zeros((1, 4))
    build.tile(source.text(), (SAMPLES, cpu))(0, 4)
    interpret.interpreted(source)(0, 4, SAMPLES, python)
    np.testing.assert_allclose(cpu[0], value, rtol=1e-13)
    np.testing.assert_allclose(python[0], value, rtol=1e-13)


CHANGES = {
    "a default": ("def h(x, y={}):\n    return x * y\ndef f():\n    return h(1.0)\n", "1.0", "2.0"),
    "what a generator reads": (
        "LEVEL = {}\ndef f():\n    return sum(LEVEL for j in range(2))\n",
        "1.0",
        "2.0",
    ),
    "what a generator calls": (
        "def other(x):\n    return {} * x\ndef f():\n"
        "    return sum(other(1.0) for j in range(2))\n",
        "1.0",
        "2.0",
    ),
    "an njit helper": (
        "import numba\n@numba.njit\ndef other(x):\n    return {} * x\ndef f():\n"
        "    return other(1.0)\n",
        "1.0",
        "2.0",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_changes_a_function_changes_its_fingerprint(what):
    text, one, two = CHANGES[what]
    first, again, other = (
        fingerprint(module(text.format(value), f"<{what} {value} {k}>").f)
        for k, value in enumerate((one, one, two))
    )
    assert repr(first[1:]) != repr(other[1:]) or first != other
    assert len(again) == len(first)


def test_a_file_that_changed_since_it_was_imported_is_refused(tmp_path, monkeypatch):
    """Unless it was read before it changed: then what is compiled is what runs."""
    text = "def f(p, i, acc, log_spots):\n    return {} * acc[0]\n"
    monkeypatch.syspath_prepend(tmp_path)
    functions = []
    for name in ("edited", "read_before"):
        (tmp_path / f"{name}.py").write_text(text.format("1.0"))
        functions.append(importlib.import_module(name).f)
    parse(functions[1])
    for name in ("edited", "read_before"):
        (tmp_path / f"{name}.py").write_text("# a line more\n" + text.format("51.0"))
    with pytest.raises(MemberError, match=r"edited\.py has changed since it was imported"):
        parse(functions[0])
    assert "1.0 * acc[0]" in ast.unparse(parse(functions[1]))


def test_a_method_with_lines_at_the_left_edge():
    text = (
        "class A:\n    @staticmethod\n    def f(p, i, acc, log_spots):\n"
        '        """A docstring\nwhose lines begin at the edge."""\n# as does a comment\n'
        "        return acc[0] * 2.0\n"
    )
    made = module(text, "<edge>").A
    assert "acc[0] * 2.0" in __import__("ast").unparse(parse(made.f))


@dataclass(frozen=True)
class Either(Rule):
    """Chooses between two pairs of numbers.

    Parameters
    ----------
    edge : Column, shape (n,)
        A share; > 0.
    """

    edge: Column = positive(sample=0.01)

    @staticmethod
    def begin(r, i):
        return (0.0,), 2.0

    @staticmethod
    def decide(r, i, state, past, k):
        a = past.close(0.0)
        b = past.close(1.0)
        pair = (a, b) if a > b else (b, a)
        return (state[0],), 1.0 if pair[0] > a * (1.0 + r.edge[i]) else 0.0


def test_a_rule_may_choose_between_tuples(walk_panel):
    few = gq.Panel.of(walk_panel.to_frame().iloc[:80, :2])
    one, two = (
        gq.backtest(few, Either(edge=0.01), device=device).measures["orders"]
        for device in ("cpu", "python")
    )
    np.testing.assert_array_equal(one, two)
    assert one.sum() > 4


def test_a_class_of_payoffs_is_refused_by_name_in_a_book():
    """The row says it, and no other exception comes through."""

    @dataclass(frozen=True)
    class Odd(Payoff):
        """A payoff that asks for the row's number."""

        abstract = False

        @staticmethod
        def finish(p, i, acc, log_spots):
            return i * 1.0

    flat = gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=0.2)
    for device in ("cpu", "python"):
        found = gq.price(Odd(maturity=1.0), flat, paths=64, engine="monte_carlo", device=device)
        assert "'i' is the row" in found.frame["message"][0], textwrap.shorten(
            str(found.frame.T), 300
        )
