"""Kernel source in LLVM IR means what it means in Python, and what numba makes of it."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuquant as gq
from gpuquant.compiler import build
from gpuquant.compiler.types import Array, literal, wider
from gpuquant.errors import MemberError
from tests.compiler.with_numba import with_numba

KERNEL = (
    "def run(unit0, units, {arguments}):\n    for unit in range(unit0, unit0 + units):\n{body}\n"
)


def run(body, *arguments, words="", units=1):
    """Run a body, whose arguments are a, b, ... by their place."""
    names = "abcdefgh"[: len(arguments)]
    text = words + KERNEL.format(
        arguments=", ".join(names),
        body="\n".join("        " + line for line in body.strip().splitlines()),
    )
    build.tile(text, arguments)(0, units)


def result(expression, *arguments, words="", of=np.float64):
    """The value of an expression of a, b, ..., the last argument being where it goes."""
    out = np.zeros(1, of)
    run(f"{'abcdefgh'[len(arguments)]}[0] = {expression}", *arguments, out, words=words)
    return out[0]


CALL = {"option_type": "call", "strike": 100.0, "maturity": 0.5}
RUNS = {
    "a price": lambda: gq.price(
        gq.payoffs.Asian(**CALL, fixings=12),
        gq.models.Heston(
            spot=100.0,
            rate=0.02,
            v0=0.04,
            kappa=1.0,
            long_variance=0.05,
            vol_of_vol=0.4,
            correlation=-0.6,
        ),
        paths=300,
        engine="monte_carlo",
        precision="double",
    ),
    "Fourier prices": lambda: gq.price(
        gq.payoffs.European(option_type="call", strike=np.linspace(80.0, 120.0, 600), maturity=0.5),
        gq.models.Heston(
            spot=100.0,
            rate=0.02,
            v0=0.04,
            kappa=1.0,
            long_variance=0.05,
            vol_of_vol=0.4,
            correlation=-0.6,
        ),
        engine="fourier",
    ),
    "a back-test": lambda: gq.backtest(
        pd.DataFrame(
            np.round(
                100.0
                * np.exp(np.cumsum(np.random.default_rng(1).normal(0.0, 0.02, (300, 2)), axis=0)),
                2,
            ),
            index=pd.bdate_range("2020-01-01", periods=300),
            columns=["A", "B"],
        ),
        gq.rules.MovingAverageCross(fast=3, slow=range(5, 8)),
        stops=gq.Stops(stop_loss=0.05, trailing=0.08),
        costs=gq.costs.Commission(rate=0.001, fixed=1.0),
        size=gq.Size(size_type="equity", amount=0.5),
    ),
}


def copied(argument):
    """An argument with arrays of its own; a bundle as a plain tuple."""
    if isinstance(argument, tuple):
        return tuple(map(copied, argument))
    return argument.copy() if isinstance(argument, np.ndarray) else argument


def arrays(arguments):
    """The arrays among arguments, those of bundles too."""
    for argument in arguments:
        if isinstance(argument, tuple):
            yield from arrays(argument)
        elif isinstance(argument, np.ndarray):
            yield argument


@pytest.mark.parametrize(
    "question", ["a price", "Fourier prices", pytest.param("a back-test", marks=pytest.mark.slow)]
)
def test_a_kernel_computes_what_numba_makes_of_it(question, monkeypatch):
    compared = []
    real = build.tile

    def both(text, arguments):
        mine, theirs = real(text, arguments), with_numba(text)

        def run(first, count):
            copies = tuple(map(copied, arguments))
            theirs(first, count, *copies)
            mine(first, count)
            for ours, other in zip(arrays(arguments), arrays(copies), strict=True):
                # in units of what is around them: multiplications and additions are fused where
                # each compiler likes
                scale = 1.0
                if other.dtype.kind == "f":
                    scale = np.abs(other[np.isfinite(other)]).max(initial=1e-300)
                np.testing.assert_allclose(ours, other, rtol=1e-9, atol=1e-12 * scale)
                compared.append(ours.size)

        return run

    monkeypatch.setattr(build, "tile", both)
    RUNS[question]()
    assert sum(compared) > 100


WHOLE = st.integers(-9, 9).map(lambda n: ("whole", repr(n)))
EIGHTHS = st.integers(-40, 40).map(lambda n: ("real", repr(n / 8.0)))
NAMES = st.sampled_from([("whole", "a"), ("whole", "b"), ("real", "c"), ("real", "d")])


def larger(inner):
    """Expressions of expressions, whose values are so small and so round that nothing is
    rounded.
    """
    two = st.tuples(inner, inner)
    kind = lambda x, y: "whole" if x == y == "whole" else "real"  # noqa: E731
    plain = st.tuples(st.sampled_from(["+", "-"]), two).map(
        lambda p: (kind(p[1][0][0], p[1][1][0]), f"({p[1][0][1]} {p[0]} {p[1][1][1]})")
    )
    extreme = st.tuples(st.sampled_from(["max", "min"]), two).map(
        lambda p: (kind(p[1][0][0], p[1][1][0]), f"{p[0]}({p[1][0][1]}, {p[1][1][1]})")
    )
    size = inner.map(lambda x: (x[0], f"abs({x[1]})"))
    minus = inner.map(lambda x: (x[0], f"(-{x[1]})"))
    test = st.tuples(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), two).map(
        lambda p: f"{p[1][0][1]} {p[0]} {p[1][1][1]}"
    )
    tests = st.one_of(
        test,
        st.tuples(test, st.sampled_from(["and", "or"]), test).map(" ".join),
        test.map(lambda t: f"not ({t})"),
    )
    either = st.tuples(tests, two).map(
        lambda p: (kind(p[1][0][0], p[1][1][0]), f"({p[1][0][1]} if {p[0]} else {p[1][1][1]})")
    )
    divided = st.tuples(st.sampled_from(["//", "%"]), two).map(
        lambda p: (
            ("whole", f"({p[1][0][1]} {p[0]} (abs({p[1][1][1]}) + 1))")
            if kind(p[1][0][0], p[1][1][0]) == "whole"
            else p[1][0]
        )
    )
    return st.one_of(plain, extreme, size, minus, either, divided)


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(st.one_of(WHOLE, EIGHTHS, NAMES), larger, max_leaves=12),
    st.integers(-9, 9),
    st.integers(-9, 9),
    st.integers(-40, 40),
    st.integers(-40, 40),
)
def test_an_expression_has_pythons_value(expression, a, b, c, d):
    kind, text = expression
    numbers = {"a": a, "b": b, "c": c / 8.0, "d": d / 8.0}
    want = eval(text, {}, numbers)
    assert isinstance(want, int) == (kind == "whole") or kind == "real"
    got = result(text, *numbers.values(), of=np.int64 if kind == "whole" else np.float64)
    assert got == want, (text, numbers, got, want)


def test_whole_numbers_divide_towards_minus_infinity():
    out = np.zeros((4, 2), np.int64)
    pairs = [(7, 2), (-7, 2), (7, -2), (-7, -2)]
    for row, (a, b) in zip(out, pairs, strict=True):
        run("c[0] = a // b\nc[1] = a % b", a, b, row)
    assert [tuple(row) for row in out] == [divmod(*pair) for pair in pairs]


def test_whole_numbers_without_a_sign_wrap():
    top = np.uint64(2**64 - 1)
    assert result("a + u64(2)", top, of=np.uint64) == 1
    assert result("u32(a + u32(2))", np.uint32(2**32 - 1), of=np.uint32) == 1
    assert (
        result("a + u32(2)", np.uint32(2**32 - 1), of=np.uint64) == 2**32 + 1
    )  # 64 bits once something is done with it
    assert result("a >> u64(60)", top, of=np.uint64) == 15
    assert result("a >> 1", -7, of=np.int64) == -4
    assert result("i64(i32(u32(a)))", np.uint32(2**32 - 5), of=np.int64) == -5


def test_a_nan_is_kept_where_python_keeps_it():
    nan = float("nan")
    for word in ("max", "min"):
        for a, b in ((nan, 1.0), (1.0, nan)):
            want = {"max": max, "min": min}[word](a, b)
            assert repr(float(result(f"{word}(a, b)", a, b))) == repr(want)
    assert result("1.0 if a == a else 0.0", nan) == 0.0
    assert result("1.0 if a != a else 0.0", nan) == 1.0
    assert result("1.0 / a", 0.0) == math.inf


def test_bits_and_floats_of_all_sizes():
    for kind in (np.float32, np.float64):
        size = np.finfo(kind).bits
        for x in (1.5, -0.0, np.finfo(kind).max, np.finfo(kind).tiny, np.inf):
            x = kind(x)
            assert result(f"from_bits{size}(bits{size}(a))", x, of=kind).tobytes() == x.tobytes()
    largest = np.finfo(np.float32).max
    assert literal(3.4028234e38, "f32") == literal(float(largest), "f32")
    assert literal(1e39, "f32") == literal(math.inf, "f32")
    assert result("a", np.float32(0.1)) == np.float64(np.float32(0.1))
    assert result("a * f32(0.1)", np.float32(3.0), of=np.float32) == np.float32(3.0) * np.float32(
        0.1
    )


def test_what_must_not_be_looked_at_is_not():
    """`and`, `or` and `if else` read memory only where Python would."""
    assert result("1.0 if a < b.shape[0] and b[a] > 0.0 else 0.0", 1 << 50, np.ones(3)) == 0.0
    assert result("b[a] if a < b.shape[0] else -1.0", 1 << 50, np.ones(3)) == -1.0
    assert result("1.0 if a >= b.shape[0] or b[a] > 0.0 else 0.0", 1 << 50, np.ones(3)) == 1.0


def test_statements():
    words = """
