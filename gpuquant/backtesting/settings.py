"""The terms of an account: how large an order is, what stops protect it, and what it costs to
borrow.

Each is a small record of numbers and choices. The numbers are parameters of the walk, those of
`Stops` with a grid of their own; the choices are constants of its kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuquant.data.columns import (
    Column,
    Member,
    choice,
    combinations,
    domains,
    if_known,
    nonnegative,
    positive,
    within,
)
from gpuquant.errors import InputError

NO_YES = ("no", "yes")


@dataclass(frozen=True)
class Size(Member):
    """How many units a signal or a rule's wish trades, and in which portions.

    Parameters
    ----------
    amount : Column, shape (1,)
        In the unit that `of` names; > 0.
    of : Column, shape (1,)
        equity (a share of it), cash (a share of what there is to spend once the other side is
        closed, the fee included), units, value (currency units), or risk (the share of equity that
        the stop-loss loses).
    lot : Column, shape (1,)
        Units come in multiples of it; 0: any fraction.
    minimum : Column, shape (1,)
        Units below which nothing is traded.
    participation : Column, shape (1,)
        Largest share of a bar's volume, where the panel knows it; within (0, 1].
    partial : Column, shape (1,)
        yes: an order is filled as far as it can be; no: all or nothing.
    add : Column, shape (1,)
        yes: a signal in the direction that is held adds to it (pyramiding), and one in the other
        takes off as much; no: it does nothing.
    sides : Column, shape (1,)
        both; long or short: what would open the other side is cut to what closes this one.
    """

    amount: Column = positive(default=1.0)
    of: Column = choice("equity", "cash", "units", "value", "risk", default="equity")
    lot: Column = nonnegative(default=0.0)
    minimum: Column = nonnegative(default=0.0)
    participation: Column = within(0.0, 1.0, default=1.0, sample=1.0)
    partial: Column = choice(*NO_YES, default="yes")
    add: Column = choice(*NO_YES, default="no")
    sides: Column = choice("both", "long", "short", default="both")


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
    bars : Column
        Close at the close of the bar that is so many after the entry; not given: never.
    watch : Column, shape (1,)
        range: the bar's high and low, where the panel knows them; close: its close alone, which is
        where it fills.
    follow : Column, shape (1,)
        What a trailing stop follows: range, the best price that is watched; close, the best close.
        Of the entry's bar where `entry_bar` says so.
    base : Column, shape (1,)
        What the entry is: fill, its price; close, that of its bar; signal, the close of the bar
        before, at which a bracket is written.
    entry_bar : Column, shape (1,)
        Whether the rest of the entry's own bar is watched.
    slippage : Column, shape (1,)
        yes: stops slip as market orders do, and a take-profit, which is a limit, does not; all: a
        take-profit does, too; no: neither.
    """

    stop_loss: Column = if_known(sample=0.05)
    take_profit: Column = if_known(sample=0.1)
    trailing: Column = if_known(sample=0.1)
    bars: Column = if_known(sample=10.0)
    watch: Column = choice("range", "close", default="range")
    follow: Column = choice("range", "close", default="range")
    base: Column = choice("fill", "close", "signal", default="fill")
    entry_bar: Column = choice(*NO_YES, default="no")
    slippage: Column = choice(*NO_YES, "all", default="yes")

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


GRIDDED = ("stop_loss", "take_profit", "trailing", "bars")


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
    financing, interest : Column, shape (1,)
        Paid on borrowed cash, earned on cash, per year.
    borrow : Column, shape (1,)
        Paid on the value of shares sold short, per year.
    locked : Column, shape (1,)
        yes: the proceeds of a short, and as much again, cannot be spent until it is covered, and
        nothing is lent.
    """

    initial: Column = within(0.0, 1.0, default=1.0, sample=0.5)
    maintenance: Column = nonnegative(default=0.0)
    financing: Column = nonnegative(default=0.0)
    interest: Column = nonnegative(default=0.0)
    borrow: Column = nonnegative(default=0.0)
    locked: Column = choice(*NO_YES, default="no")

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
