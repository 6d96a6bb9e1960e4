"""Dual numbers: compiled code, Python, and what a small difference tells, agree."""

import ast

import numpy as np
import pytest

from gpuquant.compiler import build, interpret, kernel
from gpuquant.errors import MemberError
from gpuquant.math.dual_numbers import DualNumber

FORMULAS = {
    "sum": "x + y + 2.0",
    "difference": "3.0 - x - (y - 1.0)",
    "product": "x * y * 1.5 * x",
    "quotient": "x / y + 2.0 / x + y / 3.0",
    "sign": "-x * -y",
    "root": "sqrt(x * y) + sqrt(x)",
    "root at zero": "sqrt(x - x) + y",
    "exponential": "exp64(x * y) * exp64(-y)",
    "logarithm": "log64(x) * log64(y * x)",
    "normal": "norm_cdf64(x - y) * norm_cdf64(y)",
    "distance": "abs(x - y) + abs(y - x) * x",
    "larger": "larger(x, y) * smaller(x * x, y)",
    "choice": "(x * y if x > y else x - y) + (2.0 if x > 0.0 else y)",
    "powers": "square(x) * cube(y) + fourth(x)",
    "precision": "f64(f32(x)) * y",
    "a plain number": "x * 0.0 + 2.0",
}
BODY = """
def run(unit0, units, given, out):
    for unit in range(unit0, unit0 + units):
        x = with_slopes(given[0, unit], (given[1, unit], given[2, unit]))
        y = with_slopes(given[3, unit], (given[4, unit], given[5, unit]))
        kept = np.empty((2, 3), f64_with_2_slopes)
        kept[1, 2] = {formula}
        kept[1, 2] += 0.0 * y
        result = parts(kept[1, 2])
        out[0, unit] = result[0]
        out[1, unit] = result[1]
        out[2, unit] = result[2]
"""


def compiled(formula, given):
    out = np.zeros((3, given.shape[1]))
    build.tile(BODY.format(formula=formula), (given, out))(0, given.shape[1])
    return out


def by_python(formula, given):
    words = interpret._meanings()
    code = compile(
        ast.fix_missing_locations(interpret.Plain().visit(ast.parse(formula, mode="eval"))),
        "<formula>",
        "eval",
    )
    columns = []
    for row in given.T:
        x, y = (DualNumber(row[k], (row[k + 1], row[k + 2])) for k in (0, 3))
        with np.errstate(all="ignore"):
            result = eval(code, {**words, "x": x, "y": y})
        columns.append((result.value, *result.slopes))
    return np.array(columns).T


@pytest.fixture
def given():
    draw = np.random.default_rng(5)
    return draw.uniform(0.2, 2.0, (6, 50))


@pytest.mark.parametrize("name", FORMULAS)
def test_compiled_duals_are_pythons(name, given):
    formula = FORMULAS[name]
    np.testing.assert_allclose(
        compiled(formula, given), by_python(formula, given), rtol=1e-12, atol=1e-13
    )


@pytest.mark.parametrize("name", [name for name in FORMULAS if name != "precision"])
def test_slopes_are_what_a_difference_tells(name, given):
    """A step of 1e-6 along each direction, central."""
    found, h = compiled(FORMULAS[name], given), 1e-6
    for k in (1, 2):
        moved = given.copy(), given.copy()
        for side, one in zip((1.0, -1.0), moved, strict=True):
            one[0] += side * h * given[k]
            one[3] += side * h * given[3 + k]
        up, down = (compiled(FORMULAS[name], one)[0] for one in moved)
        np.testing.assert_allclose(found[k], (up - down) / (2.0 * h), rtol=1e-6, atol=1e-7)


def test_a_function_without_a_slope_takes_no_dual_number(given):
    """Its bits have no derivative: refused, not zero."""
    with pytest.raises(MemberError, match=r"a dual number of f64 cannot become"):
        compiled("from_bits64(bits64(x) + u64(1))", given)


def test_a_dual_number_does_not_become_a_plain_one_by_itself(given):
    body = BODY.replace("out[0, unit] = result[0]", "out[0, unit] = x")
    with pytest.raises(MemberError, match="a dual number of f64 cannot become f64"):
        build.tile(body.format(formula="x"), (given, np.zeros((3, 50))))


def test_a_wrong_slope_is_seen(given, monkeypatch):
    """The mutant: an exponential whose slope is its argument."""
    text = kernel.vocabulary().replace(
        "def slope_exp64(x, y):\n    return y", "def slope_exp64(x, y):\n    return x"
    )
    assert text != kernel.vocabulary()
    monkeypatch.setattr(build, "vocabulary", lambda: text)
    build._words.cache_clear()
    try:
        found = compiled(FORMULAS["exponential"] + " + 0.0", given)
    finally:
        monkeypatch.undo()
        build._words.cache_clear()
    right = by_python(FORMULAS["exponential"], given)
    np.testing.assert_allclose(found[0], right[0], rtol=1e-12)
    assert not np.allclose(found[1], right[1], rtol=1e-3)