def first_above(x, level):
    found = 0
    for k in range(x.shape[0]):
        if x[k] <= level:
            continue
        if x[k] > 90.0:
            break
        found = found + 1
        if found == 2:
            return k, x[k]
    return -1, 0.5 * found

@apart
def halves(n):
    count = 0
    while n > 1:
        n //= 2
        count += 1
    return count
"""
    x = np.array([1.0, 5.0, 2.0, 7.0, 99.0, 6.0])
    out = np.zeros(4)
    run(
        "k, y = first_above(a, b)\nc[0] = k\nc[1] = y\nk, y = first_above(a, 6.5)\n"
        "c[2] = y\nc[3] = halves(37)",
        x,
        4.0,
        out,
        words=words,
    )
    np.testing.assert_array_equal(out, [3.0, 7.0, 0.5, 5.0])


def test_a_name_takes_the_widest_kind_it_is_given():
    assert (
        result(
            "total(a)",
            4,
            words=(
                "\ndef total(n):\n    s = 0\n    for k in range(n):\n        s += 0.5 * k\n"
                "    return s\n"
            ),
        )
        == 3.0
    )


def test_tuples():
    words = "\ndef swapped(p):\n    a, b = p\n    return (b, a) + p[1:]\n"
    assert result("swapped((a, b))[0] * 100.0 + swapped((a, b))[2]", 2, 3.5, words=words) == 353.5
    for k in range(-3, 3):
        assert result(f"(a, b, 7.0)[{k}]", 2.0, 3.5) == (2.0, 3.5, 7.0)[k]


def test_complex_numbers():
    u, v = 1.5 - 0.5j, -0.25 + 2.0j
    words = (
        "\ndef of(p, q, r, s):\n    u, v = complex(p, q), complex(r, s)\n"
        "    return u * v - 2.0 * u + (v + 1.0) * 1j\n"
    )
    numbers = (u.real, u.imag, v.real, v.imag)
    want = u * v - 2.0 * u + (v + 1.0) * 1j
    assert result("of(a, b, c, d).real", *numbers, words=words) == want.real
    assert result("of(a, b, c, d).imag", *numbers, words=words) == want.imag


def test_arrays_of_any_layout():
    x = np.arange(24.0).reshape(2, 3, 4)
    for view in (x, x[:, ::2], x.transpose(2, 0, 1), x[::-1]):
        assert result("a[1, 1, 1]", view) == view[1, 1, 1]
    out = np.zeros((3, 4))
    run(
        "scratch = np.empty((3, b), f64)\nfor k in range(3):\n    scratch[k, 1] = k\n"
        "    a[k, 2] += scratch[k, 1]",
        out.T[:3],
        7,
    )
    np.testing.assert_array_equal(out.T[:3, 2], [0.0, 1.0, 2.0])


def test_signs_of_whole_numbers():
    big = np.uint64((1 << 63) + 1)
    assert result("1.0 if a > u64(5) else 0.0", big) == 1.0
    assert result("f64(a)", big) == float(big)
    assert result("a // u64(3)", big, of=np.uint64) == int(big) // 3
    assert result("a % u64(10)", big, of=np.uint64) == int(big) % 10
    assert result("f64(u32(-1))", 0.0) == 2.0**32 - 1
    for kind in (np.int32, np.uint32):
        values = np.array([-5 % 2**32], np.uint32).view(kind)
        assert result("a[0] + 0", values, of=np.int64) == int(values[0])
    assert [result("lowest(u64(a))", x, of=np.uint64) for x in (0, 1, 40, 1 << 62)] == [
        64,
        0,
        3,
        62,
    ]
    assert result("i32(a) + u32(a)", np.bool_(True), of=np.int64) == 2


def test_a_loop_counts_by_itself():
    """Backwards, and whatever its body does with its name."""
    words = """
