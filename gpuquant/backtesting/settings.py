"""The terms of an account: how large an order is, what stops protect it, and what it costs to
borrow.

Each is a small record of numbers and choices. The numbers are parameters of the kernel, those of
`Stops` with a grid of their own; the choices are constants of its kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuquant.data.columns import Member, combinations, domains
from gpuquant.data.domains import Column, boolean, choice, nonnegative, optional, positive, within
from gpuquant.errors import InputError


@dataclass(frozen=True)
class Size(Member):
    """How many units a signal or a rule's target trades, and in which portions.

    Parameters
    ----------
    amount : Column, shape (1,)
        In the unit that `size_type` names; > 0.
    size_type : Column, shape (1,)
        equity (a share of it), cash (a share of what there is to spend once the other side is
        closed, the fee included), units, value (currency units), or risk (the share of equity that
        the stop-loss loses).
    lot_size : Column, shape (1,)
        Units come in multiples of it; 0: any fraction.
    min_size : Column, shape (1,)
        Units below which nothing is traded.
    max_participation_rate : Column, shape (1,)
        Largest share of a bar's volume, where the panel knows it; within (0, 1].
    allow_partial_fills : Column, shape (1,)
        True: an order is filled as far as it can be; False: all or nothing.
    pyramiding : Column, shape (1,)
        True: a signal in the direction that is held adds to it, and one in the other takes off as
        much; False: it does nothing.
    direction : Column, shape (1,)
        both; long or short: what would open the other side is cut to what closes this one.
    """

    amount: Column = positive(default=1.0)
    size_type: Column = choice("equity", "cash", "units", "value", "risk", default="equity")
    lot_size: Column = nonnegative(default=0.0)
    min_size: Column = nonnegative(default=0.0)
    max_participation_rate: Column = within(0.0, 1.0, default=1.0, sample=1.0)
    allow_partial_fills: Column = boolean(default=True)
    pyramiding: Column = boolean(default=False)
    direction: Column = choice("both", "long", "short", default="both")


@dataclass(frozen=True)
class Stops(Member):
    """Orders that protect a holding, from the bar after its entry on.

    A stop-loss is `stop_loss` below the entry (above it for a short), a trailing stop `trailing`
    below the best price since, a take-profit `take_profit` beyond the entry. A bar that opens
    beyond one fills at its open; one that meets both sides fills the loss. Sequences make a grid of
    all combinations.

    Parameters
    ----------
    stop_loss, take_profit, trailing : Column
        Shares of the price; > 0, or not given.
    max_holding_bars : Column
        Close at the close of the bar that is so many after the entry; not given: never.
    trigger : Column, shape (1,)
        What meets a stop: range, the bar's high and low, where the panel knows them; close, its
        close alone, which is where it fills.
    trail_reference : Column, shape (1,)
        What a trailing stop follows: range, the best price that may trigger; close, the best close.
        Of the entry's bar where `entry_bar` says so.
    entry_reference : Column, shape (1,)
        What the entry is: fill, its price; close, that of its bar; signal, the close of the bar
        before, at which a bracket is written.
    entry_bar : Column, shape (1,)
        Whether the rest of the entry's own bar may trigger.
    slip_stops : Column, shape (1,)
        Whether stops slip, as market orders do.
    slip_limits : Column, shape (1,)
        Whether a take-profit, which is a limit, slips, too.
    """

    stop_loss: Column = optional(sample=0.05)
    take_profit: Column = optional(sample=0.1)
    trailing: Column = optional(sample=0.1)
    max_holding_bars: Column = optional(sample=10.0)
    trigger: Column = choice("range", "close", default="range")
    trail_reference: Column = choice("range", "close", default="range")
    entry_reference: Column = choice("fill", "close", "signal", default="fill")
    entry_bar: Column = boolean(default=False)
    slip_stops: Column = boolean(default=True)
    slip_limits: Column = boolean(default=False)

    def __post_init__(self) -> None:
        for name in GRIDDED:  # their lengths may differ: they make a grid
            alone = np.atleast_1d(np.asarray(getattr(self, name), dtype=object))
            try:
                object.__setattr__(
                    self, name, np.array([np.nan if v is None else v for v in alone], dtype=float)
                )
            except (TypeError, ValueError) as failure:
                raise InputError(
                    f"Stops {name} = {getattr(self, name)!r}: {domains(type(self))[name].rule}"
                ) from failure
        given = {name: getattr(self, name) for name in GRIDDED}
        for name, values in given.items():
            object.__setattr__(self, name, values[:1])
        super().__post_init__()
        for name, values in given.items():
            wrong = domains(type(self))[name].bad(values)
            if wrong.any():
                k = int(np.flatnonzero(wrong)[0])
                raise InputError(
                    f"Stops {name}[{k}] = {float(values[k])!r}: {domains(type(self))[name].rule}"
                )
            object.__setattr__(self, name, values)

    def grid(self) -> dict[str, np.ndarray]:
        """Every combination of the stops that are given."""
        return combinations(
            {
                name: getattr(self, name)
                for name in GRIDDED
                if np.isfinite(getattr(self, name)).any()
            }
        )


GRIDDED = ("stop_loss", "take_profit", "trailing", "max_holding_bars")


@dataclass(frozen=True)
class Margin(Member):
    """An account that may borrow.

    Parameters
    ----------
    initial : Column, shape (1,)
        Equity that a position of value 1 needs when it is opened; within (0, 1]: 0.5 is twofold
        leverage.
    maintenance : Column, shape (1,)
        Below this share of what is held, everything is sold at the next fill; below `initial`.
    margin_rate, cash_rate : Column, shape (1,)
        Paid on borrowed cash, earned on cash, per year.
    borrow_rate : Column, shape (1,)
        Paid on the value of shares sold short, per year.
    lock_short_proceeds : Column, shape (1,)
        True: the proceeds of a short, and as much again, cannot be spent until it is covered, and
        nothing is lent.
    """

    initial: Column = within(0.0, 1.0, default=1.0, sample=0.5)
    maintenance: Column = nonnegative(default=0.0)
    margin_rate: Column = nonnegative(default=0.0)
    cash_rate: Column = nonnegative(default=0.0)
    borrow_rate: Column = nonnegative(default=0.0)
    lock_short_proceeds: Column = boolean(default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.maintenance >= self.initial).any():
            raise InputError(
                f"Margin maintenance = {float(self.maintenance[0])!r}: must be below "
                f"initial, {float(self.initial[0])!r}"
            )


def word(member: Member, name: str) -> str:
    """The word of a choice."""
    domain = domains(type(member))[name]
    return domain.words[domain.codes.index(float(getattr(member, name)[0]))]
