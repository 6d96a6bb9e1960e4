"""Local volatility: a function of price and time, tabulated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from gpuquant.data.columns import counted
from gpuquant.data.domains import Column, list_of, nonnegative, positive, real, years
from gpuquant.models.base import DEVIATIONS, Model

LEVELS = (-0.6, -0.45, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.45, 0.6)


@dataclass(frozen=True)
class LocalVolatility(Model):
    """dS = (rate - dividend_yield) S dt + sigma(log(S / F_t), t) S dW, with F_t the forward.

    sigma is constant in time up to each of `surface_times` (the last holds for ever) and linear in
    log(S / F_t) between `surface_levels`, flat beyond them. Milstein's steps of the log price end
    at those times. The discounted spot is a martingale up to the third order of a step.

    Parameters
    ----------
    spot : Column, shape (n,)
        Price today, in currency units; > 0.
    rate : Column, shape (n,)
        Continuously compounded, per year.
    dividend_yield : Column, shape (n,)
        Continuously compounded, per year.
    surface_times : Column of lists, shape (n, times)
        Years from today; > 0, increasing.
    surface_levels : Column of lists, shape (n, levels)
        log(S / F_t); increasing, two at least.
    surface_volatilities : Column of lists, shape (n, times x levels)
        Per square root of a year; >= 0. Time by time, level by level.

    Notes
    -----
    `from_implied` tabulates Dupire's formula. Tables of up to some ten times and ten levels stay in
    registers and caches.

    References
    ----------
    Dupire (1994); Gatheral (2006), The Volatility Surface, equation 1.10; Glasserman (2003),
    section 6.1, for the steps.
    """

    spot: Column = positive(sample=100.0)
    rate: Column = real()
    dividend_yield: Column = real(default=0.0)
    surface_times: Column = list_of(years(sample=0.5), increasing=True)
    surface_levels: Column = list_of(real(sample=0.1), increasing=True)
    surface_volatilities: Column = list_of(nonnegative())

    normals = 1
    steps_per_year = 50
    weak_order = 1.0
    time_dependent = True
    times = ("surface_times",)
    vega_column = "surface_volatilities"
    sample_lengths = {"surface_volatilities": 4}  # noqa: RUF012
    differentiable = "always"

    @staticmethod
    def begin(m, i, dt, t):
        middle = t + 0.5 * dt
        # the table at this time, 1.0 for the period that the step lies in
        within = tuple(
            1.0
            if (j == 0 or middle >= m.surface_times[i][j - 1])
            and (j == len(m.surface_times[i]) - 1 or middle < m.surface_times[i][j])
            else 0.0
            for j in range(len(m.surface_times[i]))
        )
        vols = tuple(
            sum(
                within[j] * m.surface_volatilities[i][j * len(m.surface_levels[i]) + q]
                for j in range(len(m.surface_times[i]))
            )
            for q in range(len(m.surface_levels[i]))
        )
        lows = tuple(m.surface_levels[i][q] for q in range(len(m.surface_levels[i]) - 1))
        widths = tuple(
            max(m.surface_levels[i][q + 1] - m.surface_levels[i][q], 1e-12)
            for q in range(len(m.surface_levels[i]) - 1)
        )
        slopes = tuple(
            (vols[q + 1] - vols[q]) / widths[q] for q in range(len(m.surface_levels[i]) - 1)
        )
        carry = (m.rate[i] - m.dividend_yield[i]) * dt
        moves = (carry, dt, math.sqrt(dt), vols[0])
        return moves + lows + widths + slopes, (0.0, math.log(m.spot[i]))

    @staticmethod
    def step(c, x, z, u, k):
        # Milstein's step: the volatility moves with the price within the step, too. What this adds
        # to the mean of the price is taken off, up to the third order in dt.
        vol = volatility_at(c, x[0])
        spread = vol * c[2]
        bend = 0.5 * vol * slope_at(c, x[0]) * c[1]
        square = spread * spread
        drift = -0.5 * square - bend * (bend + square)
        return (x[0] + (spread * z[0] + bend * (z[0] * z[0] - 1.0) + drift), x[1] + c[0])

    @staticmethod
    def log_spots(x):
        return (x[0] + x[1],)

    @staticmethod
    def discount(m, i, t):
        return math.exp(-m.rate[i] * t)

    @staticmethod
    def bridge(c, x0, x1):
        vol, end = volatility_at(c, x0[0]), volatility_at(c, x1[0])
        return (vol * vol * c[1], end * end * c[1], 2.0 * vol * slope_at(c, x0[0]) * c[1])

    @staticmethod
    def diffusion(m, i, t, x):
        carry = m.rate[i] - m.dividend_yield[i]
        level = x[0] - math.log(m.spot[i]) - carry * t
        last, vol = len(m.surface_times[i]) - 1, 0.0
        for j in range(len(m.surface_times[i])):
            now = (j == 0 or t >= m.surface_times[i][j - 1]) and (
                j == last or t < m.surface_times[i][j]
            )
            at = m.surface_volatilities[i][j * len(m.surface_levels[i])]
            for q in range(len(m.surface_levels[i]) - 1):
                low = m.surface_levels[i][q]
                width = max(m.surface_levels[i][q + 1] - low, 1e-12)
                rise = (
                    m.surface_volatilities[i][j * len(m.surface_levels[i]) + q + 1]
                    - m.surface_volatilities[i][j * len(m.surface_levels[i]) + q]
                )
                at += rise / width * min(max(level - low, 0.0), width)
            vol = at if now else vol
        return (carry - 0.5 * vol * vol, vol * vol)

    @classmethod
    def extent(cls, m: Any, t: Any) -> tuple[tuple[Any, Any, Any], ...]:
        today, middle = np.log(m.spot), np.log(m.spot) + 0.5 * (m.rate - m.dividend_yield) * t
        width = DEVIATIONS * np.nanmax(m.surface_volatilities, axis=1) * np.sqrt(t)
        return ((today, middle - width, middle + width),)

    @property
    def volatile(self) -> np.ndarray:
        return np.asarray((self.surface_volatilities > 0.0).any(axis=1))

    @staticmethod
    def refuse(m: Any) -> np.ndarray | None:
        times, levels, table = (
            counted(m.surface_times),
            counted(m.surface_levels),
            counted(m.surface_volatilities),
        )
        out = np.full(max(len(times), len(levels), len(table)), "", dtype=object)
        out[np.broadcast_to(levels < 2, out.shape)] = (
            "surface_levels has 1 value: must have two at least"
        )
        for row in np.flatnonzero(
            np.broadcast_to(table != times * levels, out.shape) & (out == "")
        ):
            have, t, k = (
                int(np.broadcast_to(count, out.shape)[row]) for count in (table, times, levels)
            )
            out[row] = (
                f"surface_volatilities has {have} values: must have one for each of {t} "
                f"surface_times and {k} surface_levels"
            )
        return out

    @classmethod
    def from_implied(
        cls,
        implied: Any,
        *,
        spot: float,
        rate: float,
        dividend_yield: float = 0.0,
        times: Any,
        levels: Any = LEVELS,
    ) -> Self:
        """The local volatilities of a surface of implied ones.

        Parameters
        ----------
        implied : object
            An object with `at(strikes, maturities)`. The surface must be smooth enough for two
            derivatives; a table with linear interpolation is not.
        times : sequence
            The ends of the periods; the table holds the formula at their middles.
        levels : sequence
            Of log(S / F).

        Raises
        ------
        InputError
            The surface has arbitrage: the local volatility is negative there, and its column
            refuses negative values.
        """
        ends = np.asarray(times, dtype=float)
        middles, k = (
            0.5 * (ends + np.concatenate([[0.0], ends[:-1]])),
            np.asarray(levels, dtype=float),
        )

        def total(level: np.ndarray, time: np.ndarray) -> np.ndarray:
            forward = spot * np.exp((rate - dividend_yield) * time)
            return np.asarray(implied.at(forward * np.exp(level), time)) ** 2 * time

        t, x = (a.ravel() for a in np.meshgrid(middles, k, indexing="ij"))
        near, later = 0.5 * np.diff(k).min(), 0.25 * np.diff(ends, prepend=0.0).min()
        w, up, down = total(x, t), total(x + near, t), total(x - near, t)
        slope, bend = (up - down) / (2.0 * near), (up - 2.0 * w + down) / (near * near)
        density = (
            1.0
            - x / w * slope
            + 0.25 * (-0.25 - 1.0 / w + x * x / (w * w)) * slope * slope
            + 0.5 * bend
        )
        growth = (total(x, t + later) - total(x, t - later)) / (2.0 * later)
        free = (growth >= 0.0) & (density > 0.0)  # of arbitrage in time, and between strikes
        volatility = np.where(free, np.sqrt(np.abs(growth / density)), -1.0)
        return cls(
            spot=spot,
            rate=rate,
            dividend_yield=dividend_yield,
            surface_times=ends,
            surface_levels=k,
            surface_volatilities=volatility,
        )


# The constants of a step: carry, dt, its root, the volatility at the lowest level; then the lower
# ends of the intervals between levels, their widths, and the slopes of the volatility there.


def volatility_at(c: Any, level: Any) -> Any:
    """The volatility at a level of log(S / F): linear from level to level, a sum of ramps."""
    return c[3] + sum(
        c[4 + 2 * ((len(c) - 4) // 3) + q]
        * min(max(level - c[4 + q], 0.0), c[4 + (len(c) - 4) // 3 + q])
        for q in range((len(c) - 4) // 3)
    )


def slope_at(c: Any, level: Any) -> Any:
    """The slope of the volatility at a level."""
    return sum(
        c[4 + 2 * ((len(c) - 4) // 3) + q]
        if c[4 + q] < level and level < c[4 + q] + c[4 + (len(c) - 4) // 3 + q]
        else 0.0
        for q in range((len(c) - 4) // 3)
    )
