"""A procedure in place of its call, and a body in the form of its target, compute what they did
before.
"""

import ast
import re
import textwrap

import pytest

from gpuquant.compiler.bodies import Body
from gpuquant.compiler.inline import Inliner
from gpuquant.compiler.targets import CPU, CUDA


def made(text, name, scope):
    space = dict(scope)
    exec(text, space)
    return space[name]


def test_a_procedure_in_place_of_its_call():
    scope = """
        def add(book, x, times):
            total = 0
            for j in range(times):
                total += x
            book[0] += total
            return total

        def twice(book, x):
            first = add(book, x, 2)
            x = x + 1
            add(book, x, 1)
            return first, x

        def body(n):
            book = [0]
            x = n
            total, last = twice(book, x + 1)
            for k in range(2):
                y = add(book, k, n)
            add(book, total, 1)
            return book[0], x, total, last, y
        """
    functions = {f.name: f for f in ast.parse(textwrap.dedent(scope)).body}
    body = Inliner({n: functions[n] for n in ("add", "twice")}).visit(functions["body"])
    text = ast.unparse(ast.fix_missing_locations(ast.Module([body], [])))
    assert "add(" not in text and "twice(" not in text
    before, after = made(textwrap.dedent(scope), "body", {}), made(text, "body", {})
    for n in range(4):
        assert after(n) == before(n), text


def test_a_procedure_that_returns_early_is_refused():
    function = ast.parse("def early(x):\n    if x:\n        return 1\n    return 2").body[0]
    with pytest.raises(ValueError, match="early returns before its end, line 3"):
        Inliner({"early": function})


@pytest.mark.parametrize(("target", "one"), [(CPU, 1), (CUDA, 1), (CPU, 3)])
def test_constants_are_decided_and_turns_written_out(target, one):
    """Nested in each other, too; what is not constant stays."""
    source = """
        def body(n, seen):
            for j in range(ONE):
                if FLAG:
                    for k in unrolled(TWO):
                        if not FLAG:
                            seen.append("never")
                        else:
                            for q in part(TWO, 1, n):
                                seen.append((j, k, q))
                elif n > 1:
                    seen.append("no")
            if n > 1:
                seen.append("n")
        """
    words = {
        "unrolled": range,
        "part": lambda n, a, b: range(a, b),
        "ONE": one,
        "TWO": 2,
        "FLAG": 1,
    }
    rewritten = Body(target, {"ONE": one, "TWO": 2, "FLAG": 1}).visit(
        ast.parse(textwrap.dedent(source)).body[0]
    )
    text = ast.unparse(ast.fix_missing_locations(ast.Module([rewritten], [])))
    assert (
        not {"FLAG", "ONE", "TWO"} & set(re.findall(r"\w+", text))
        and ("range(2)" in text) is not target.gpu
        and (f"range({one})" in text) is (one > 1)
    )
    for n in (1, 2):
        before, after = [], []
        made(textwrap.dedent(source), "body", words)(n, before)
        made(text, "body", {})(n, after)
        assert after == before, text
