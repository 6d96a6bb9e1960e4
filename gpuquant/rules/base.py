"""What a rule is: columns of parameters, and a plain function from the past to a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuquant.data.columns import Member, as_column, combinations, domains, takes
from gpuquant.errors import InputError, unknown

NO_CHANGE = 1e9  # the target that changes nothing
DECIDES = ("side", "units", "share")
# what a rule may ask of its account
ACCOUNT = ("position", "entry_price", "entry_bar", "profit", "equity", "cash")


@dataclass(frozen=True)
class Rule(Member):
    """The base of every rule: a frozen dataclass of parameters; sequences make a grid of all their
    combinations.

    - `begin(r, i) -> (state, first)` gives the state before the first decision, and the bar of the
      first decision;
    - `decide(r, i, state, past, k) -> (state, target)` decides at the close of bar k. The target is
      1.0 long, 0.0 flat, -1.0 short or NO_CHANGE;
    - where the class says `decides = "units"` or `"share"`, the target is how many units, or which
      share of the equity, the position shall have, below zero of a short, and below 1e9; NaN
      changes nothing. So a rule adds to a position, or takes some off;
    - where the class says `priced = True`, `decide` returns `(state, target, limit, stop)`. The
      target then becomes an order with a limit price and a stop price; 0.0 means no such price. If
      a price is NaN or negative, the target changes nothing. The order can fill only at the bar
      at which it is due: at its limit or better, and at its stop or worse. With both prices the
      order fills at the stop if the limit allows that. An order that does not fill is refused, and
      the rule may give the target again. The size of the order is computed at the open of that bar.

    `decide(r, i, state, past, k, account)` sees its account, too, at the close of bar k, before the
    decision: `account.position` in signed units; `account.entry_price`, what a unit of it cost with
    fees and less dividends, and `account.entry_bar`, the bar of its first fill, both NaN where
    nothing is held; `account.profit`, its value less its cost; `account.equity` and `account.cash`.
    Such a rule goes bar by bar; one that does not ask keeps the speed of vector code.

    `past.sum(n)` is the exact sum of the last n closes, in whole ticks. `past.close(n)` is the
    close n bars ago. `past.open(n)`, `past.high(n)`, `past.low(n)` and `past.volume(n)` exist where
    the panel has these fields.
    """

    abstract: ClassVar[bool] = True
    priced: ClassVar[bool] = False
    decides: ClassVar[str] = "side"

    def __post_init__(self) -> None:
        if self.decides not in DECIDES:
            raise unknown(f"{type(self).__name__}: decides", self.decides, DECIDES)
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

    @classmethod
    def sees_account(cls) -> bool:
        """Whether its decisions rest on the account."""
        return takes(cls.decide) > 5

    @staticmethod
    def begin(r: Any, i: int) -> tuple[tuple[float, ...], float]:
        """State and bar before the first decision."""
        raise NotImplementedError

    @staticmethod
    def decide(r: Any, i: int, state: tuple[float, ...], past: Any, k: float) -> tuple[Any, ...]:
        """The state after bar k, the target, and where it is priced its limit and its stop."""
        raise NotImplementedError