def backwards(n, step=2):
    s = 0
    for k in range(n, 0, -3):
        s = 10 * s + k
        k = 100
    return +s * step
"""
    assert result("backwards(a)", 10, words=words, of=np.int64) == 2 * 10741
    assert result("backwards(a, 1)", 10, words=words, of=np.int64) == 10741


def test_both_sides_may_return():
    words = "\ndef sign(x):\n    if x > 0.0:\n        return 1.0\n    else:\n        return -1.0\n"
    assert [result("sign(a)", x, words=words) for x in (3.0, -3.0)] == [1.0, -1.0]


def test_scratch_from_the_heap_is_given_back():
    out = np.zeros(3)
    body = (
        "big = np.empty((a, 8), f64)\nbig[a - 1, 7] = unit\nif unit == 1:\n    continue\n"
        "b[unit] = big[a - 1, 7] + 1.0"
    )
    run(body, 3000, out, units=3)
    np.testing.assert_array_equal(out, [1.0, 0.0, 3.0])
    text = KERNEL.format(
        arguments="a, b", body="\n".join("        " + line for line in body.splitlines())
    )
    made = build.lowered(text, ("i64", Array("f64", (None,))))
    assert made.count("call void @free(") == 2  # of the turn before, and at the end


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        (np.zeros(2, bool), "bool: its numbers are i8, i32"),
        (1 << 63, "a number of 64 bits"),
        (None, "cannot be given None"),
    ],
)
def test_an_argument_that_is_no_number_is_refused(argument, words):
    with pytest.raises(TypeError, match=words):
        run("pass", argument)


def test_which_of_64_numbers_are_below_a_bound():
    numbers = np.random.default_rng(4).choice(
        [-1.0, -0.0, 0.0, 5e-324, 1.0, np.nan, np.inf], (3, 70)
    )
    for bound in (-1.0, 0.0, 5e-324, 1.0, np.inf, np.nan):
        for row, at in ((0, 0), (1, 3), (2, 6)):
            found = result(
                f"compare_mask(a, (u64({row}), u64({at})), b)", numbers, bound, of=np.uint64
            )
            assert [int(found) >> k & 1 for k in range(64)] == list(
                numbers[row, at : at + 64] < bound
            ), (bound, row, at)
    with pytest.raises(MemberError, match="compare_mask looks at f64 that lie side by side"):
        result(
            "compare_mask(a, (u64(0), u64(0)), 1.0)", np.zeros((1, 64), np.float32), of=np.uint64
        )


def test_bytes_are_read_and_written():
    given, out, back = np.array([-128, -1, 0, 127], np.int8), np.zeros(4), np.zeros(4, np.int8)
    run(
        "b[unit] = a[unit] * 2 + 0.5\nc[unit] = -a[unit] if unit > 0 else a[unit]",
        given,
        out,
        back,
        units=4,
    )
    np.testing.assert_array_equal(out, [-255.5, -1.5, 0.5, 254.5])
    np.testing.assert_array_equal(back, [-128, 1, 0, -127])


def test_too_little_memory_is_an_error():
    with pytest.raises(MemoryError, match="scratch"):
        run("big = np.empty((a, 8), f64)\nbig[0, 0] = 1.0", 1 << 50)


WRONG = {
    "a + b[0]": "run, 'c.0. = a . b.0.': u64 and i64 do not mix: cast one",
    "a[0]": "u64 has no element",
    "b[1.5]": "an index must be a whole number, not f64",
    "b[0, 0]": "has no element at 2 indices",
    "nothing": "the name 'nothing' has no value here",
    "mystery(a)": "'mystery' is not known to a kernel",
    "[1.0][0]": "is not known to a kernel",
    "(1.0, 2.0)[5]": "asks for number 5 of 2 values",
    "(1.0, 2.0)[b[0]]": "which value of a tuple is asked for must be known",
    "turned(3)": "'y' is read before a line gives it a value",
    "broken(3)": "'y' is read before a line gives it a value",
    "b.T[0]": "is not known to a kernel",
    "2.0 ** 0.5": "floats are added, subtracted",
    "one(a, a)": "one takes 1 arguments, 2 are given",
    "1.0 if (2.0 or 3.0) == 2.0 else 0.0": "'2.0' is no truth: write `a if test else b`",
    "(1.0, 2.0, 3.0)[::2][1]": "the ends of a slice must be constants, without a step",
    "(1.0, 2.0, 3.0)[b[0]:][1]": "the ends of a slice must be constants",
    "(1.0, 2.0)[1.0]": "an index must be a whole number, not f64",
    "b[b]": "an index must be a whole number, not an array",
    "b[-1]": "an index counts from the front",
    "1.0 if 0 < 5 < b[0] else 0.0": "write `a < b and b < c`",
    "min(1.0, 2.0, 3.0)": "min takes 2 arguments",
    "18446744073709551617": "is not a number of 64 bits",
    "endless(1.0)": "endless calls itself",
    "some(1.0)": "some may end without a value",
    "later(1.0)": "'y' is read before a line gives it a value",
    "either(1.0)": "'y' is read before a line gives it a value, or only one side",
    "scratch()": "belongs to the kernel itself",
    "kept()": "an array cannot be returned",
    "unwound(3)": "a loop has no else in a kernel",
}
MADE_WRONG = """
def one(x):
    return x

