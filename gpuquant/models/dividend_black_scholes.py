"""Black-Scholes with cash dividends at known dates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.columns import counted
from gpuquant.data.domains import Column, choice, list_of, nonnegative, positive, real, years
from gpuquant.models.base import Model
from gpuquant.models.laws import Lognormal


@dataclass(frozen=True)
class DividendBlackScholes(Model):
    """A price that falls by a cash dividend at each date.

    - escrowed: the price less the present value of the dividends up to the last date is lognormal
      with `volatility`;
    - spot: the price itself is lognormal with `volatility` between dividends.

    Parameters
    ----------
    spot : Column, shape (n,)
        Price today, in currency units; > 0.
    rate : Column, shape (n,)
        Continuously compounded, per year.
    dividend_yield : Column, shape (n,)
        Besides the cash, continuously compounded, per year.
    volatility : Column, shape (n,)
        Per square root of a year; >= 0.
    dividend_times : Column of lists, shape (n, dividends)
        Years from today; > 0.
    dividends : Column of lists, shape (n, dividends)
        In currency units; >= 0.
    dividend_model : Column, shape (n,)
        escrowed or spot.

    Notes
    -----
    The escrow holds every dividend of the list. Leave out the dividends after the maturity of an
    option. A dividend never takes the spot below a millionth of its value.

    References
    ----------
    Frishling (2002), A discrete question; Haug, Haug and Lewis (2003), Back to basics.
    """

    spot: Column = positive(sample=100.0)
    rate: Column = real()
    dividend_yield: Column = real(default=0.0)
    volatility: Column = nonnegative()
    dividend_times: Column = list_of(years(sample=0.5))
    dividends: Column = list_of(nonnegative(sample=1.0))
    dividend_model: Column = choice(
        "escrowed", "spot", default="escrowed", compile_time_constant=True
    )

    normals = 1
    times = ("dividend_times",)
    differentiable = "always"

    @staticmethod
    def begin(m, i, dt, t):
        vol = m.volatility[i]
        drift = (m.rate[i] - m.dividend_yield[i] - 0.5 * vol * vol) * dt
        escrow = sum(
            m.dividends[i][j] * math.exp(-m.rate[i] * m.dividend_times[i][j])
            for j in range(len(m.dividends[i]))
        )
        held = escrow if m.dividend_model[i] == 0.0 else 0.0
        # The dividend paid at `t`, where this span begins: the state at the start of the span is
        # the state before this payment.
        paid = sum(
            (
                m.dividends[i][j]
                if math.fabs(m.dividend_times[i][j] - t) < 1e-6 * m.dividend_times[i][j]
                else 0.0
            )
            for j in range(len(m.dividends[i]))
        )
        return (drift, vol * math.sqrt(dt), math.exp(m.rate[i] * dt), paid, t), (
            math.log(m.spot[i] - held),
            held,
            -1.0,
        )

    @staticmethod
    def step(c, x, z, u, k):
        # the state ends with the time of the last dividend paid, so that each is paid once
        drift, vol, growth, paid, t = c
        due = paid if t > x[2] else 0.0
        held = max(x[1] - due, 0.0) * growth
        free = x[0] if x[1] > 0.0 else math.log(max(math.exp(x[0]) - due, 1e-6 * math.exp(x[0])))
        return (free + (drift + vol * z[0]), held, max(t, x[2]))

    @staticmethod
    def log_spots(x):
        return (math.log(math.exp(x[0]) + x[1]),)

    @staticmethod
    def discount(m, i, t):
        return math.exp(-m.rate[i] * t)

    @staticmethod
    def lognormal(m: Any, t: Any, xp: Any) -> Lognormal | None:
        """Of the escrowed model at `t` alone, when all dividends are paid."""
        late = m.dividend_times <= xp.atleast_1d(t)[:, None] * (1.0 + 1e-12)
        held = (m.dividends * xp.exp(-m.rate[:, None] * m.dividend_times)).sum(axis=1)
        free = xp.where((m.dividend_model == 0.0) & late.all(axis=1), m.spot - held, xp.nan)
        forward = free * xp.exp((m.rate - m.dividend_yield) * t)
        return Lognormal.ending(
            free, t, forward, m.volatility * m.volatility * t, xp.exp(-m.rate * t), xp
        )

    @staticmethod
    def refuse(m: Any) -> np.ndarray | None:
        both = min(
            m.dividends.shape[1], m.dividend_times.shape[1]
        )  # where lengths differ the row is refused for that
        held = np.nansum(
            m.dividends[:, :both] * np.exp(-m.rate[:, None] * m.dividend_times[:, :both]), axis=1
        )
        out = np.where(
            counted(m.dividends) == counted(m.dividend_times),
            "",
            "dividends and dividend_times have different lengths",
        )
        return np.where(
            (out == "") & (held >= m.spot), "the dividends are worth more than the spot", out
        )
