"""Stop-losses, trailing stops and take-profits: which bar meets one first, and what it then does.

Kernel source. As in `stop_levels.py`, prices times `side` read as those of a long position.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.backtesting.kernels.codes import NO_LIMIT, Cause
from gpuquant.backtesting.kernels.execution import execute_order
from gpuquant.backtesting.kernels.flags import extra, flags
from gpuquant.backtesting.kernels.price_access import close_at, extra_at, fill_at
from gpuquant.backtesting.kernels.records import Account, Order, Position, Prices, Run, Tally
from gpuquant.backtesting.kernels.stop_levels import move_trailing_stop


def fetch_prices(prices: Prices, assets, t):
    """Ask for the prices of the block from bar `t` on, which one column alone would wait for."""
    for j in range(assets):
        for q in range(0, BLOCK, 8):  # a line of the cache
            prefetch(prices.close, (prices.first_asset + j, prices.left_padding + t + q))
            if flags.ranges and not flags.close_only:
                prefetch(
                    prices.extra, (extra.open, prices.first_asset + j, prices.left_padding + t + q)
                )
                prefetch(
                    prices.extra, (extra.high, prices.first_asset + j, prices.left_padding + t + q)
                )
                prefetch(
                    prices.extra, (extra.low, prices.first_asset + j, prices.left_padding + t + q)
                )


def bar_range(prices: Prices, j, t):
    """The lowest and the highest price of bar `t` that triggers stops."""
    low = close_at(prices, j, t)
    high = low
    if flags.ranges and not flags.close_only:
        low = extra_at(prices, extra.low, j, t)
        high = extra_at(prices, extra.high, j, t)
    return low, high


def trailed_price(prices: Prices, j, t, side, best):
    """The price of bar `t` that a trailing stop follows, times `side`: its best, or its close."""
    return side * close_at(prices, j, t) if flags.trails_close else best


def first_stop_hit(run: Run, positions: list[Position], t0, q, to):
    """The first place from `q` on at which a stop of any asset is met, or `to`; trailing stops
    follow the bars before it.
    """
    for j in range(len(positions)):
        to = first_hit_of(run, positions, j, t0, q, to)
    if (
        flags.trails and len(positions) > 1
    ):  # how far was unknown before the last asset was looked at
        for j in range(len(positions)):
            trail_to(run, positions[j], j, t0, q, to)
    return to


def first_hit_of(run: Run, positions: list[Position], j, t0, q, to):
    """The first place from `q` on at which a stop of asset `j` is met, or `to`."""
    position = positions[j]
    if position.units != 0.0:
        side = 1.0 if position.units > 0.0 else -1.0
        top = side * position.best_price
        loss = side * position.loss_price
        stop = side * position.stop_price
        profit = side * position.profit_price
        keeps = 1.0 - side * run.settings.trailing
        p = q
        while p < to:
            low, high = bar_range(run.prices, j, t0 + p)
            worst = low if position.units > 0.0 else -high
            best = high if position.units > 0.0 else -low
            new = trailed_price(run.prices, j, t0 + p, side, best)
            ends = (worst <= stop) | (best >= profit)
            if flags.max_holding:
                ends = ends | (t0 + p - position.entry_bar >= run.settings.max_holding_bars)
            if flags.allow_halts:
                trades = fill_at(run.prices, j, t0 + p) > 0.0
                ends = ends & trades
                new = new if trades else top
            if ends:
                break
            if flags.trails:
                stop = max(loss, new * keeps) if new > top else stop
                top = max(top, new)
            p += 1
        to = p
        if flags.trails and len(positions) == 1:
            position.best_price = side * top
            position.stop_price = side * stop
    return to


def trail_to(run: Run, position: Position, j, t0, q, to):
    """Move the trailing stop of asset `j` on by the bars from place `q` to before `to`."""
    if position.units != 0.0:
        side = 1.0 if position.units > 0.0 else -1.0
        top = side * position.best_price
        for p in range(q, to):
            low, high = bar_range(run.prices, j, t0 + p)
            best = high if position.units > 0.0 else -low
            new = trailed_price(run.prices, j, t0 + p, side, best)
            if flags.allow_halts:
                new = new if fill_at(run.prices, j, t0 + p) > 0.0 else top
            top = max(top, new)
        move_trailing_stop(run, position, side, top)


def trigger_stops(run: Run, account: Account, tally: Tally, positions: list[Position], j, t):
    """Close the position in asset `j` if bar `t` has met one of its stops; what closed it.

    A bar that opens beyond a stop fills at its open. Where a bar meets both sides the loss comes
    first: the bar does not say.
    """
    position = positions[j]
    hit = Cause.ORDER
    trades = True
    if flags.allow_halts:
        trades = fill_at(run.prices, j, t) > 0.0
    if trades and position.units != 0.0 and (flags.entry_bar or position.entry_bar < t):
        side = 1.0 if position.units > 0.0 else -1.0
        low, high = bar_range(run.prices, j, t)
        worst = low if position.units > 0.0 else high
        best = high if position.units > 0.0 else low
        stop = position.stop_price
        profit = position.profit_price
        if side * worst <= side * stop:
            hit = Cause.TRAILING_STOP if position.loss_price != stop else Cause.STOP_LOSS
        elif side * best >= side * profit:
            hit = Cause.TAKE_PROFIT
        held_bars = t - position.entry_bar
        if flags.max_holding and hit == Cause.ORDER and held_bars >= run.settings.max_holding_bars:
            hit = Cause.TIME
        if flags.trails:
            top = trailed_price(run.prices, j, t, side, side * best)
            move_trailing_stop(run, position, side, top)
        if hit != Cause.ORDER:
            price, slips = stop_fill(
                run.prices, j, t, side, hit, profit if hit == Cause.TAKE_PROFIT else stop
            )
            order = Order(-position.units, NO_LIMIT, price, slips, hit)
            _ = execute_order(run, account, tally, positions, j, order, t)
    return hit


def stop_fill(prices: Prices, j, t, side, hit, level):
    """The price at which a stop fills that bar `t` has met, and whether it slips."""
    last = close_at(prices, j, t)
    first = last
    if flags.ranges and not flags.close_only:
        first = extra_at(prices, extra.open, j, t)
    way = -side if hit == Cause.TAKE_PROFIT else side
    price = first if way * first <= way * level else level
    price = last if hit == Cause.TIME else price
    slips = f64(flags.limits_slip) if hit == Cause.TAKE_PROFIT else f64(flags.stops_slip)
    slips = 1.0 if hit == Cause.TIME else slips
    return price, slips
