"""Cox, Ingersoll and Ross: a short rate that stays positive; its assets are zero-coupon bonds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

from gpuquant.data.domains import Column, at_least, derived, list_of, positive, years
from gpuquant.models.short_rate import ShortRate

ROOT_HALF = 0.7071067811865476  # 2 Phi(-z) = erfc(z sqrt(1/2))


@dataclass(frozen=True)
class CIR(ShortRate):
    """dr = kappa (long_rate - r) dt + rate_volatility sqrt(r) dW: its values by the
    quadratic-exponential scheme, its integral by trapezoids.

    The assets are the zero-coupon bonds that pay 1 at each of `bond_maturities`: an option on a
    bond is a European under this model, a swaption an option on several of them.

    Parameters
    ----------
    short_rate : Column, shape (n,)
        r today, continuously compounded, per year; > 0.
    kappa : Column, shape (n,)
        Speed of mean reversion, per year; > 0.
    long_rate : Column, shape (n,)
        r in the long run, per year; > 0.
    rate_volatility : Column, shape (n,)
        Of r, per square root of r and of a year; >= 0.001: below it the formulas cancel.
    bond_maturities : Column of lists, shape (n, bonds)
        Years from today; not before the maturity of what is priced.

    Notes
    -----
    Under the measure of the bond that ends at maturity the rate has a noncentral chi-square law. So
    options on one bond are priced by Fourier.

    References
    ----------
    Cox, Ingersoll and Ross (1985); Brigo and Mercurio (2006), section 3.2.3; Andersen (2008),
    section 3.2.
    """

    short_rate: Column = positive(sample=0.03)
    kappa: Column = positive(sample=0.3)
    long_rate: Column = positive(sample=0.04)
    rate_volatility: Column = at_least(1e-3, sample=0.1)
    bond_maturities: Column = list_of(years(sample=2.0), increasing=True)
    first_end: Column = derived(sample=2.0, is_time=True)

    normals = 1
    steps_per_year = 50
    weak_order = 2.0
    rate_column = "short_rate"
    vega_column = "rate_volatility"
    sample_lengths = {"bond_maturities": 1}  # noqa: RUF012
    differentiable = "always"

    @staticmethod
    def begin(m, i, dt):
        decay = math.exp(-m.kappa[i] * dt)
        gone = 1.0 - decay
        square = m.rate_volatility[i] * m.rate_volatility[i]
        moves = (
            decay,
            m.long_rate[i] * gone,
            square * decay * gone / m.kappa[i],
            0.5 * m.long_rate[i] * square * gone * gone / m.kappa[i],
            dt,
        )
        h = math.sqrt(m.kappa[i] * m.kappa[i] + 2.0 * square)
        law = (h, m.kappa[i], 2.0 * m.kappa[i] * m.long_rate[i] / square)
        ends = tuple(m.bond_maturities[i][j] for j in range(len(m.bond_maturities[i])))
        bonds = tuple(
            affine(m.short_rate[i], law[0], law[1], law[2], m.bond_maturities[i][j])
            for j in range(len(m.bond_maturities[i]))
        )
        now = (m.short_rate[i], 0.0, 0.0)
        return moves + law + ends, now + bonds

    @staticmethod
    def step(c, x, z, u, k):
        mean = max(c[0] * x[0] + c[1], 1e-15)
        psi = max((c[2] * x[0] + c[3]) / (mean * mean), 1e-10)
        smooth = psi <= 1.5
        shared = 2.0 / (psi if smooth else psi + 1.0)
        excess = max(shared - 1.0, 0.0)
        b2 = excess + math.sqrt(shared * excess)
        root = math.sqrt(b2) + z[0]
        beta = shared / mean
        rate = (
            mean / (1.0 + b2) * root * root
            if smooth
            else math.log(max(2.0 * shared / math.erfc(ROOT_HALF * z[0]), 1.0)) / beta
        )
        now = x[2] + c[4]
        earned = x[1] + 0.5 * c[4] * (x[0] + rate)
        state = (rate, earned, now)
        return state + tuple(
            affine(rate, c[5], c[6], c[7], c[8 + j] - now) for j in range(len(x) - 3)
        )

    @staticmethod
    def discount(m, i, t):
        square = m.rate_volatility[i] * m.rate_volatility[i]
        h = math.sqrt(m.kappa[i] * m.kappa[i] + 2.0 * square)
        return math.exp(
            affine(m.short_rate[i], h, m.kappa[i], 2.0 * m.kappa[i] * m.long_rate[i] / square, t)
        )

    @staticmethod
    def discount_factor(m: Any, t: Any, xp: Any) -> Any:
        return xp.exp(CIR.log_bond(m, t, xp))

    @staticmethod
    def log_bond(m: Any, t: Any, xp: Any) -> Any:
        """The log price today of a zero-coupon bond that ends at `t`."""
        level, b = CIR.price(m, t, xp)
        return level - b * m.short_rate

    @staticmethod
    def price(m: Any, t: Any, xp: Any) -> tuple[Any, Any]:
        """log A and B of bonds that have `t` to go: Brigo and Mercurio (2006), equation 3.25."""
        square = m.rate_volatility * m.rate_volatility
        h = xp.sqrt(m.kappa * m.kappa + 2.0 * square)
        gone = 1.0 - xp.exp(-h * t)
        below = h + m.kappa + (h - m.kappa) * (1.0 - gone)  # over exp(h t)
        power = 2.0 * m.kappa * m.long_rate / square
        return power * (xp.log(2.0 * h / below) + 0.5 * (m.kappa - h) * t), 2.0 * gone / below

    @classmethod
    def forward(cls, m: Any, t: Any, xp: Any) -> Any:
        return xp.exp(CIR.log_bond(m, m.first_end, xp) - CIR.log_bond(m, t, xp))

    @staticmethod
    def characteristic(m: Any, z: Any, t: Any, xp: Any, special: Any) -> Any:
        # r_t = chi-square(freedom, centre) / scale under the bond's measure: Brigo and Mercurio
        # (2006), equation 3.28
        level, b = CIR.price(m, m.first_end - t, xp)
        scale, freedom, centre = CIR.law(m, t, xp)
        bent = 1.0 + 2.0 * 1j * z * b / scale
        forward = CIR.log_bond(m, m.first_end, xp) - CIR.log_bond(m, t, xp)
        return xp.exp(
            1j * z * (level - forward)
            - 0.5 * freedom * xp.log(bent)
            - centre * 1j * z * b / scale / bent
        )

    @staticmethod
    def law(m: Any, t: Any, xp: Any) -> tuple[Any, Any, Any]:
        """Scale, degrees of freedom and noncentrality of the rate at `t`."""
        square = m.rate_volatility * m.rate_volatility
        h = xp.sqrt(m.kappa * m.kappa + 2.0 * square)
        gone = 1.0 - xp.exp(-h * t)
        rho = 2.0 * h * (1.0 - gone) / (square * gone)
        scale = 2.0 * (rho + (m.kappa + h) / square)
        return (
            scale,
            4.0 * m.kappa * m.long_rate / square,
            4.0 * rho * rho / (1.0 - gone) * m.short_rate / scale,
        )

    @staticmethod
    def bond_variance(m: Any, t: Any, xp: Any) -> Any:
        """The variance of the log price of the first bond at `t`."""
        scale, freedom, centre = CIR.law(m, t, xp)
        b = CIR.price(m, m.first_end - t, xp)[1]
        return b * b * 2.0 * (freedom + 2.0 * centre) / (scale * scale)

    @classmethod
    def control_variance(cls, m: Any, t: Any, xp: Any, special: Any) -> Any:
        return CIR.bond_variance(m, t, xp)

    def with_derived_columns(self) -> Self:
        return type(self).from_columns(
            {**self.columns(), "first_end": self.bond_maturities[:, 0].copy()}
        )


def affine(rate: Any, h: Any, kappa: Any, power: Any, time: Any) -> Any:
    """The log price of a zero-coupon bond `time` before its end; 0 after it."""
    left = max(time, 0.0)
    kept = math.exp(-h * left)
    below = h + kappa + (h - kappa) * kept
    return (
        power * (math.log(2.0 * h / below) + 0.5 * (kappa - h) * left)
        - 2.0 * (1.0 - kept) / below * rate
    )
