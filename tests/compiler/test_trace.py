"""Traces: what a formula does to arrays, it does to the rows of a kernel."""

import math

import numpy as np
import pytest
import scipy.special as special
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuquant.compiler import trace
from gpuquant.compiler.trace import Trace, Untraceable
from gpuquant.device import resolve_device
from gpuquant.pricing.kernels import formula_loop

CPU, PYTHON = resolve_device("cpu:1"), resolve_device("python")
ODD = np.array([0.0, -0.0, 1.0, -1.0, 0.3, -2.5, 1e-12, -1e-9, 700.0, np.inf, -np.inf, np.nan])
X, Y = (grid.ravel() for grid in np.meshgrid(ODD, ODD))


def traced(formula, columns, device=CPU):
    """The results of a formula of two columns, by its trace; and the columns a kernel reads."""

    def results(symbols):
        return [formula(*symbols.values(), trace.Functions(), trace.Special())]

    def source(target):
        return formula_loop.source(results, ["x", "y"], target)

    n = max(map(len, columns))
    return formula_loop.results(source, columns, 1, n, device)[0]


FORMULAS = {
    "arithmetic": lambda x, y, xp, s: 2.0 - x * y + (3.0 * x - 1.0) / (y * y + 1.0) - -x,
    "a number of NumPy": lambda x, y, xp, s: np.float64(2.0) * x + np.float64(1.0) / (1.5 + y),
    "powers": lambda x, y, xp, s: x**2 + y**3.0 - x**1.0 + y**-5,
    "a power of numbers": lambda x, y, xp, s: xp.abs(x) ** 0.7 + 2.0 ** xp.minimum(y, 9.0),
    "where": lambda x, y, xp, s: xp.where(
        (x > y) & ~(y == 0.0) | (x != x), x, xp.where(y < 1.0, y, 7.0)
    ),
    "truths are numbers": lambda x, y, xp, s: (x > 0.0) * 2.0 - 1.0 + (y <= 1.0) * x,
    "a power of zero": lambda x, y, xp, s: (
        xp.abs(x) ** -0.5 + xp.abs(x) ** xp.clip(xp.nan_to_num(y), -1.5, 1.5)
    ),
    "no number": lambda x, y, xp, s: xp.maximum(x, xp.nan) + xp.minimum(xp.nan, 1.0) + 0.0 * y,
    "numbers of NumPy": lambda x, y, xp, s: xp.where(
        ~((x > 0.0) | (np.float64(1.0) == 1.0)), x, xp.where(~(xp.sqrt(4.0) > 1.0), y, 3.0)
    ),
    "a truth of numbers": lambda x, y, xp, s: x * (np.float64(2.0) == 1.0) + y * (xp.inf < 2.0),
    "like another": lambda x, y, xp, s: xp.where(~xp.isfinite(xp.ones_like(x)), x, y) + 0.0 * x,
    "extremes": lambda x, y, xp, s: xp.maximum(x, y) - xp.minimum(1.0, xp.clip(y, -2.0, 0.5)),
    "signs": lambda x, y, xp, s: xp.sign(x) + 3.0 * xp.copysign(y, 2.0 * x + 1.0),
    "odd numbers": lambda x, y, xp, s: xp.where(
        xp.isnan(x) | ~xp.isfinite(y), -1.0, xp.nan_to_num(x)
    ),
    "instead of them": lambda x, y, xp, s: xp.nan_to_num(x, nan=5.0, posinf=6.0) + 0.0 * y,
    "exponentials": lambda x, y, xp, s: xp.exp(x) + xp.expm1(y),
    "logarithms": lambda x, y, xp, s: xp.log(x) + xp.log1p(y) + xp.sqrt(x),
    "the normal": lambda x, y, xp, s: s.ndtr(x) * s.ndtr(y),
    "constants": lambda x, y, xp, s: (
        xp.where(x > 0.0, xp.inf, xp.nan) * xp.exp(0.5) + xp.ones_like(y)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_a_trace_says_what_arrays_say(name):
    """Also of zeros, infinities and what is no number; in Python, as compiled for a CPU."""
    formula = FORMULAS[name]
    with np.errstate(all="ignore"):
        expected = np.broadcast_to(formula(X, Y, np, special), X.shape)
    found = traced(formula, [X, Y])
    np.testing.assert_allclose(found, expected, rtol=4e-14, atol=0.0)
    with np.errstate(all="ignore"):
        by_python = traced(formula, [X[::5], Y[::5]], PYTHON)
    np.testing.assert_allclose(by_python, expected[::5], rtol=4e-14, atol=0.0)


def test_a_word_of_another_meaning_is_found_out(monkeypatch):
    """The mutant."""
    monkeypatch.setattr(trace.Functions, "minimum", trace.Functions.maximum)
    with pytest.raises(AssertionError):
        test_a_trace_says_what_arrays_say("extremes")


@settings(max_examples=50, deadline=None)
@given(st.floats(-0.9, 40.0), st.floats(1e-300, 1e300))
def test_small_differences_lose_nothing(x, y):
    """expm1 and log1p keep their digits near zero."""
    for size in (1.0, 1e-5, 1e-12):
        found = traced(lambda a, b, xp, s: xp.expm1(a), [np.array([x * size]), np.array([y])])[0]
        assert found == pytest.approx(math.expm1(x * size), rel=2e-15, abs=0.0)
        found = traced(lambda a, b, xp, s: xp.log1p(a), [np.array([x * size]), np.array([y])])[0]
        assert found == pytest.approx(math.log1p(x * size), rel=2e-15, abs=0.0)


def test_an_operation_is_done_once():
    """Whatever the order of a sum or a product."""
    made = Trace()
    x, y = made.do("r[0]"), made.do("r[1]")
    xp = trace.Functions()
    assert (x * y + xp.exp(x)).name == (xp.exp(x) + y * x).name
    assert len(made.names) == 5


UNTRACEABLE = {
    "a decision": lambda x, xp: x if x > 0.0 else -x,
    "a number of Python": lambda x, xp: float(x) * 2.0,
    "Python's functions": lambda x, xp: math.exp(x),
    "NumPy's functions": lambda x, xp: np.exp(x),
    "NumPy's where": lambda x, xp: np.where(x > 0.0, x, 0.0),
    "a part": lambda x, xp: x[0],
    "the rows": lambda x, xp: sum(one for one in x),
    "a sort": lambda x, xp: xp.sort(x),
    "a set": lambda x, xp: {x},
    "all rows": lambda x, xp: x if (x > 0.0).all() else -x,
    "some row": lambda x, xp: x if (x > 0.0).any() else -x,
    "the number of rows": lambda x, xp: x / x.shape[0],
    "a sum of truths": lambda x, xp: (x > 0.0) + (x < 1.0),
    "a truth less a truth": lambda x, xp: (x > 0.0) - (x < 1.0),
    "a text": lambda x, xp: xp.exp(x) * "2",
    "much work": lambda x, xp: sum(xp.exp(x * k) for k in range(2 * trace.MOST)),
}


@pytest.mark.parametrize("name", UNTRACEABLE)
def test_what_no_trace_can_hold_is_refused(name):
    made = Trace()
    with pytest.raises((Untraceable, AttributeError, TypeError, ValueError)):
        trace.shown(UNTRACEABLE[name](made.do("r[0]"), trace.Functions()))
