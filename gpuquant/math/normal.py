"""The standard normal distribution and its inverse: one source for all targets, like `vmath`."""
# mypy: ignore-errors

from gpuquant.math.scalars import (
    bits32,
    bits64,
    from_bits32,
    from_bits64,
    sqrt,
    u32,
    u64,
)
from gpuquant.math.vmath import exp32, exp64, log32, log64


def norm_cdf32(x):
    """Standard normal distribution of a float32. Error below 8 ulp, tail included, down to
    1e-37.
    """
    # Phi(-a) = exp(-a^2/2) R(a); (1 + 2a) R(a) is a polynomial in (a-4)/(a+4), the form of Juffa's
    # erfcx.
    a = -x if x < 0.0 else x
    a = 14.5 if a > 14.5 else a
    t = (a - 4.0) / (a + 4.0)
    p = -0.00015496053122891897 * t - 7.514117396833372e-05
    p = p * t + 0.001556426403491867
    p = p * t - 0.0012499248734214499
    p = p * t - 0.010509857348217511
    p = p * t + 0.04437403497215755
    p = p * t - 0.09526046350980776
    p = p * t + 0.12890716670495578
    p = p * t - 0.0963799898005145
    p = p * t - 0.02300920586667258
    p = p * t + 0.8496957715925706
    h = from_bits32(bits32(a) & u32(0xFFFFF000))  # h * h is exact, so the exponent loses nothing
    r = exp32(-0.5 * h * h) * exp32(-0.5 * (a - h) * (a + h)) * (p / (1.0 + 2.0 * a))
    return (1.0 - r if x > 0.0 else r) if x == x else x


def tail64(a):
    """Phi(-a) exp(a^2 / 2) of a float64, 0 <= a <= 39. Error below 4 ulp."""
    t = (a - 4.0) / (a + 4.0)
    p = -1.605153989025079e-09 * t - 2.777595708408414e-09
    p = p * t + 1.3941839544171092e-08
    p = p * t + 3.47015389005009e-08
    p = p * t - 5.0891187260658904e-08
    p = p * t - 2.3060726755244456e-07
    p = p * t + 5.507951261259094e-08
    p = p * t + 1.1974337258495328e-06
    p = p * t + 6.032809284489925e-07
    p = p * t - 5.886891898917872e-06
    p = p * t - 6.035074886813819e-06
    p = p * t + 3.155714042328642e-05
    p = p * t + 3.786855340041144e-05
    p = p * t - 0.0002043546759964707
    p = p * t - 0.00014330561401364585
    p = p * t + 0.001576978473286867
    p = p * t - 0.001210060047800704
    p = p * t - 0.010512319256653416
    p = p * t + 0.044364290441479236
    p = p * t - 0.09526047896251157
    p = p * t + 0.12890813544483778
    p = p * t - 0.09637998589041223
    p = p * t - 0.023009233104596186
    p = p * t + 0.8496957717177204
    return p / (1.0 + 2.0 * a)


def norm_cdf64(x):
    """Standard normal distribution of a float64. Error below 8 ulp, tail included, down to
    1e-307.
    """
    a = -x if x < 0.0 else x
    a = 39.0 if a > 39.0 else a
    h = from_bits64(bits64(a) & u64(0xFFFFFFFFF8000000))
    s = -0.5 * (a - h) * (a + h)  # above -5e-5: three terms of its exponential are enough
    r = exp64(-0.5 * h * h) * tail64(a)
    r = r + r * (s + s * s * (0.5 + s * 0.16666666666666666))
    return (1.0 - r if x > 0.0 else r) if x == x else x


