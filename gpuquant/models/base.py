"""The base of models: columns, and plain functions that move a small state through time.

A model does not depend on payoffs. Closed forms and bridges combine models and payoffs in
`pricing/`, from the facts declared here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuquant.data.columns import Member
from gpuquant.models.laws import Lognormal, Lognormals

DEVIATIONS = 8.0  # of a log price: what lies beyond is worth less than rounding
LEAST_VARIANCE = 1e-8


@dataclass(frozen=True)
class Model(Member):
    """The base of every model: a frozen dataclass of columns with the functions below.

    `m` is the model, `i` the row; `m.volatility[i]` reads a column. All are static, plain Python
    with `math`:

    - `begin(m, i, dt, t) -> (constants, state)`: the constants of steps of length dt from time t on
      (t may be left out), and today's state;
    - `step(c, x, z, u, k) -> state`, once per step, with `normals` normals z and `uniforms`
      uniforms u;
    - `log_spots(x) -> tuple`, the log price of each asset;
    - `discount(m, i, t)`, the value today of 1 at t;
    - `deflator(x)`, where rates are random: today's value of 1 paid at the state's time on its
      path, in place of `discount`;
    - `bridge(c, x0, x1) -> (start, end, skew)`, where the log price is continuous between two
      steps: the variance of a step of the log price at the variance rate of the start and of the
      end, and the change of that variance per unit of log price; of several assets each three.
      A model that jumps has none;
    - `diffusion(m, i, t, x) -> (drift, variance)`, where the log price x[0] is a diffusion: its
      drift and its variance per year at time t. With a second factor x[1], which must move by
      itself, also the factor's drift and variance, and their covariance. `extent` then says where
      they may go.

    Class attributes:

    - `normals`, `uniforms`, `assets`: a number, or the name of the list column of that length;
    - `steps_per_year`: the default time grid (0: steps are exact on any grid);
    - `weak_order` of the scheme (infinite: exact), by which its bias is extrapolated;
    - `vega_column`, `rate_column` and `dividend_column`: the columns that vega and the two rhos
      shift (a list as a whole);
    - `vega_is_variance`: whether `vega_column` is a squared volatility;
    - `times`: columns of dates at which a step must end;
    - `variance_columns`: all columns of variances, today's first. Vega and a scenario of volatility
      move the root of the first variance, and all variances in proportion;
    - `by_asset`: list columns with a number for each asset, and the market's name of that number;
    - `step_in_double`: whether a step needs elementary functions in the state's precision;
    - `differentiable`: "always" where a step is a continuous function of the state and of the
      columns; else, with "never", Greeks are taken by bumps. A subclass with functions of its own
      says it anew;
    - `discrete`: columns that move, as time does, a discrete choice on a path: how many jumps there
      are, or whether a draw is accepted. A derivative of the path does not see it, a bump does;
    - `factors`: how many numbers the state of `diffusion` has, one or two, and `time_dependent`,
      whether it changes with time;
    - `stationary_increments`: log prices move independently, by one law for equal times;
    - `affine_state`: the column that `affine` is about;
    - `sample_lengths`: lengths of lists that fit together.
    """

    abstract: ClassVar[bool] = True
    normals: ClassVar[int | str] = 1
    uniforms: ClassVar[int | str] = 0
    assets: ClassVar[int | str] = 1
    steps_per_year: ClassVar[int] = 0
    weak_order: ClassVar[float] = float("inf")
    vega_column: ClassVar[str] = "volatility"
    rate_column: ClassVar[str] = "rate"
    dividend_column: ClassVar[str] = "dividend_yield"
    vega_is_variance: ClassVar[bool] = False
    variance_columns: ClassVar[tuple[str, ...]] = ()
    by_asset: ClassVar[dict[str, str]] = {}
    step_in_double: ClassVar[bool] = False
    times: ClassVar[tuple[str, ...]] = ()
    sample_lengths: ClassVar[dict[str, int]] = {}
    differentiable: ClassVar[str] = "never"
    discrete: ClassVar[tuple[str, ...]] = ()
    stationary_increments: ClassVar[bool] = False
    affine_state: ClassVar[str] = ""
    time_dependent: ClassVar[bool] = False
    factors: ClassVar[int] = 1

    @classmethod
    def simulated(cls) -> bool:
        """Whether the model knows how to step."""
        return cls.step is not Model.step

    @property
    def volatile(self) -> np.ndarray:
        """Whether each row's price moves at all."""
        return np.asarray(getattr(self, self.vega_column) > 0.0)

    @staticmethod
    def begin(m: Any, i: int, dt: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Constants and first state of row `i`."""
        raise NotImplementedError

    @staticmethod
    def step(
        c: tuple[float, ...],
        x: tuple[float, ...],
        z: tuple[float, ...],
        u: tuple[float, ...],
        k: float,
    ) -> tuple[float, ...]:
        """The state one step later."""
        raise NotImplementedError

    @staticmethod
    def bridge(c: Any, x0: tuple[float, ...], x1: tuple[float, ...]) -> tuple[float, ...]:
        """How the log price moves between two steps that end in these states."""
        raise NotImplementedError

    @staticmethod
    def diffusion(m: Any, i: int, t: float, x: tuple[float, ...]) -> tuple[float, ...]:
        """Drifts and variances per year of the log price, and of a second factor."""
        raise NotImplementedError

    @classmethod
    def extent(cls, m: Any, t: Any) -> tuple[tuple[Any, Any, Any], ...]:
        """Today's value of the log price, and of a second factor, and the least and the largest
        that matter up to `t`, each of shape (n,). By default eight deviations of the log price.
        """
        variance: Any = cls.mean_variance(m, t, np, None)
        width = DEVIATIONS * np.sqrt(np.maximum(variance, LEAST_VARIANCE))
        today = np.log(m.spot)
        middle = today + 0.5 * np.log(cls.growth(m, t, np))
        return ((today, middle - width, middle + width),)

    @classmethod
    def continuous(cls) -> bool:
        """Whether the model says how the price moves between two steps."""
        return cls.bridge is not Model.bridge

    @staticmethod
    def log_spots(x: tuple[float, ...]) -> tuple[float, ...]:
        """Log prices of the assets."""
        raise NotImplementedError

    @staticmethod
    def discount(m: Any, i: int, t: float) -> float:
        """Value today of 1 paid at `t` years."""
        raise NotImplementedError

    @staticmethod
    def lognormal(m: Any, t: Any, xp: Any) -> Lognormal | Lognormals | None:
        """The lognormal facts at `t`, or None when the terminal price is not lognormal."""
        return None

    @staticmethod
    def growth(m: Any, t: Any, xp: Any) -> Any:
        """Forward over spot at `t`, shape (n,)."""
        return xp.exp((m.rate - m.dividend_yield) * t)

    @classmethod
    def forward(cls, m: Any, t: Any, xp: Any) -> Any:
        """E[S_t] under the measure that values what is paid at `t`, shape (n,)."""
        return m.spot * cls.growth(m, t, xp)

    @staticmethod
    def characteristic(m: Any, z: Any, t: Any, xp: Any, special: Any) -> Any | None:
        """E[exp(i z log(S_t / F_t))] for complex z; None where it is not known."""
        return None

    @staticmethod
    def affine(m: Any, u: Any, t: Any, slope: Any, xp: Any, special: Any) -> tuple[Any, Any] | None:
        """The factor A and the slope B with E[exp(i u X + slope y_t)] = A exp(B y_0), where X is
        the move of log(S / F) over `t` years and y the column `affine_state` as it moves; for
        complex u and slope. None where the model is not affine in one column (Duffie, Pan and
        Singleton, 2000).
        """
        return None

    @classmethod
    def characteristic_of_sum(
        cls, m: Any, z: Any, spans: Any, lefts: Any, xp: Any, special: Any
    ) -> Any | None:
        """E[exp(i z sum_k weight_k log(S_k / F_k))] over dates, for complex z; None where it is not
        known. From the last date to the first, along the last axis, `spans` are the years from the
        date before, and `lefts` the weights from this date on.
        """
        known = cls.affine is not Model.affine
        if not known and not cls.stationary_increments:
            return None
        result: Any = 1.0
        slope: Any = 0.0 * z
        for k in range(spans.shape[-1]):
            u, t = z * lefts[..., k], spans[..., k]
            if known:
                found = cls.affine(m, u, t, slope, xp, special)
                assert found is not None
                factor, slope = found
            else:
                factor = cls.characteristic(m, u, t, xp, special)
            result = result * factor
        return result * xp.exp(slope * getattr(m, cls.affine_state)) if known else result

    @staticmethod
    def discount_factor(m: Any, t: Any, xp: Any) -> Any:
        """Value today of 1 paid at `t`, shape (n,)."""
        return xp.exp(-m.rate * t)

    @staticmethod
    def mean_variance(m: Any, t: Any, xp: Any, special: Any) -> Any | None:
        """Mean quadratic variation of the log price over `t` years, shape (n,); None if unknown."""
        return None

    @staticmethod
    def explosion(m: Any, order: np.ndarray) -> np.ndarray | None:
        """The time in years from which on E[S^order] is infinite, shape (n,); infinity where
        E[S^order] is always finite. None where the model does not know the time.
        """
        return None

    @staticmethod
    def analyticity_angle(m: Any, xp: Any) -> Any:
        """The sine of an angle to the real line, shape (n,) or a number. Within this angle the
        characteristic function decays as on the real line.
        """
        return 0.2

    @classmethod
    def control_variance(cls, m: Any, t: Any, xp: Any, special: Any) -> Any:
        """The variance of the lognormal control variate for the price at `t`, shape (n,). The
        Fourier engine integrates the difference from that lognormal.
        """
        return cls.mean_variance(m, t, xp, special)

    @staticmethod
    def restless(m: Any) -> np.ndarray | None:
        """Per row, whether a derivative of its paths along the variance has a larger deviation than
        a bump, where paths are `differentiable`; None where it never has.
        """
        return None

    @staticmethod
    def warn(m: Any) -> np.ndarray | None:
        """Per row, a sentence about what is right but surprising, or None."""
        return None

    @staticmethod
    def refuse(m: Any) -> np.ndarray | None:
        """Per row, a sentence about columns that do not go together, or None."""
        return None

    @staticmethod
    def least_steps(m: Any, t: Any) -> Any:
        """The fewest steps over `t` years, shape (n,), for which the step is accurate; 0 where
        every grid is fine enough.
        """
        return 0

    @staticmethod
    def calibrate_rolling(
        returns: np.ndarray, window: int, periods: float
    ) -> dict[str, np.ndarray] | None:
        """Parameters, each of shape (bars, assets), fitted at every bar to the log returns of the
        `window` bars up to it.

        None when the model does not say how; rows without a full window are NaN.
        """
        return None
