"""vmath and vcmath: the error bound of every docstring, over the whole domain, and the special
values.

float32 functions are held against numpy in float64, float64 functions against mpmath in 40 digits.
"""

import re
import zlib

import mpmath
import numpy as np
import pytest

from gpuquant.device import resolve_device
from gpuquant.device.elementwise import evaluate, evaluate_complex
from gpuquant.math import normal, vcmath, vmath

mpmath.mp.dps = 40
pytestmark = pytest.mark.filterwarnings(
    "ignore:overflow encountered in scalar:RuntimeWarning"
)  # uncompiled, the bits of integers wrap
DRAW = np.random.default_rng(1)


def bound(name):
    """The bound that the docstring states."""
    return float(
        re.search(
            r"Error\s+below\s+([\d.]+)\s+ulp",
            getattr(normal if hasattr(normal, name) else vmath, name).__doc__,
        )[1]
    )


def spread(kind, low, high, n):
    """Points spread evenly in the bits of positive floats from low to high."""
    whole = {"32": np.uint32, "64": np.uint64}[kind]
    real = {"32": np.float32, "64": np.float64}[kind]
    ends = np.array([low, high], real).view(whole)
    return np.linspace(float(ends[0]), float(ends[1]), n).astype(whole).view(real)


def domain(name):
    """Points of a function's domain, the same in any order of the tests."""
    kind, draw = name[-2:], np.random.default_rng(zlib.crc32(name.encode()))
    real = np.float32 if kind == "32" else np.float64
    n = 200_000 if kind == "32" else 4_000
    if name.startswith("exp"):
        low, high = (-86.9, 88.7) if kind == "32" else (-708.0, 709.7)
        return np.concatenate([draw.uniform(low, high, n), draw.uniform(-1, 1, n)]).astype(real)
    if name.startswith("log_normal"):
        return spread(kind, *((1.2e-38, 3.4e38) if kind == "32" else (2.3e-308, 1.7e308)), n)
    if name.startswith("log"):
        near = 1.0 + draw.uniform(-0.3, 0.4, n)
        return np.concatenate(
            [spread(kind, *((1e-45, 3.4e38) if kind == "32" else (5e-324, 1.7e308)), n), near]
        ).astype(real)
    if name.startswith("norm_cdf"):
        whole = draw.uniform(-12.9 if kind == "32" else -37.4, 9.0, n)
        # just below one half, where a unit in the last place is smallest for its size
        return np.concatenate([whole, -spread("64", 1e-3, 0.1, n)]).astype(real)
    if name.startswith("norm_inv"):
        tail = spread(kind, *((1e-38, 0.5) if kind == "32" else (1e-300, 0.5)), n)
        return np.concatenate([tail, draw.uniform(0.0001, 0.9999, n)]).astype(real)
    raise AssertionError(name)


REFERENCE = {
    "exp": (np.exp, mpmath.exp),
    "log": (np.log, mpmath.log),
    "log_normal": (np.log, mpmath.log),
    "norm_cdf": (None, mpmath.ncdf),
    "norm_inv": (None, lambda p: mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1)),
}


def exact(name, x):
    """The true values, in float64 for float32 functions and as mpmath numbers rounded late for
    float64 ones.
    """
    quick, careful = REFERENCE[name[:-2]]
    if name.endswith("32"):
        if quick is None:
            import scipy.special

            quick = {"norm_cdf": scipy.special.ndtr, "norm_inv": scipy.special.ndtri}[name[:-2]]
        return quick(x.astype(np.float64))
    return [careful(mpmath.mpf(float(v))) for v in x]


def ulps(name, got, want):
    if name.endswith("32"):
        unit = np.spacing(
            np.maximum(np.abs(want), np.finfo(np.float32).tiny).astype(np.float32)
        ).astype(np.float64)
        return np.abs(got.astype(np.float64) - want) / unit
    out = []
    for g, w in zip(got, want, strict=True):
        unit = np.spacing(max(abs(float(w)), np.finfo(np.float64).tiny))
        out.append(float(abs(mpmath.mpf(float(g)) - w) / mpmath.mpf(float(unit))))
    return np.array(out)


