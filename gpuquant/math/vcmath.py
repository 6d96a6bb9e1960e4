"""Complex elementary functions, built on vmath: branch-free, one source for a CPU, a GPU and Python
itself.

They serve the integrands of Fourier prices, whose arguments are moderate: infinities and signed
zeros are not treated. Formulas call `xp.exp` and the like; the compiler maps a call to this module
where an argument is complex.
"""
# mypy: ignore-errors

from gpuquant.math.scalars import f64, sqrt  # noqa: F401
from gpuquant.math.vmath import angle64, exp64, log64, sincos64


def cexp64(z):
    """Exponential of a complex number with |Im z| < 1e5. Error below 4 ulp of its size."""
    sine, cosine = sincos64(z.imag)
    size = exp64(z.real)
    return complex(size * cosine, size * sine)


def clog64(z):
    """Natural logarithm of a complex number, its imaginary part within (-pi, pi]. Error below 4
    ulp of its size, and 1e-15 near |z| = 1.
    """
    return complex(0.5 * log64(z.real * z.real + z.imag * z.imag), angle64(z.imag, z.real))


def clog1p64(z):
    """log(1 + z) for |1 + z| > 0.5. Error below 4 ulp of its size, and 1e-15 near |1 + z| = 1."""
    w = z.real * (2.0 + z.real) + z.imag * z.imag  # |1 + z|^2 = 1 + w
    grown = 1.0 + w
    lost = w - (grown - 1.0)  # the part of w that the sum rounds away
    return complex(0.5 * (log64(grown) + lost / grown), angle64(z.imag, 1.0 + z.real))


def csqrt64(z):
    """Square root with a real part >= 0. Error below 4 ulp of its size."""
    size = sqrt(z.real * z.real + z.imag * z.imag)
    main = sqrt(0.5 * (size + abs(z.real)))
    rest = 0.5 * abs(z.imag) / (main if main > 0.0 else 1.0)
    real = main if z.real >= 0.0 else rest
    imag = rest if z.real >= 0.0 else main
    return complex(real, -imag if z.imag < 0.0 else imag)


def cover64(a, b):
    """a / b for complex b. Error below 4 ulp of its size while |b| is between 1e-150 and 1e150."""
    scale = 1.0 / (b.real * b.real + b.imag * b.imag)
    return a * complex(b.real * scale, -b.imag * scale)
