"""The prices of a position's stops: where they are set, and how a trailing stop moves.

Kernel source. With `side` 1 for a long position and -1 for a short, prices times `side` read as
those of a long one: a stop is met from above, a take-profit from below.
"""
# mypy: ignore-errors

from __future__ import annotations

from gpuquant.backtesting.kernels.records import Position, Run


def set_stop_levels(run: Run, position: Position, entry):
    """Set the prices of a new position's stops, entered at the price `entry`."""
    side = 1.0 if position.units > 0.0 else -1.0
    loss = entry * (1.0 - side * run.settings.stop_loss)
    trailing = entry * (1.0 - side * run.settings.trailing)
    position.best_price = entry
    position.loss_price = loss
    position.stop_price = side * max(side * loss, side * trailing)
    position.profit_price = entry * (1.0 + side * run.settings.take_profit)


def move_trailing_stop(run: Run, position: Position, side, top):
    """Draw the trailing stop after the best price, `side * top`, if that is new."""
    if top > side * position.best_price:
        trailing = top * (1.0 - side * run.settings.trailing)
        position.best_price = side * top
        position.stop_price = side * max(side * position.loss_price, trailing)
