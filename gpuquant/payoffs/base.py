"""The base of payoffs: columns, and plain functions that observe log prices and return an amount.

A payoff does not depend on models. A closed formula is a function of forward, total variance and
discount.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuquant.data.columns import Member, domains
from gpuquant.data.domains import (
    Column,
    call_or_put,
    choice,
    integer,
    nonnegative_years,
    positive,
)
from gpuquant.payoffs import lognormal


@dataclass(frozen=True)
class Payoff(Member):
    """The base of every payoff: a frozen dataclass of columns with the functions below.

    Parameters
    ----------
    maturity : Column, shape (n,)
        Years from today; 0 is now.

    Notes
    -----

    - `start(p, i, log_spots, growth) -> acc`, the accumulator at time zero;
    - `observe(p, i, acc, log_spots, k, growth) -> acc`, at date number k = 0, 1, ...;
    - `observe_bridge(p, i, acc, log0, log1, bridge, k, growth, w) -> acc`, at every step where
      `continuous_monitoring` says so: the log prices at both ends, the model's `bridge` between
      them (which the functions of `monitoring` take), the number of dates before, and `uniforms`
      uniforms w of the payoff's own;
    - `finish(p, i, acc, log_spots) -> amount`, at maturity.

    The last arguments may be left out. `growth` is the value at maturity of 1 paid now; it serves
    payments before maturity.

    `assets` is the number of assets of the payoff; 0 means all assets of the model. A payoff whose
    amount depends on option prices at a later date has no `finish`, because a path does not hold
    such prices.

    `vanilla` says that the volatility at the strike is all that the payoff needs of a smile.

    `levels` names the columns of prices where the value has a kink today if they are watched
    between dates: a difference that spans such a level is no Greek.

    `kinks` names the columns of prices where what is paid has a kink or a jump, if it rests on the
    last price alone and, where the payoff is watched between dates, on which of its `levels` was
    touched first, and when: such a payoff has a price by finite differences. None for any other. A
    subclass with functions of its own says it anew.

    `differentiable` says when what a path pays is a continuous function of the path and of the
    columns: "always", "watched" (where it is watched between dates) or "never". Then a Greek is
    the mean of the derivatives of the paths; else it is taken by bumps. A subclass with functions
    of its own says it anew.

    `dates` names the column with the number n of dates T k/n, k = 1..n. Without `dates`, the
    columns of `times` are the dates.
    """

    maturity: Column = nonnegative_years()

    abstract: ClassVar[bool] = True
    dates: ClassVar[str] = ""
    times: ClassVar[tuple[str, ...]] = ()
    uniforms: ClassVar[int] = 0
    assets: ClassVar[int] = 1
    vanilla: ClassVar[bool] = False
    differentiable: ClassVar[str] = "never"
    levels: ClassVar[tuple[str, ...]] = ()
    kinks: ClassVar[tuple[str, ...] | None] = None

    @staticmethod
    def start(p: Any, i: int) -> tuple[float, ...]:
        """The accumulator at time zero; one zero by default."""
        return (0.0,)

    @staticmethod
    def observe(
        p: Any, i: int, acc: tuple[float, ...], log_spots: tuple[float, ...], k: float
    ) -> tuple[float, ...]:
        """The accumulator after a date."""
        return acc

    @staticmethod
    def observe_bridge(
        p: Any,
        i: int,
        acc: tuple[float, ...],
        log0: tuple[float, ...],
        log1: tuple[float, ...],
        bridge: tuple[float, ...],
    ) -> tuple[float, ...]:
        """The accumulator after a step."""
        raise NotImplementedError

    @staticmethod
    def finish(p: Any, i: int, acc: tuple[float, ...], log_spots: tuple[float, ...]) -> float:
        """The amount paid at maturity."""
        raise NotImplementedError

    @classmethod
    def simulated(cls) -> bool:
        """Whether a path determines the amount paid."""
        return cls.finish is not Payoff.finish

    @classmethod
    def continuous_monitoring(cls, fixed: dict[str, float]) -> bool:
        """Whether these fixed choices watch the price between steps."""
        return False

    @classmethod
    def jumps(cls, fixed: dict[str, float]) -> bool:
        """Whether the amount jumps as the price passes a level, with these fixed choices."""
        return "cash" in domains(cls) and not cls.continuous_monitoring(fixed)

    @classmethod
    def discrete_dates(cls, fixed: dict[str, float]) -> bool:
        """Whether a payoff with these fixed choices observes the price at its dates. By default a
        payoff does, unless it watches the price between steps.
        """
        return not cls.continuous_monitoring(fixed)

    @staticmethod
    def closed(p: Any, facts: Any, xp: Any, special: Any) -> Any | None:
        """Price for a lognormal spot, shape (n,), NaN where no formula applies; None when there
        is none at all.

        `p.passed` is the part of the first interval that has passed, in years: even dates are
        (T + passed) k/n - passed. It is zero but while theta is taken, and then of either sign.
        """
        return None

    @staticmethod
    def transform(p: Any, u: Any, forward: Any, xp: Any) -> Any | None:
        """g(u) of an amount that depends on the last price alone: pi E[amount] = integral over u >
        0 of Re[g(u) phi(u - i/2)], up to terms that are the same for every phi.

        phi is the characteristic function of log(S_T / forward). A payoff with a transform must
        have `closed`, too. None where a payoff has no transform.
        """
        return None

    @staticmethod
    def log_mean(p: Any, xp: Any) -> tuple[Any, Any, Any] | None:
        """Where the payoff is a vanilla option on a geometric mean: log mean = constant + sum_k
        weights_k log S at dates_k. The constant of shape (n,), NaN where it is not such an option,
        dates and weights of shape (n, dates); None where it never is.
        """
        return None

    @staticmethod
    def of_variance(p: Any, mean: Any, discount: Any, xp: Any) -> Any | None:
        """Price from the mean variance of the log price alone, shape (n,), NaN where that is not
        enough; None when it never is.
        """
        return None

    @classmethod
    def controls(cls, fixed: dict[str, float]) -> tuple[tuple[type[Payoff], dict[str, float]], ...]:
        """The payoffs that may serve as the control variate of this one with these fixed choices,
        the nearest first: each with the choices in which it differs.

        A control reads the columns of this payoff, sees the same dates, and has a formula under
        some models. By default the vanilla option of the same strike, where there is one.
        """
        vanilla = cls.assets == 1 and {"option_type", "strike"} <= set(domains(cls))
        return ((Vanilla, {}),) if vanilla and not issubclass(cls, Vanilla) else ()

    @staticmethod
    def warn(p: Any) -> np.ndarray | None:
        """Per row, a sentence about what is right but surprising, or None; `p` has the model's
        columns, too.
        """
        return None

    @staticmethod
    def refuse(p: Any) -> np.ndarray | None:
        """Per row, a sentence about columns that do not go together, or None; `p` has the
        model's columns, too.
        """
        return None

    @staticmethod
    def moment(p: Any) -> np.ndarray | None:
        """The power p where the payoff grows as S^p for large or small prices, shape (n,). None
        where p is 1 at most, because the mean of the price is finite.
        """
        return None


@dataclass(frozen=True)
class Vanilla(Payoff):
    """max(S_T - strike, 0) for a call, max(strike - S_T, 0) for a put: the neighbour of every
    payoff with a strike.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    strike : Column, shape (n,)
        In currency units; > 0.
    """

    option_type: Column = call_or_put()
    strike: Column = positive(sample=100.0)

    abstract: ClassVar[bool] = True
    vanilla: ClassVar[bool] = True
    kinks: ClassVar[tuple[str, ...] | None] = ("strike",)
    differentiable: ClassVar[str] = "always"

    @staticmethod
    def finish(p, i, acc, log_spots):
        return max(p.option_type[i] * (math.exp(log_spots[0]) - p.strike[i]), 0.0)

    @staticmethod
    def transform(p: Any, u: Any, forward: Any, xp: Any) -> Any:
        return (
            -xp.sqrt(forward * p.strike)
            * xp.exp(1j * u * xp.log(forward / p.strike))
            / (u * u + 0.25)
        )

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        return lognormal.vanilla(p.option_type, p.strike, law, xp, special)


@dataclass(frozen=True)
class Watched(Payoff):
    """A payoff that watches the price: by the bridge between any two steps, or at dates.

    Parameters
    ----------
    monitoring : Column, shape (n,)
        continuous or discrete.
    observations : Column, shape (n,)
        Dates T k/n of discrete monitoring; a whole number >= 1.
    """

    monitoring: Column = choice(
        "continuous", "discrete", default="continuous", compile_time_constant=True
    )
    observations: Column = integer(default=252)

    abstract: ClassVar[bool] = True
    dates: ClassVar[str] = "observations"

    @classmethod
    def continuous_monitoring(cls, fixed: dict[str, float]) -> bool:
        return fixed["monitoring"] == 0.0


@dataclass(frozen=True)
class Realised(Watched):
    """A payoff of realised variance: of the integral of the variance, or of the sum of squared log
    returns.

    The accumulator is the last log price observed, and the variance up to now.
    """

    abstract: ClassVar[bool] = True

    @staticmethod
    def start(p, i, log_spots):
        return (log_spots[0], 0.0)

    @staticmethod
    def observe(p, i, acc, log_spots, k):
        move = log_spots[0] - acc[0]
        return (log_spots[0], acc[1] + move * move)

    @staticmethod
    def observe_bridge(p, i, acc, log0, log1, bridge):
        return (acc[0], acc[1] + 0.5 * (bridge[0] + bridge[1]))

    @staticmethod
    def refuse(p: Any) -> np.ndarray | None:
        return np.where(
            p.maturity == 0.0, "maturity is 0: no time in which a variance is realised", ""
        )