def norm_inv32(p):
    """Inverse of the standard normal distribution, float32. Error below 6 ulp; 0 gives minus
    infinity, 1 gives infinity, and a number outside [0, 1] gives NaN.
    """
    # Algorithm AS 241 (Wichura, 1988): three rationals, all evaluated, then selected.
    q = p - 0.5
    s = 0.180625 - q * q
    n = 2509.0809287301227 * s + 33430.57558358813
    n = n * s + 67265.7709270087
    n = n * s + 45921.95393154987
    n = n * s + 13731.69376550946
    n = n * s + 1971.5909503065513
    n = n * s + 133.14166789178438
    n = n * s + 3.3871328727963665
    d = 5226.495278852854 * s + 28729.085735721943
    d = d * s + 39307.89580009271
    d = d * s + 21213.794301586597
    d = d * s + 5394.196021424751
    d = d * s + 687.1870074920579
    d = d * s + 42.31333070160091
    d = d * s + 1.0
    centre = n / d * q
    r = sqrt(-log32(p if q < 0.0 else 0.5 - q))
    s = r - 1.6
    n = 0.0007745450142783414 * s + 0.022723844989269184
    n = n * s + 0.2417807251774506
    n = n * s + 1.2704582524523684
    n = n * s + 3.6478483247632045
    n = n * s + 5.769497221460691
    n = n * s + 4.630337846156546
    n = n * s + 1.4234371107496835
    d = 1.0507500716444169e-09 * s + 0.0005475938084995345
    d = d * s + 0.015198666563616457
    d = d * s + 0.14810397642748008
    d = d * s + 0.6897673349851
    d = d * s + 1.6763848301838038
    d = d * s + 2.053191626637759
    d = d * s + 1.0
    middle = n / d
    s = r - 5.0
    n = 2.0103343992922881e-07 * s + 2.7115555687434876e-05
    n = n * s + 0.0012426609473880784
    n = n * s + 0.026532189526576124
    n = n * s + 0.29656057182850487
    n = n * s + 1.7848265399172913
    n = n * s + 5.463784911164114
    n = n * s + 6.657904643501103
    d = 2.0442631033899397e-15 * s + 1.421511758316446e-07
    d = d * s + 1.8463183175100548e-05
    d = d * s + 0.0007868691311456133
    d = d * s + 0.014875361290850615
    d = d * s + 0.1369298809227358
    d = d * s + 0.599832206555888
    d = d * s + 1.0
    tail = n / d
    y = middle if r <= 5.0 else tail
    y = -y if q < 0.0 else y
    y = centre if -0.425 <= q <= 0.425 else y
    y = from_bits32(u32(0xFF800000)) if p == 0.0 else y
    return from_bits32(u32(0x7F800000)) if p == 1.0 else y


def norm_inv64(p):
    """Inverse of the standard normal distribution, float64. Error below 6 ulp; 0 gives minus
    infinity, 1 gives infinity, and a number outside [0, 1] gives NaN.
    """
    # Algorithm AS 241 (Wichura, 1988): three rationals, all evaluated, then selected.
    q = p - 0.5
    s = 0.180625 - q * q
    n = 2509.0809287301227 * s + 33430.57558358813
    n = n * s + 67265.7709270087
    n = n * s + 45921.95393154987
    n = n * s + 13731.69376550946
    n = n * s + 1971.5909503065513
    n = n * s + 133.14166789178438
    n = n * s + 3.3871328727963665
    d = 5226.495278852854 * s + 28729.085735721943
    d = d * s + 39307.89580009271
    d = d * s + 21213.794301586597
    d = d * s + 5394.196021424751
    d = d * s + 687.1870074920579
    d = d * s + 42.31333070160091
    d = d * s + 1.0
    centre = n / d * q
    r = sqrt(-log64(p if q < 0.0 else 0.5 - q))
    s = r - 1.6
    n = 0.0007745450142783414 * s + 0.022723844989269184
    n = n * s + 0.2417807251774506
    n = n * s + 1.2704582524523684
    n = n * s + 3.6478483247632045
    n = n * s + 5.769497221460691
    n = n * s + 4.630337846156546
    n = n * s + 1.4234371107496835
    d = 1.0507500716444169e-09 * s + 0.0005475938084995345
    d = d * s + 0.015198666563616457
    d = d * s + 0.14810397642748008
    d = d * s + 0.6897673349851
    d = d * s + 1.6763848301838038
    d = d * s + 2.053191626637759
    d = d * s + 1.0
    middle = n / d
    s = r - 5.0
    n = 2.0103343992922881e-07 * s + 2.7115555687434876e-05
    n = n * s + 0.0012426609473880784
    n = n * s + 0.026532189526576124
    n = n * s + 0.29656057182850487
    n = n * s + 1.7848265399172913
    n = n * s + 5.463784911164114
    n = n * s + 6.657904643501103
    d = 2.0442631033899397e-15 * s + 1.421511758316446e-07
    d = d * s + 1.8463183175100548e-05
    d = d * s + 0.0007868691311456133
    d = d * s + 0.014875361290850615
    d = d * s + 0.1369298809227358
    d = d * s + 0.599832206555888
    d = d * s + 1.0
    tail = n / d
    y = middle if r <= 5.0 else tail
    y = -y if q < 0.0 else y
    y = centre if -0.425 <= q <= 0.425 else y
    y = from_bits64(u64(0xFFF0000000000000)) if p == 0.0 else y
    return from_bits64(u64(0x7FF0000000000000)) if p == 1.0 else y