def endless(x):
    return endless(x)

def some(x):
    if x > 0.0:
        return x

def later(x):
    s = 0.0
    for k in range(3):
        if k > 0:
            s += y
        y = x
    return s

def either(x):
    if x > 0.0:
        y = x
    return y

def scratch():
    big = np.empty((100000,), f64)
    return big[0]

def kept():
    return np.empty((3,), f64)

def turned(n):
    for k in range(n):
        y = 5.0
    return y

def broken(n):
    for k in range(3):
        if n > 2:
            break
        y = 5.0
    return y

def unwound(n):
    for k in range(n):
        pass
    else:
        n = 5
    return n
"""


@pytest.mark.parametrize("expression", WRONG)
def test_what_a_kernel_cannot_say_is_refused_by_its_line(expression):
    with pytest.raises(MemberError, match=WRONG[expression]):
        result(expression, np.uint64(1), np.zeros(3, np.int64), words=MADE_WRONG)


def test_kinds():
    assert wider(("i64", "f32"), ("f64", "f32")) == ("f64", "f32")
    assert wider(Array("f64", (3, 4)), Array("f64", (3, None))) == Array("f64", (3, None))
    for a, b in (
        ("i64", "u64"),
        ("f64", ("f64",)),
        (Array("f64", (1,)), Array("f32", (1,))),
        (("f64",), ("f64", "f64")),
    ):
        with pytest.raises(TypeError, match="do not mix"):
            wider(a, b)