@pytest.mark.parametrize("kind", ["32", "64"])
@pytest.mark.parametrize("function", list(REFERENCE))
def test_error_is_within_the_docstring(function, kind, device):
    name = function + kind
    x = domain(name)
    if name == "norm_inv64":
        x = x[::4]
    got = evaluate(name, x, resolve_device(device))[0]
    if (
        name == "norm_inv64"
    ):  # the inverse's reference by Newton: erfinv of 1 - tiny would lose its digits
        want = [mpmath.mpf(float(z)) for z in got]
        for _ in range(3):
            want = [
                z - (mpmath.ncdf(z) - mpmath.mpf(float(p))) / mpmath.npdf(z)
                for z, p in zip(want, x, strict=True)
            ]
    else:
        want = exact(name, x)
    error = ulps(name, got, want)
    worst = int(np.nanargmax(error))
    assert error[worst] < bound(name), (
        f"{name}({x[worst]!r}) = {got[worst]!r}, off by {error[worst]:.2f} ulp"
    )


@pytest.mark.parametrize("kind", ["32", "64"])
def test_sincos_of_a_turn(kind, device):
    turns = np.concatenate(
        [
            DRAW.integers(0, 2**32, 20_000 if kind == "32" else 3_000),
            np.arange(16) << 28,
            (np.arange(1, 16) << 28) - 1,
        ]
    ).astype(np.uint32)
    got = evaluate(f"sincos_turn{kind}", turns, resolve_device(device), results=2)
    angle = [2 * mpmath.pi * int(t) / 2**32 for t in turns]
    for row, function in zip(got, (mpmath.sin, mpmath.cos), strict=True):
        true = [function(a) for a in angle]
        unit = np.array(
            [float(np.spacing(np.dtype(row.dtype).type(max(abs(t), 1e-9)))) for t in true]
        )
        error = (
            np.array([float(abs(mpmath.mpf(float(g)) - t)) for g, t in zip(row, true, strict=True)])
            / unit
        )
        keep = np.array([abs(t) > 1e-8 for t in true])  # an exact zero has no ulp
        worst = int(np.argmax(error * keep))
        assert error[worst] < bound(f"sincos_turn{kind}"), (
            f"turn {turns[worst]}: off by {error[worst]:.2f} ulp"
        )
        assert np.abs(row[~keep]).max(initial=0.0) < 1e-8


def test_sincos_of_an_angle(device):
    x = np.concatenate(
        [
            DRAW.uniform(-10, 10, 3000),
            DRAW.uniform(-1e5, 1e5, 3000),
            0.5 * np.pi * np.arange(-20, 20),
        ]
    )
    got = evaluate("sincos64", x, resolve_device(device), results=2)
    for row, function in zip(got, (mpmath.sin, mpmath.cos), strict=True):
        true = [function(mpmath.mpf(float(v))) for v in x]
        off = np.array(
            [float(abs(mpmath.mpf(float(g)) - t)) for g, t in zip(row, true, strict=True)]
        )
        limit = np.array([max(bound("sincos64") * np.spacing(abs(float(t))), 1e-16) for t in true])
        worst = int(np.argmax(off / limit))
        assert off[worst] < limit[worst], f"{x[worst]!r}: off by {off[worst]:.2g}"


def test_angle():
    """In plain Python: compiled, it is the imaginary part of clog64."""
    points = DRAW.normal(size=(4000, 2)) * 10.0 ** DRAW.uniform(-8, 8, (4000, 2))
    for y, x in [
        *points,
        (0.0, 2.0),
        (0.0, -2.0),
        (2.0, 0.0),
        (-2.0, 0.0),
        (1.0, 1.0),
        (-1.0, -1.0),
    ]:
        true = mpmath.atan2(float(y), float(x))
        got = float(vmath.angle64(np.float64(y), np.float64(x)))
        assert abs(mpmath.mpf(got) - true) <= bound("angle64") * np.spacing(abs(float(true))), (
            y,
            x,
            got,
        )
    assert vmath.angle64(np.float64(0.0), np.float64(0.0)) == 0.0


