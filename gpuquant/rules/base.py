"""What a rule is: columns of parameters, and a plain function from the past to a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuquant.data.columns import Member, as_column, combinations, domains
from gpuquant.errors import InputError

NO_CHANGE = 1e9  # the target that changes nothing


@dataclass(frozen=True)
class Rule(Member):
    """The base of every rule: a frozen dataclass of parameters; sequences make a grid of all their
    combinations.

    - `begin(r, i) -> (state, first)`, the state before the first decision and the bar of it;
    - `decide(r, i, state, past, k) -> (state, target)` at the close of bar k: target 1.0 long, 0.0
      flat, -1.0 short or NO_CHANGE;
    - where the class says `priced = True`, `-> (state, target, limit, stop)`: prices that the
      target waits for at the bar it is due, 0.0 for none (with NaN, or below zero, it is no
      target). It fills at its limit or better, at its stop or worse, with both at the stop if the
      limit allows that; else it is refused, and may be given again. Its size is worked out at that
      bar's open.

    `past.sum(n)` is the sum of the last n closes in whole ticks, exactly; `past.close(n)` the close
    n bars ago, and `past.open(n)`, `past.high(n)`, `past.low(n)`, `past.volume(n)` where the panel
    has them.
    """

    abstract: ClassVar[bool] = True
    priced: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, domain in domains(type(self)).items():
            array = as_column(getattr(self, name), domain, name, type(self).__name__)
            wrong = domain.bad(array)
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                raise InputError(
                    f"{type(self).__name__} {name}[{row}] = {float(array[row])!r}: {domain.rule}"
                )
            object.__setattr__(self, name, array)

    def grid(self) -> dict[str, np.ndarray]:
        """Every combination of the parameters, one column each."""
        return combinations(self.columns())

    @staticmethod
    def begin(r: Any, i: int) -> tuple[tuple[float, ...], float]:
        """State and bar before the first decision."""
        raise NotImplementedError

    @staticmethod
    def decide(r: Any, i: int, state: tuple[float, ...], past: Any, k: float) -> tuple[Any, ...]:
        """The state after bar k, the target, and where it is priced its limit and its stop."""
        raise NotImplementedError
