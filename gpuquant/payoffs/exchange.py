"""Exchange: the right to give one asset for another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpuquant.data.domains import Column, positive
from gpuquant.payoffs import lognormal
from gpuquant.payoffs.base import Payoff


@dataclass(frozen=True)
class Exchange(Payoff):
    """max(receive S_1 - give S_2, 0).

    Parameters
    ----------
    receive, give : Column, shape (n,)
        Units of the first asset received, and of the second given; > 0.
    maturity : Column, shape (n,)
        Years from today; 0 is now.

    References
    ----------
    Margrabe (1978).
    """

    receive: Column = positive(default=1.0)
    give: Column = positive(default=1.0)

    assets = 2
    differentiable = "always"

    @staticmethod
    def finish(p, i, acc, log_spots):
        return max(p.receive[i] * math.exp(log_spots[0]) - p.give[i] * math.exp(log_spots[1]), 0.0)

    @staticmethod
    def closed(p: Any, law: Any, xp: Any, special: Any) -> Any:
        c = law.covariance
        variance = xp.maximum(c[:, 0, 0] + c[:, 1, 1] - 2.0 * c[:, 0, 1], 0.0)
        return lognormal.black(
            1.0,
            p.receive * law.forwards[:, 0],
            p.give * law.forwards[:, 1],
            variance,
            law.discount,
            xp,
            special,
        )
