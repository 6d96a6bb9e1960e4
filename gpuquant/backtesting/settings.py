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
        Size of the order of a signal, in the unit that `size_type` names; > 0.
    size_type : Column, shape (1,)
        equity (a share of the equity), cash (a share of the cash that is left after the opposite
        position is closed; this share also pays the fee), units, value (currency units), or risk
        (the share of equity that is lost if the stop-loss fills).
    lot_size : Column, shape (1,)
        Orders are whole multiples of this number of units; 0: any fraction.
    min_size : Column, shape (1,)
        An order of fewer units is refused, unless it closes a whole position.
    max_participation_rate : Column, shape (1,)
        Largest share of a bar's volume that an order may take; within (0, 1]. A share below 1 needs
        a panel with volume.
    allow_partial_fills : Column, shape (1,)
        True: an order is filled as far as possible; False: an order is filled whole or refused.
    pyramiding : Column, shape (1,)
        True: a signal in the direction of the position adds the amount to the position, and a
        signal in the other direction subtracts the amount; False: a signal in the direction of the
        position changes nothing.
    direction : Column, shape (1,)
        both; long or short: the account opens positions of this side only, and an order of the
        other side is cut to the units that close a position.
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

    A stop-loss lies the share `stop_loss` below the entry price (above it for a short position). A
    trailing stop lies `trailing` below the best price since the entry. A take-profit lies
    `take_profit` beyond the entry price. If a bar opens beyond one of these prices, the fill is at
    the open. If a bar reaches both a stop and the take-profit, the stop fills. Sequences make a
    grid of all combinations.

    Parameters
    ----------
    stop_loss, take_profit, trailing : Column
        Shares of the price; > 0, or not given.
    max_holding_bars : Column
        The position closes at the close of the bar that is this many bars after its entry; not
        given: never.
    trigger : Column, shape (1,)
        The prices that trigger a stop. range: the bar's high and low, where the panel has them;
        close: only the bar's close, and the stop fills at that close.
    trail_reference : Column, shape (1,)
        The price that a trailing stop follows. range: the best price that can trigger a stop;
        close: the best close. The entry's own bar counts only if `entry_bar` is True.
    entry_reference : Column, shape (1,)
        The entry price from which stops are measured. fill: the price of the fill; close: the
        close of the entry's bar; signal: the close of the bar before, as in a bracket order.
    entry_bar : Column, shape (1,)
        True: the rest of the entry's own bar can trigger a stop.
    slip_stops : Column, shape (1,)
        True: a fill by a stop pays slippage, like a market order.
    slip_limits : Column, shape (1,)
        True: a fill by a take-profit pays slippage, although a take-profit is a limit order.
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
        Equity that a new position of value 1 requires; within (0, 1]. 0.5 allows twofold leverage.
    maintenance : Column, shape (1,)
        If the equity falls below this share of the gross value of all positions, all positions are
        closed at the next fill; must be below `initial`.
    margin_rate, cash_rate : Column, shape (1,)
        Interest paid on borrowed cash, and interest earned on cash, per year.
    borrow_rate : Column, shape (1,)
        Fee paid on the value of shares sold short, per year.
    lock_short_proceeds : Column, shape (1,)
        True: twice the proceeds of a short sale are locked until the short is covered, and the
        account cannot borrow.
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