COMPLEX = {
    "cexp64": mpmath.exp,
    "clog64": mpmath.log,
    "clog1p64": lambda z: mpmath.log(1 + z),
    "csqrt64": mpmath.sqrt,
}


@pytest.mark.parametrize("name", list(COMPLEX))
def test_complex_functions(name, device):
    """Errors in units of the result's size, and 1e-15 where a logarithm is near zero."""
    z = (DRAW.normal(size=3000) + 1j * DRAW.normal(size=3000)) * 10.0 ** DRAW.uniform(-6, 1.3, 3000)
    z[:6] = [1.0, -1.0 + 1e-9j, 2j, -2j, 4.0, 1e-12 + 1e-12j]
    z = z[abs(1.0 + z) > 0.5] if name == "clog1p64" else z
    stated = float(re.search(r"Error\s+below\s+([\d.]+)\s+ulp", getattr(vcmath, name).__doc__)[1])
    for at, got in zip(z, evaluate_complex(name, z, resolve_device(device)), strict=True):
        true = COMPLEX[name](mpmath.mpc(complex(at)))
        limit = max(stated * np.spacing(float(abs(true))), 1e-15 if "log" in name else 0.0)
        assert float(abs(mpmath.mpc(complex(got)) - true)) <= limit, (at, got, true)


def test_complex_division():
    for a, b in zip(
        DRAW.normal(size=(2000, 2)),
        DRAW.normal(size=(2000, 2)) * 10.0 ** DRAW.uniform(-20, 20, (2000, 1)),
        strict=True,
    ):
        true = mpmath.mpc(*map(float, a)) / mpmath.mpc(*map(float, b))
        got = vcmath.cover64(np.complex128(complex(*a)), np.complex128(complex(*b)))
        assert float(abs(mpmath.mpc(complex(got)) - true)) <= 4.0 * np.spacing(float(abs(true))), (
            a,
            b,
        )


@pytest.mark.parametrize("kind", ["32", "64"])
def test_special_values(kind, device):
    real = np.float32 if kind == "32" else np.float64
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -1.0, 1e5], real)
    device = resolve_device(device)
    np.testing.assert_array_equal(
        evaluate(f"exp{kind}", x, device)[0, [0, 1, 2, 3, 5]],
        np.array([np.nan, np.inf, 0.0, 1.0, np.inf], real),
    )
    np.testing.assert_array_equal(
        evaluate(f"log{kind}", x, device)[0, :5],
        np.array([np.nan, np.inf, np.nan, -np.inf, np.nan], real),
    )
    np.testing.assert_allclose(
        evaluate(f"norm_cdf{kind}", x, device)[0, :4],
        [np.nan, 1.0, 0.0, 0.5],
        rtol=np.finfo(real).eps,
    )
    p = np.array([np.nan, 0.0, 1.0, -0.1, 1.1, 0.5], real)
    np.testing.assert_array_equal(
        evaluate(f"norm_inv{kind}", p, device)[0],
        np.array([np.nan, -np.inf, np.inf, np.nan, np.nan, 0.0], real),
    )


def test_plain_python_means_the_same():
    """The functions run uncompiled too, in the types of their suffix, as `device="python"` runs
    them.
    """
    with np.errstate(all="ignore"):  # both arms of a select are evaluated
        assert vmath.log64(np.float64(2.0)) == pytest.approx(np.log(2.0), rel=1e-15)
        assert float(normal.norm_inv64(np.float64(0.975))) == pytest.approx(
            1.959963984540054, rel=1e-14
        )


def test_the_tail_of_the_normal_distribution(device):
    """Phi(-a) exp(a^2 / 2), to its docstring's bound, from the middle to the farthest tail."""
    a = np.concatenate([np.random.default_rng(4).uniform(0.0, 39.0, 2000), [0.0, 1e-9, 39.0]])
    got = evaluate("tail64", a, resolve_device(device))[0]
    numbers = [mpmath.mpf(float(x)) for x in a]
    want = [mpmath.ncdf(-x) * mpmath.exp(x * x / 2) for x in numbers]
    error = ulps("tail64", got, want)
    assert error.max() < bound("tail64"), (a[error.argmax()], error.max())
