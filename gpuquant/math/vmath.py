"""Branch-free elementary functions: one source for a CPU, a GPU and Python itself.

They have no table, no branch and no library call, so that a loop over lanes around them vectorises.
The suffix 32 or 64 says float32 or float64; float literals take this type when compiled.
`tests/math/test_vmath.py` measures errors against mpmath over the whole domain: the test asserts
the bound that a docstring states. Unless a docstring says otherwise, NaN gives NaN, and an infinity
gives the limit.

Members call `math.exp` and the like; the compiler (`compiler/subset.py`) maps these calls here.
"""
# The typed functions (f32, u32, bits32, ...) are intrinsics of the targets; mypy does not know
# their types.
# mypy: ignore-errors

from gpuquant.math.scalars import (
    bits32,
    bits64,
    f32,
    f64,
    from_bits32,
    from_bits64,
    i32,
    i64,
    u32,
    u64,
)


def exp32(x):
    """Exponential of a float32. Error below 1.5 ulp; results below 2^-125.5 are zero, and
    results above the largest float are infinity.
    """
    # Cody and Waite (1980): x = n ln2 + r, rounded by a magic number. The polynomial gives 2 exp(r)
    # and the scale is 2^(n-1), so that the scale is a float wherever the result is one; at the next
    # smaller n its bits are zero.
    y = -87.6 if x < -87.6 else x
    y = 89.0 if y > 89.0 else y
    t = y * 1.44269504 + 12582912.0
    k = t - 12582912.0
    r = (y - k * 0.693359375) - k * -2.12194440e-4
    p = 0.0027852426932668894 * r + 0.01672640594335132
    p = p * r + 0.08333310887537988
    p = p * r + 0.33333153691987954
    p = p * r + 1.0
    return (p * (r * r) + (2.0 * r + 2.0)) * from_bits32((bits32(t) << u32(23)) + u32(0x3F000000))


def exp64(x):
    """Exponential of a float64. Error below 1.5 ulp; results below 2^-1021.5 are zero, and
    results above the largest float are infinity.
    """
    y = -708.7 if x < -708.7 else x
    y = 710.0 if y > 710.0 else y
    t = y * 1.4426950408889634 + 6755399441055744.0
    k = t - 6755399441055744.0
    r = (y - k * 0.6931471803691238) - k * 1.9082149292705877e-10
    p = 4.1829434683432756e-09 * r + 5.0210519076896896e-08
    p = p * r + 5.511454714020428e-07
    p = p * r + 5.511451059593927e-06
    p = p * r + 4.960317512265065e-05
    p = p * r + 0.0003968253974980252
    p = p * r + 0.002777777777776746
    p = p * r + 0.016666666666652224
    p = p * r + 0.08333333333333334
    p = p * r + 0.3333333333333334
    p = p * r + 1.0
    return (p * (r * r) + (2.0 * r + 2.0)) * from_bits64(
        (bits64(t) << u64(52)) + u64(0x3FE0000000000000)
    )


def log_normal32(x):
    """Natural logarithm of a positive, normal, finite float32: the core of `log32`. Error below
    1.5 ulp.
    """
    b = u32(bits32(x) - u32(0x3F3504F3))  # the mantissa goes to [sqrt(1/2), sqrt(2))
    e = f32(i32(i32(b) >> i32(23)))
    f = from_bits32((b & u32(0x007FFFFF)) + u32(0x3F3504F3)) - 1.0
    # coefficients of Moshier's Cephes logf (1989)
    p = 7.0376836292e-2 * f - 1.1514610310e-1
    p = p * f + 1.1676998740e-1
    p = p * f - 1.2420140846e-1
    p = p * f + 1.4249322787e-1
    p = p * f - 1.6668057665e-1
    p = p * f + 2.0000714765e-1
    p = p * f - 2.4999993993e-1
    p = p * f + 3.3333331174e-1
    z = f * f
    return e * 0.693359375 + (f + (p * f * z - e * 2.12194440e-4 - 0.5 * z))


def log32(x):
    """Natural logarithm of a float32. Error below 1.5 ulp; zero gives minus infinity, a negative
    number NaN.
    """
    tiny = x < 1.17549435e-38
    y = log_normal32(x * 8388608.0 if tiny else x) - (15.942385 if tiny else 0.0)
    y = x if x > 3.4028234e38 else y  # infinity
    y = from_bits32(u32(0xFF800000)) if x == 0.0 else y
    return y if x >= 0.0 else from_bits32(u32(0x7FC00000))


def log_normal64(x):
    """Natural logarithm of a positive, normal, finite float64: the core of `log64`. Error below
    1.5 ulp.
    """
    b = bits64(x) - u64(0x3FE6A09E667F3BCD)
    e = f64(i64(b) >> i64(52))
    f = from_bits64((b & u64(0x000FFFFFFFFFFFFF)) + u64(0x3FE6A09E667F3BCD)) - 1.0
    # log(1+f) = 2 atanh(s), s = f/(2+f), arranged as in fdlibm's e_log.c (Sun, 1993) so that f
    # enters exactly
    s = f / (2.0 + f)
    z = s * s
    p = 0.13088034850927555 * z + 0.13268638369266825
    p = p * z + 0.15386244737621665
    p = p * z + 0.18181795547521137
    p = p * z + 0.22222222392581045
    p = p * z + 0.28571428570799784
    p = p * z + 0.40000000000000885
    p = p * z + 0.6666666666666666
    h = 0.5 * f * f
    return e * 0.6931471803691238 - ((h - (s * (h + p * z) + e * 1.9082149292705877e-10)) - f)


