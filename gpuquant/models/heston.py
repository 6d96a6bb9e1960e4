"""Heston: stochastic variance, Andersen's quadratic-exponential scheme with martingale
correction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.domains import Column, at_least, correlation, nonnegative, positive, real
from gpuquant.models.base import Model
from gpuquant.models.windows import rolling_mean

TAIL = 30.0  # deviations of the variance, whose law falls as an exponential
FAR = 6.0  # deviations of its integral
ROOT_HALF = 0.7071067811865476  # 2 Phi(-z) = erfc(z sqrt(1/2))


@dataclass(frozen=True)
class Heston(Model):
    """Square-root variance correlated with the spot.

    dS = (rate - dividend_yield) S dt + sqrt(v) S dW1, dv = kappa (long_variance - v) dt +
    vol_of_vol sqrt(v) dW2, d<W1, W2> = correlation dt. The variance is simulated by the QE scheme
    with psi_c = 1.5, the log price by the central discretisation. The drift of the log price is
    corrected so that the discounted spot is a martingale on any grid.

    Parameters
    ----------
    spot : Column, shape (n,)
        Price today, in currency units; > 0.
    rate : Column, shape (n,)
        Continuously compounded, per year.
    dividend_yield : Column, shape (n,)
        Continuously compounded, per year.
    v0 : Column, shape (n,)
        Variance today, per year; >= 0.
    kappa : Column, shape (n,)
        Speed of mean reversion, per year; > 0.
    long_variance : Column, shape (n,)
        Variance in the long run, per year; >= 0.
    vol_of_vol : Column, shape (n,)
        Of the variance, per square root of a year; >= 0.001: below it the scheme divides rounding
        errors by it.
    correlation : Column, shape (n,)
        Between spot and variance; within [-1, 1].

    References
    ----------
    Heston (1993); Andersen (2008), sections 3.2.4 and 4, propositions 6 and 7.
    """

    spot: Column = positive(sample=100.0)
    rate: Column = real()
    dividend_yield: Column = real(default=0.0)
    v0: Column = nonnegative(sample=0.04)
    kappa: Column = positive(sample=1.5)
    long_variance: Column = nonnegative(sample=0.04)
    vol_of_vol: Column = at_least(0.001, sample=0.5)
    correlation: Column = correlation()

    normals = 2
    factors = 2
    steps_per_year = 50
    weak_order = 2.0
    vega_column = "v0"
    vega_is_variance = True
    affine_state = "v0"
    variance_columns = ("v0", "long_variance")
    differentiable = "always"

    @staticmethod
    def begin(m, i, dt):
        drift = (m.rate[i] - m.dividend_yield[i]) * dt
        return scheme(
            m.kappa[i], m.long_variance[i], m.vol_of_vol[i], m.correlation[i], drift, dt
        ), (math.log(m.spot[i]), m.v0[i])

    @staticmethod
    def step(c, x, z, u, k):
        return diffuse(c, x, z)

    @staticmethod
    def log_spots(x):
        return (x[0],)

    @staticmethod
    def discount(m, i, t):
        return math.exp(-m.rate[i] * t)

    @staticmethod
    def bridge(c, x0, x1):
        # Given its ends, the whole diffusion is a bridge, also the part that is correlated with the
        # variance. Where the log price moves by dx, the variance moves by correlation x vol_of_vol
        # dx in the mean.
        return (c[10] * x0[1], c[10] * x1[1], c[11])

    @staticmethod
    def diffusion(m, i, t, x):
        sigma, v = m.vol_of_vol[i], x[1]
        return (
            m.rate[i] - m.dividend_yield[i] - 0.5 * v,
            v,
            m.kappa[i] * (m.long_variance[i] - v),
            sigma * sigma * v,
            m.correlation[i] * sigma * v,
        )

    @classmethod
    def extent(cls, m: Any, t: Any) -> tuple[tuple[Any, Any, Any], ...]:
        # the variance of v at t, from today's and in the long run
        decay = np.exp(-m.kappa * t)
        spread = (
            m.vol_of_vol**2 / m.kappa * (1.0 - decay)
            * (m.v0 * decay + 0.5 * m.long_variance * (1.0 - decay))
        )  # fmt: skip
        top = m.v0 + m.long_variance + TAIL * np.sqrt(spread)
        # and of its integral: where that is large, the log price goes far (Dufresne, 2001). Of a
        # variance that hardly returns, that of one which returns a little: the terms would cancel.
        kappa = np.maximum(m.kappa, 0.02 / t)
        left = np.exp(-kappa * t)
        of_today = (1.0 - left * left) / kappa - 2.0 * t * left
        of_level = t * (1.0 + 2.0 * left) + (left * left + 4.0 * left - 5.0) / (2.0 * kappa)
        moved = np.maximum(m.v0 * of_today + m.long_variance * of_level, 0.0)
        integral = m.vol_of_vol / kappa * np.sqrt(moved)
        (today, low, high), wide = super().extent(m, t)[0], FAR * integral
        mean = np.maximum(cls.mean_variance(m, t, np, None), 1e-12)
        longer = 0.5 * (high - low) * (np.sqrt(1.0 + wide / mean) - 1.0)
        return ((today, low - longer, high + longer), (m.v0, 0.0 * top, top))

    @staticmethod
    def characteristic(m: Any, z: Any, t: Any, xp: Any, special: Any) -> Any:
        # Albrecher, Mayer, Schoutens and Tistaert (2007), formulation 2. The factors that vanish
        # with vol_of_vol are cancelled by hand.
        square = m.vol_of_vol * m.vol_of_vol
        a = m.kappa - 1j * m.correlation * m.vol_of_vol * z
        d = xp.sqrt(a * a + square * (z * z + 1j * z))
        over = 1.0 / (a + d)
        q = -(z * z + 1j * z) * over
        g = square * q * over
        left = xp.exp(-d * t)
        gone = 1.0 - left
        level = q * gone / (1.0 - g * left)
        return xp.exp(
            m.kappa * m.long_variance * (q * t - 2.0 / square * xp.log1p(g * gone / (1.0 - g)))
            + m.v0 * level
        )

    @staticmethod
    def affine(m: Any, u: Any, t: Any, slope: Any, xp: Any, special: Any) -> tuple[Any, Any]:
        # the Riccati equation of `characteristic`, from this slope instead of 0
        square = m.vol_of_vol * m.vol_of_vol
        a = m.kappa - 1j * m.correlation * m.vol_of_vol * u
        d = xp.sqrt(a * a + square * (u * u + 1j * u))
        over, decay = a + d, xp.exp(-d * t)
        q = -(u * u + 1j * u) / over
        share = (q - slope) / (over - square * slope)
        g = square * share
        grown = q * t - 2.0 / square * xp.log1p(g * (1.0 - decay) / (1.0 - g))
        factor = xp.exp(m.kappa * m.long_variance * grown)
        return factor, (q - over * share * decay) / (1.0 - g * decay)

    @staticmethod
    def mean_variance(m: Any, t: Any, xp: Any, special: Any) -> Any:
        return m.long_variance * t + (m.v0 - m.long_variance) * -xp.expm1(-m.kappa * t) / m.kappa

    @staticmethod
    def explosion(m: Any, order: np.ndarray) -> np.ndarray:
        # how long the Riccati equation y' = a y^2 + b y + c takes from 0 to infinity (Andersen and
        # Piterbarg, 2007, proposition 3.1)
        a, b = 0.5 * m.vol_of_vol**2, m.correlation * m.vol_of_vol * order - m.kappa
        c = 0.5 * order * (order - 1.0)
        square = b * b - 4.0 * a * c
        root = np.sqrt(np.abs(square))
        with np.errstate(divide="ignore", invalid="ignore"):
            turning = 2.0 / root * (0.5 * np.pi - np.arctan(b / root))
            growing = np.where(b > 0.0, np.log((b + root) / (b - root)) / root, np.inf)
        return np.where((c > 0.0) & (a > 0.0), np.where(square < 0.0, turning, growing), np.inf)

    @staticmethod
    def restless(m: Any) -> np.ndarray | None:
        # The variance forgets little of a move while it is near zero: the deviation of a derivative
        # grows with every step there. Beside bumps it is as large at 4 kappa theta / sigma^2 = 1,
        # 1.2 times at 1/2, twice at 1/4 and nine times at 1/50, with 50 steps.
        return 8.0 * m.kappa * m.long_variance < m.vol_of_vol * m.vol_of_vol

    @staticmethod
    def warn(m: Any) -> np.ndarray | None:
        broken = 2.0 * m.kappa * m.long_variance < m.vol_of_vol * m.vol_of_vol
        if not np.any(broken):
            return None
        return np.where(broken, "Feller condition violated: the variance reaches zero", "")

    @staticmethod
    def calibrate_rolling(
        returns: np.ndarray, window: int, periods: float
    ) -> dict[str, np.ndarray]:
        # Moments of the realised variance over a month: its level, its pull back to the mean, the
        # size of its moves and their correlation with the returns of the same month. A starting
        # point for a feature, not a calibration.
        month = max(window // 12, 5)
        square = returns * returns * periods
        recent, long = rolling_mean(square, month), rolling_mean(square, window)
        before = _lagged(recent, month)
        gap_before, gap = before - long, recent - long
        persistence = rolling_mean(gap * gap_before, window) / rolling_mean(
            gap_before * gap_before, window
        )
        kappa = -np.log(np.clip(persistence, 0.05, 0.95)) * periods / month
        moves = recent - before
        # subtract the sampling noise of the two realised variances, 2 v^2 / month each
        scale = (
            rolling_mean(moves * moves, window)
            - 4.0 * rolling_mean(recent * before, window) / month
        )
        level = np.maximum(long, 1e-6)
        vol_of_vol = np.sqrt(np.clip(scale, 0.0, None) * periods / month / level)
        monthly = rolling_mean(returns, month) * month
        together = rolling_mean(monthly * moves, window) / np.sqrt(
            rolling_mean(monthly * monthly, window) * rolling_mean(moves * moves, window)
        )
        return {
            "v0": recent,
            "long_variance": level,
            "kappa": kappa,
            "vol_of_vol": np.clip(vol_of_vol, 0.05, 2.0 * np.sqrt(2.0 * kappa * level)),
            "correlation": np.clip(together, -0.95, 0.95),
        }


def scheme(kappa: Any, theta: Any, sigma: Any, rho: Any, drift: Any, dt: Any) -> Any:
    """The twelve constants of a step of the scheme, of length `dt` and with this drift of the
    log price.
    """
    decay = math.exp(-kappa * dt)
    gone = 1.0 - decay
    variance_v = sigma * sigma * decay * gone / kappa
    variance_0 = theta * sigma * sigma * gone * gone / (2.0 * kappa)
    # log S moves by drift + k1 v + k2 v' + sqrt(k3 (v + v')) z: Andersen (2008), eq. 33 with gamma1
    # = gamma2 = 1/2
    half = 0.5 * dt * (kappa * rho / sigma - 0.5)
    k1, k2, k3 = half - rho / sigma, half + rho / sigma, 0.5 * dt * (1.0 - rho * rho)
    return (
        decay,
        theta * gone,
        variance_v,
        variance_0,
        drift,
        k1 + 0.5 * k3,
        k2 + 0.5 * k3,
        k1,
        k2,
        k3,
        dt,
        rho * sigma * dt,
    )


def diffuse(c: Any, x: Any, z: Any) -> Any:
    """Log price and variance one step later, from two normals."""
    decay, pull, variance_v, variance_0, drift, shift, tilt, k1, k2, k3, _dt, _skew = c
    v = x[1]
    mean = max(decay * v + pull, 1e-15)
    inverse_mean = 1.0 / mean
    psi = max((variance_v * v + variance_0) * inverse_mean * inverse_mean, 1e-10)
    smooth = psi <= 1.5
    # Both branches are evaluated and one is selected; where each divides once, they share the
    # division. psi <= 1.5: v' = a (b + z)^2.   psi > 1.5: v' = 0 with probability `atom`, else
    # exponential with rate beta. The same normal drives both, so that v' rises with it.
    shared = 2.0 / (psi if smooth else psi + 1.0)
    excess = max(shared - 1.0, 0.0)
    b2 = excess + math.sqrt(shared * excess)
    atom = 1.0 - shared
    beta = shared * inverse_mean
    quotient = (mean if smooth else shared) / (
        1.0 + b2 if smooth else 0.5 * math.erfc(ROOT_HALF * z[1])
    )
    root = math.sqrt(b2) + z[1]
    after = quotient * root * root if smooth else math.log(max(quotient, 1.0)) / beta
    # martingale correction, minus log E[exp(tilt v')]: propositions 7 and 9
    room = 1.0 - 2.0 * tilt * quotient if smooth else beta - tilt
    fraction = (tilt * b2 * quotient if smooth else beta * shared) / max(room, 1e-12)
    moment = max(room if smooth else atom + fraction, 1e-12)
    logarithm = math.log(moment)
    correction = 0.5 * logarithm - fraction if smooth else -logarithm
    correction = (
        correction if room > 0.0 else -tilt * mean
    )  # no moment exists: the uncorrected scheme's mean
    return (
        x[0]
        + (
            drift
            + correction
            - shift * v
            + k1 * v
            + k2 * after
            + math.sqrt(k3 * (v + after)) * z[0]
        ),
        after,
    )


def _lagged(values: np.ndarray, bars: int) -> np.ndarray:
    out = np.full(values.shape, np.nan)
    out[bars:] = values[:-bars]
    return out
