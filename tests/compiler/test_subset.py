"""The compile step: what a member may say, and the words in which it is told what it may not."""

import ast
import math

import pytest

from gpuquant.compiler.bodies import Body, Narrow
from gpuquant.compiler.functions import parse
from gpuquant.compiler.member import PRECISIONS, Member
from gpuquant.compiler.subset import Rewriter
from gpuquant.compiler.targets import CPU, CUDA
from gpuquant.errors import MemberError, NameUnknown

LEVEL = 2.5


def helper(x):
    return x * 0.5


def good(m, i, dt):
    y = helper(math.exp(m.volatility[i]) ** 2)
    if y > 1:
        y = min(y, LEVEL)
    for _ in range(3):
        y += 1
    return (y, dt)


def bad_name(m, i, dt):
    return (m.volatilty[i],)


def bad_math(m, i, dt):
    return (math.gamma(dt),)


def bad_comprehension(m, i, dt):
    return [dt for _ in range(3)]


def bad_call(m, i, dt):
    return (print(dt),)


def bad_global(m, i, dt):
    return (dt * UNKNOWN,)  # noqa: F821


def bad_power(m, i, dt):
    return (dt**0.5,)


def bad_attribute(m, i, dt):
    return (dt.real,)


def bad_import(m, i, dt):
    import random

    return (random.random(),)


def rewritten(function, precision="single"):
    return ast.unparse(
        Rewriter(Member("begin", function, {"volatility": 0}), PRECISIONS[precision]).rewrite()
    )


def test_names_literals_and_helpers_are_mapped():
    text = rewritten(good)
    assert "exp32(m[0])" in text
    assert "square(" in text
    assert "def begin_helper_0(x)" in text
    assert "F(2.5)" in text
    assert "exp32(f32(m[0]))" in rewritten(good, "mixed")
    assert "exp64(m[0])" in rewritten(good, "double")
    ast.parse(text)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (bad_math, "math.gamma is not known"),
        (bad_comprehension, "ListComp cannot run"),
        (bad_call, "'print' cannot be called"),
        (bad_global, "'UNKNOWN' is not defined"),
        (bad_power, "powers other than"),
        (bad_attribute, "'dt.real' is not known"),
        (bad_import, "Import cannot run"),
    ],
)
def test_what_cannot_run_on_every_target_is_rejected_by_name(function, words):
    with pytest.raises(MemberError, match=words) as caught:
        rewritten(function)
    assert function.__name__ in str(caught.value)


def test_an_unknown_field_names_the_nearest():
    with pytest.raises(NameUnknown, match="did you mean 'volatility'"):
        rewritten(bad_name)


def test_a_function_without_source_is_refused():
    with pytest.raises(MemberError, match="source cannot be read"):
        parse(eval("lambda m, i, dt: dt"))


def test_loops_take_the_form_of_their_target():
    def body():
        for k in unrolled(2):  # noqa: F821
            for lane in lanes():  # noqa: F821
                z[k, lane] = 1.5  # noqa: F821

    cpu = ast.unparse(Body(CPU, {}).visit(parse(body)))
    gpu = ast.unparse(ast.fix_missing_locations(Body(CUDA, {}).visit(parse(body))))
    assert "for k in range(2)" in cpu and "range(LANES)" in cpu
    assert "z[0, lane]" in gpu and "z[1, lane]" in gpu and "for k" not in gpu
    assert "f32(1.5)" in ast.unparse(ast.fix_missing_locations(Narrow("f32").visit(parse(body))))
