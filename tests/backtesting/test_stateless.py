"""A rule's decision in two parts decides what it did in one."""

import ast
import textwrap

import pytest

from gpuquant.backtesting.kernels.stateless import detect_stateless_update, split_stateless

SCOPE = {
    "jit": lambda f: f,
    "past_sum": lambda past, n: float(sum(past[-int(n) :])),
    "decide_pair": lambda x: (x, -x),
}

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


def parts(source):
    """The source of the two parts, and how many numbers are seen."""
    functions, count = split_stateless(ast.parse(source).body, "decide", 2)
    return ast.unparse(functions), count


@pytest.mark.parametrize("body", DECIDE.values(), ids=DECIDE)
def test_what_needs_no_state_is_taken_out(body):
    source = "def decide(r, i, state, past, k):\n" + textwrap.indent(textwrap.dedent(body), "    ")
    text, count = parts(source)
    look, decide, whole = made(text, "look"), made(text, "decide"), made(source, "decide")
    for k in range(5):
        past, r, state = [1.0, 2.0, 4.0, float(k)], (2.0, 3.0), (k - 2.5,)
        seen = look(r, 0, past, float(k))
        assert len(seen) == count
        assert decide(r, 0, state, past, float(k), seen) == whole(r, 0, state, past, float(k)), text


def test_what_is_taken_out_is_what_could_be():
    names = {
        name: parts(
            "def decide(r, i, state, past, k):\n" + textwrap.indent(textwrap.dedent(body), "    ")
        )[1]
        for name, body in DECIDE.items()
    }
    assert list(names.values()) == [1, 2, 0, 0], names


LATCHES = {
    "kept in a tie": (
        "gap = past_sum(past, r[0]) - k\nreturn (gap if gap != 0.0 else state[0],), gap * state[0]",
        True,
    ),
    "kept where it holds": (
        "gap = past_sum(past, r[0]) - k\nreturn (state[0] if gap < 0.0 else gap + k,), gap",
        True,
    ),
    "two, of which one never is": (
        "a = k * 2.0\nb = k - 2.0\nreturn (a, b if b > 0.0 else state[1]), state[0]",
        True,
    ),
    "by numbers": (
        "a = k - 2.0\nb = k * 2.0\nreturn (a if a else state[0], b if b > 3.0 else state[1]), k",
        True,
    ),
    "neither is": ("a = k * 2.0\nreturn (a,), state[0]", True),
    "counted": ("return (state[0] + 1.0,), k", False),
    "the other's": ("a = k * 2.0\nreturn (a if a > 3.0 else state[1], state[0]), k", False),
    "kept in one case of three": (
        "a = k * 2.0\nreturn (a if a > 5.0 else (0.0 if a < 1.0 else state[0]),), k",
        False,
    ),
    "by what is kept": ("a = k * 2.0\nreturn (a if a > state[0] else state[0],), k", False),
    "by a name that is no number": ("up = k > 2.0\nreturn (k if up else state[0],), k", False),
    "returned before": (
        "if k > 2.0:\n    return (k,), k\nreturn (k if k > 1.0 else state[0],), k",
        False,
    ),
}


@pytest.mark.parametrize(("body", "latches"), LATCHES.values(), ids=LATCHES)
def test_a_state_that_is_kept_or_seen_is_known_without_the_one_before(body, latches):
    (function,) = ast.parse(
        "def decide(r, i, state, past, k):\n" + textwrap.indent(body, "    ")
    ).body
    functions, _ = split_stateless([function], "decide", 2)
    latch = detect_stateless_update(functions[0], 2)
    assert (latch is not None) is latches
    if latches:
        text = ast.unparse([*functions, latch])
        look, decide, seen_alone = (
            made(text, name) for name in ("look", "decide", "stateless_update")
        )
        for k in range(8):
            past, r = [1.0, 2.0, 3.0], (2.0, 3.0)
            seen = look(r, 0, past, float(k))
            sure, after = seen_alone(r, 0, past, float(k), seen)
            known = [
                decide(r, 0, (state, 2.0 * state), past, float(k), seen)[0]
                for state in (-7.5, 11.25)
            ]
            assert sure is (known[0] == known[1]), text
            assert not sure or after == known[0], text
