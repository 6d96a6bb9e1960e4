"""What happens to an account without its asking: interest, splits and dividends, delistings, margin
calls, ruin; and what it is worth at a close.

Kernel source.
"""

# mypy: ignore-errors

from __future__ import annotations

from gpuquant.backtesting.kernels.codes import MIN_UNITS, NAN, NO_CHANGE, NO_LIMIT, Cause, Reject
from gpuquant.backtesting.kernels.execution import execute_order, record_fill
from gpuquant.backtesting.kernels.flags import extra, flags
from gpuquant.backtesting.kernels.price_access import (
    close_at,
    extra_at,
    last_close,
    split_at,
    value_of,
)
from gpuquant.backtesting.kernels.records import (
    Account,
    Decisions,
    Filled,
    Order,
    Position,
    Run,
    Tally,
)
from gpuquant.backtesting.kernels.trade_statistics import count_trade


def carry_interest(run: Run, account: Account, tally: Tally, positions: list[Position], t):
    """Pay the interest since the bar before: on cash, on debt, and for borrowed shares."""
    rates = run.settings
    interest = account.cash * (rates.cash_rate if account.cash > 0.0 else rates.margin_rate)
    for j in range(len(positions)):
        units = positions[j].units
        if units < 0.0:
            interest += value_of(units, close_at(run.prices, j, t - 1)) * rates.borrow_rate
    interest = interest * run.inputs.years[t] if run.inputs.years[t] > 0.0 else 0.0
    account.cash += interest
    tally.financing += interest


def apply_actions(run: Run, account: Account, tally: Tally, positions: list[Position], t):
    """Pay dividends and split shares at the beginning of bar `t`: who is short pays."""
    for j in range(len(positions)):
        position = positions[j]
        if position.units != 0.0:
            dividend = position.units * extra_at(run.prices, extra.dividends, j, t)
            ratio = split_at(run.prices, j, t)
            account.cash += dividend
            tally.dividends += dividend
            position.cost -= dividend
            position.units = position.units * ratio
            if flags.stops:
                position.best_price /= ratio
                position.loss_price /= ratio
                position.stop_price /= ratio
                position.profit_price /= ratio


def pay_delisted(run: Run, account: Account, tally: Tally, positions: list[Position], t):
    """Pay out positions whose last bar was the one before `t`: the last price and the return of
    the delisting.
    """
    for j in range(len(positions)):
        last = extra_at(run.prices, extra.delistings, j, t)
        units = positions[j].units
        if last > -2.0 and units != 0.0:
            price = max(last_close(run.prices, j, t) * (1.0 + last), 1e-12)
            order = Order(-units, NO_LIMIT, price, 0.0, Cause.DELISTING)
            _ = execute_order(run, account, tally, positions, j, order, t)


def margin_called(run: Run, positions: list[Position], t, equity):
    """Whether the equity is below the maintenance margin at the close of bar `t`."""
    gross = 0.0
    for j in range(len(positions)):
        gross += abs(value_of(positions[j].units, close_at(run.prices, j, t)))
    return equity < run.settings.maintenance_margin * gross


def count_exposure(account: Account, tally: Tally, t):
    """Count the bars before `t` with a position; what is held now counts from there on."""
    tally.exposed += account.invested * (t - account.since)
    account.invested = account.positions > 0.0
    account.since = t


def refuse_ruined(run: Run, account: Account, tally: Tally, decisions: Decisions, q, t, assets):
    """Refuse the decisions due in place `q`: the account has lost everything."""
    for j in range(assets):
        target = decisions.target[j, q]
        if target < NO_CHANGE and target != 0.0:
            tally.rejects += 1.0
            if run.log.enabled:
                account.reject = Reject.RUINED
                refused = Order(target, 0.0, NAN, 0.0, account.cause)
                record_fill(run, account, tally, j, refused, Filled(0.0, NAN, 0.0), t)


def close_ruined(run: Run, account: Account, tally: Tally, positions: list[Position], t, equity):
    """Close an account that has lost everything, at the closes of bar `t`."""
    for j in range(len(positions)):
        position = positions[j]
        units = position.units
        position.units = 0.0
        if abs(units) >= MIN_UNITS:
            price = close_at(run.prices, j, t)
            profit = units * price - position.cost
            count_trade(run, account, tally, position, j, profit, units, t)
            tally.orders += 1.0
            if run.log.enabled:
                account.reject = Reject.NONE
                order = Order(-units, NO_LIMIT, price, 0.0, Cause.RUIN)
                record_fill(run, account, tally, j, order, Filled(-units, price, 0.0), t)
    account.cash = equity
    account.alive = False
    account.positions = 0.0
