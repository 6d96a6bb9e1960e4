"""Rearranged source computes what it did before."""

import ast
import re
import textwrap

import pytest

from gpuquant.compiler.inline import Inliner, hoist, latch
from gpuquant.compiler.subset import Body

SCOPE = {"jit": lambda f: f, "past_sum": lambda past, n: float(sum(past[-int(n) :])), "decide_pair": lambda x: (x, -x)}

DECIDE = {
    "a crossing": """
        gap = past_sum(past, r[0]) * r[1] - past_sum(past, r[1]) * r[0]
        crossed = gap * state[0] < 0.0
        return (gap if gap != 0.0 else state[0],), 1.0 if crossed else 9.0
        """,
    "state first, then the past": """
        high = max(state[0], k)
        mean = past_sum(past, 3.0) / 3.0
        far = mean * 2.0 + k
        low = far - high
        return (high + low,), mean
        """,
    "assigned twice, added to, in a loop, in a branch": """
        a = past_sum(past, 2.0)
        a = a + 1.0
        b = k * 2.0
        b += 1.0
        for j in range(2):
            c = a * j
        if state[0] > 0.0:
            d = k + 7.0
        else:
            d = k
        return (a + b + c + d,), d
        """,
    "a function of its own, and a comparison": """
        x, y = decide_pair(k)
        up = k > 2.0
        z = decide_pair(k)
        return (x + z[1],), 1.0 if up else y
        """,
}


def made(text, name, scope=SCOPE):
    space = dict(scope)
    exec(text, space)
    return space[name]


@pytest.mark.parametrize("body", DECIDE.values(), ids=DECIDE)
def test_what_needs_no_state_is_taken_out(body):
    source = "def decide(r, i, state, past, k):\n" + textwrap.indent(textwrap.dedent(body), "    ")
    split, count = hoist(source, "decide", 2)
    look, decide, whole = made(split, "look"), made(split, "decide"), made(source, "decide")
    for k in range(5):
        past, r, state = [1.0, 2.0, 4.0, float(k)], (2.0, 3.0), (k - 2.5,)
        seen = look(r, 0, past, float(k))
        assert len(seen) == count
        assert decide(r, 0, state, past, float(k), seen) == whole(r, 0, state, past, float(k)), split


def test_what_is_taken_out_is_what_could_be():
    names = {
        name: hoist("def decide(r, i, state, past, k):\n" + textwrap.indent(textwrap.dedent(body), "    "), "decide", 2)[1] for name, body in DECIDE.items()
    }
    assert list(names.values()) == [1, 2, 0, 0], names


LATCHES = {
    "kept in a tie": ("gap = past_sum(past, r[0]) - k\nreturn (gap if gap != 0.0 else state[0],), gap * state[0]", True),
    "kept where it holds": ("gap = past_sum(past, r[0]) - k\nreturn (state[0] if gap < 0.0 else gap + k,), gap", True),
    "two, of which one never is": ("a = k * 2.0\nb = k - 2.0\nreturn (a, b if b > 0.0 else state[1]), state[0]", True),
    "by numbers": ("a = k - 2.0\nb = k * 2.0\nreturn (a if a else state[0], b if b > 3.0 else state[1]), k", True),
    "neither is": ("a = k * 2.0\nreturn (a,), state[0]", True),
    "counted": ("return (state[0] + 1.0,), k", False),
    "the other's": ("a = k * 2.0\nreturn (a if a > 3.0 else state[1], state[0]), k", False),
    "kept in one case of three": ("a = k * 2.0\nreturn (a if a > 5.0 else (0.0 if a < 1.0 else state[0]),), k", False),
    "by what is kept": ("a = k * 2.0\nreturn (a if a > state[0] else state[0],), k", False),
    "by a name that is no number": ("up = k > 2.0\nreturn (k if up else state[0],), k", False),
    "returned before": ("if k > 2.0:\n    return (k,), k\nreturn (k if k > 1.0 else state[0],), k", False),
}


@pytest.mark.parametrize(("body", "latches"), LATCHES.values(), ids=LATCHES)
def test_a_state_that_is_kept_or_seen_is_known_without_the_one_before(body, latches):
    split, _ = hoist("def decide(r, i, state, past, k):\n" + textwrap.indent(body, "    "), "decide", 2)
    text = latch(split, "decide", 2)
    assert bool(text) is latches, text
    if latches:
        look, decide, settled = made(split, "look"), made(split, "decide"), made(text, "settled")
        for k in range(8):
            past, r = [1.0, 2.0, 3.0], (2.0, 3.0)
            seen = look(r, 0, past, float(k))
            sure, after = settled(r, 0, past, float(k), seen)
            known = [decide(r, 0, (state, 2.0 * state), past, float(k), seen)[0] for state in (-7.5, 11.25)]
            assert sure is (known[0] == known[1]), text
            assert not sure or after == known[0], text


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


@pytest.mark.parametrize(("gpu", "one"), [(False, 1), (True, 1), (False, 3)])
def test_constants_are_decided_and_turns_written_out(gpu, one):
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
    words = {"unrolled": range, "part": lambda n, a, b: range(a, b), "ONE": one, "TWO": 2, "FLAG": 1}
    rewritten = Body(gpu, {"ONE": one, "TWO": 2, "FLAG": 1}).visit(ast.parse(textwrap.dedent(source)).body[0])
    text = ast.unparse(ast.fix_missing_locations(ast.Module([rewritten], [])))
    assert not {"FLAG", "ONE", "TWO"} & set(re.findall(r"\w+", text)) and ("range(2)" in text) is not gpu and (f"range({one})" in text) is (one > 1)
    for n in (1, 2):
        before, after = [], []
        made(textwrap.dedent(source), "body", words)(n, before)
        made(text, "body", {})(n, after)
        assert after == before, text
