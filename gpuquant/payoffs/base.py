"""What a payoff is: columns, and plain functions that watch log prices and end with an amount.

A payoff knows nothing of models; where a closed formula exists it is one of forward, total variance and discount.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuquant.columns import Member


@dataclass(frozen=True)
class Payoff(Member):
    """The base of every payoff: a frozen dataclass of columns, `maturity` in years among them, with the functions below.

    - `start(p, i, log_spots) -> acc`, the accumulator at time zero;
    - `observe(p, i, acc, log_spots, k, growth) -> acc`, at date number k = 0, 1, ...;
    - `between(p, i, acc, log0, log1, variance, k, growth, w) -> acc`, at every step where `bridged`: the log prices at both ends,
      the variance of the bridge between them, the number of dates before, and `uniforms` uniforms w of the payoff's own;
    - `finish(p, i, acc, log_spots) -> amount`, at maturity.

    The last arguments may be left out. `growth` is the value at maturity of 1 paid now, for what is paid early.

    Dates are T k/n, k = 1..n, where `dates` names the column that counts them, and else the columns of `times`.
    """

    abstract: ClassVar[bool] = True
    dates: ClassVar[str] = ""
    times: ClassVar[tuple[str, ...]] = ()
    uniforms: ClassVar[int] = 0

    @staticmethod
    def start(p: Any, i: int) -> tuple[float, ...]:
        """The accumulator at time zero; nothing, unless said otherwise."""
        return (0.0,)

    @staticmethod
    def observe(p: Any, i: int, acc: tuple[float, ...], log_spots: tuple[float, ...], k: float) -> tuple[float, ...]:
        """The accumulator after a date."""
        return acc

    @staticmethod
    def between(p: Any, i: int, acc: tuple[float, ...], log0: tuple[float, ...], log1: tuple[float, ...], variance: float) -> tuple[float, ...]:
        """The accumulator after a step."""
        raise NotImplementedError

    @staticmethod
    def finish(p: Any, i: int, acc: tuple[float, ...], log_spots: tuple[float, ...]) -> float:
        """The amount paid at maturity."""
        raise NotImplementedError

    @classmethod
    def bridged(cls, fixed: dict[str, float]) -> bool:
        """Whether these fixed choices watch the price between steps."""
        return False

    @staticmethod
    def closed(p: Any, facts: Any, xp: Any, special: Any) -> Any | None:
        """Price for a lognormal spot, shape (n,), NaN where no formula applies; None when there is none at all."""
        return None

    @staticmethod
    def warn(p: Any) -> np.ndarray | None:
        """Per row, a sentence about what is right but surprising, or None."""
        return None


def black(sign: Any, forward: Any, strike: Any, variance: Any, discount: Any, xp: Any, special: Any) -> Any:
    """Black's formula (1976): discount (sign) (F N(sign d1) - K N(sign d2)); exact intrinsic at zero variance."""
    deviation = xp.sqrt(variance)
    moneyness = xp.log(forward / strike)
    safe = xp.where(deviation > 0.0, deviation, 1.0)
    d1 = xp.where(deviation > 0.0, moneyness / safe + 0.5 * deviation, xp.where(moneyness >= 0.0, xp.inf, -xp.inf))
    d2 = xp.where(deviation > 0.0, d1 - deviation, d1)
    return discount * sign * (forward * special.ndtr(sign * d1) - strike * special.ndtr(sign * d2))


def spared_at(side: Any, barrier: Any, log_spot: Any) -> Any:
    """1.0 while the price is short of `barrier`, which lies above it (side 1.0) or below (-1.0); else 0.0."""
    return 1.0 if side * (math.log(barrier) - log_spot) > 0.0 else 0.0


def spared_between(side: Any, barrier: Any, log0: Any, log1: Any, variance: Any) -> Any:
    """Probability that a Brownian bridge of this variance between two log prices stays short of `barrier` (Glasserman, 2003, section 6.4)."""
    level = math.log(barrier)
    before = max(side * (level - log0), 0.0)
    after = max(side * (level - log1), 0.0)
    return 1.0 - math.exp(-2.0 * before * after / max(variance, 1e-30))