def log64(x):
    """Natural logarithm of a float64. Error below 1.5 ulp; zero gives minus infinity, a negative
    number NaN.
    """
    tiny = x < 2.2250738585072014e-308
    y = log_normal64(x * 4503599627370496.0 if tiny else x) - (36.04365338911715 if tiny else 0.0)
    y = x if x > 1.7976931348623157e308 else y
    y = from_bits64(u64(0xFFF0000000000000)) if x == 0.0 else y
    return y if x >= 0.0 else from_bits64(u64(0x7FF8000000000000))


def sincos_turn32(turn):
    """Sine and cosine of 2 pi turn / 2^32 for a uint32. Error below 2.8 ulp of each."""
    v = u32(turn + u32(0x20000000))
    q = u32(v >> u32(30))
    x = f32(i32(i32(v & u32(0x3FFFFFFF)) - i32(0x20000000))) * 1.4629180792671596e-09  # |x| <= pi/4
    z = x * x
    # coefficients of Moshier's Cephes sinf, cosf (1989)
    s = -1.9515295891e-4 * z + 8.3321608736e-3
    s = s * z - 1.6666654611e-1
    s = s * z * x + x
    c = 2.443315711809948e-5 * z - 1.388731625493765e-3
    c = c * z + 4.166664568298827e-2
    c = c * z * z - 0.5 * z + 1.0
    odd = (q & u32(1)) != u32(0)
    a = c if odd else s
    b = s if odd else c
    return from_bits32(u32(bits32(a) ^ u32((q & u32(2)) << u32(30)))), from_bits32(
        u32(bits32(b) ^ u32(((q + u32(1)) & u32(2)) << u32(30)))
    )


def sincos_turn64(turn):
    """Sine and cosine of 2 pi turn / 2^32 for a uint32, in float64. Error below 2.5 ulp of each."""
    v = u32(turn + u32(0x20000000))
    q = u32(v >> u32(30))
    x = f64(i32(i32(v & u32(0x3FFFFFFF)) - i32(0x20000000))) * 1.4629180792671596e-09
    z = x * x
    s = -7.586691094197958e-13 * z + 1.6058531516797758e-10
    s = s * z - 2.5052106231802837e-08
    s = s * z + 2.7557319219337312e-06
    s = s * z - 0.00019841269841265063
    s = s * z + 0.008333333333333331
    s = s * z - 0.16666666666666666
    s = s * z * x + x
    c = 4.7458685530816656e-14 * z - 1.1470460830795304e-11
    c = c * z + 2.0876755790721963e-09
    c = c * z - 2.755731922140179e-07
    c = c * z + 2.4801587301584645e-05
    c = c * z - 0.0013888888888888887
    c = c * z + 0.041666666666666664
    c = c * z * z - 0.5 * z + 1.0
    odd = (q & u32(1)) != u32(0)
    a = c if odd else s
    b = s if odd else c
    sa = -1.0 if (q & u32(2)) != u32(0) else 1.0
    sb = -1.0 if ((q + u32(1)) & u32(2)) != u32(0) else 1.0
    return sa * a, sb * b


def sincos64(x):
    """Sine and cosine of a float64 with |x| < 1e5. Error below 2.5 ulp of each, and 1e-16 near
    their zeros.
    """
    # Cody and Waite (1980): x = k pi/2 + r, pi/2 in three parts of 33 bits, k rounded by a magic
    # number
    k = x * 0.6366197723675814 + 6755399441055744.0
    q = bits64(k)
    k = k - 6755399441055744.0
    r = ((x - k * 1.5707963267341256) - k * 6.077100506303966e-11) - k * 2.0222662487959506e-21
    z = r * r
    s = -7.586691094197958e-13 * z + 1.6058531516797758e-10
    s = s * z - 2.5052106231802837e-08
    s = s * z + 2.7557319219337312e-06
    s = s * z - 0.00019841269841265063
    s = s * z + 0.008333333333333331
    s = s * z - 0.16666666666666666
    s = s * z * r + r
    c = 4.7458685530816656e-14 * z - 1.1470460830795304e-11
    c = c * z + 2.0876755790721963e-09
    c = c * z - 2.755731922140179e-07
    c = c * z + 2.4801587301584645e-05
    c = c * z - 0.0013888888888888887
    c = c * z + 0.041666666666666664
    c = c * z * z - 0.5 * z + 1.0
    odd = (q & u64(1)) != u64(0)
    a = c if odd else s
    b = s if odd else c
    return from_bits64(bits64(a) ^ ((q & u64(2)) << u64(62))), from_bits64(
        bits64(b) ^ (((q + u64(1)) & u64(2)) << u64(62))
    )


def angle64(y, x):
    """The angle of the point (x, y), within (-pi, pi], for finite float64; 0 at the origin.
    Error below 2.5 ulp.
    """
    high = abs(y) if abs(y) > abs(x) else abs(x)
    low = abs(x) if abs(y) > abs(x) else abs(y)
    wide = low > 0.66 * high
    over = low + high if wide else high
    t = (low - high if wide else low) / (over if over > 0.0 else 1.0)
    # coefficients of Moshier's Cephes atan (1989)
    z = t * t
    p = -0.8750608600031904 * z - 16.157537187333652
    p = p * z - 75.00855792314705
    p = p * z - 122.88666844901361
    p = p * z - 64.85021904942025
    q = z + 24.858464901423063
    q = q * z + 165.02700983169885
    q = q * z + 432.8810604912903
    q = q * z + 485.3903996359137
    q = q * z + 194.5506571482614
    a = t * z * (p / q) + t
    a = 0.7853981633974483 + (a + 3.061616997868383e-17) if wide else a
    a = 1.5707963267948966 - (a - 6.123233995736766e-17) if abs(y) > abs(x) else a
    a = 3.141592653589793 - (a - 1.2246467991473532e-16) if x < 0.0 else a
    return -a if y < 0.0 else a
