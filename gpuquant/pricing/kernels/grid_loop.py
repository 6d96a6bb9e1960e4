"""The grid walk: the values of one row on a grid of log prices, and of a second factor where there
is one, from maturity back to today; one body for any device.

A unit of work is a row. Its value, in money of maturity, solves

    V_t + a V_x + b V_xx / 2 + p V_y + s V_yy / 2 + c V_xy = 0

with the model's `diffusion`: the drift a and the variance rate b of the log price x, those of the
factor y, p and s, and the rate c of their covariance. Derivatives are differences of the second
order on an uneven grid, one-sided at the ends of the factor. Steps in time are those of Craig and
Sneyd with weight 1/2, implicit along one axis after the other. The first two are four half steps
with weight 1, which dampen the kinks of the payment (Rannacher, 1984).

A payoff that is watched has two values: ALIVE, between its levels, and AFTER a level was touched.
At a level the first is worth the second. At the other ends of the grid the amount is that of the
forward.

This module is kernel source, and `grid_terms` has its other half; `grid_launch` adds the names that
are not defined here: the functions of the members (`diffusion`, `discount`, `start`, `finish`,
`observe_bridge`) and the constants of `grid_records`. `pricing.grids` makes the grids.

References
----------
Craig and Sneyd (1988); In 't Hout and Foulon (2010), for Heston's model.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.pricing.kernels.grid_records import Grid, flags
from gpuquant.pricing.kernels.grid_terms import (
    correct,
    differentiate,
    explicit,
    factor_across,
    factor_along,
    set_weights,
    sweep_across,
    sweep_along,
)


def grid_loop(unit, lane0, fields, grid: Grid):
    """Walk row `unit` back from maturity to today."""
    row = load_row(fields, 0, unit)
    watched = grid.marks[unit, HAS_LOW] + grid.marks[unit, HAS_HIGH] > 0.0
    twice = watched and grid.marks[unit, IS_AMOUNT] == 0.0
    begin_values(row, unit, lane0, grid)
    years = row[MATURITY]
    left = 0.0
    for n in range(grid.steps):
        before = left
        left = grid.left[unit, n]
        length = left - before
        middle = years - 0.5 * (left + before)
        half = length if n < DAMPED else 0.5 * length  # the implicit half of a step, or all of it
        if n == 0 or flags.moving:
            set_weights(row, unit, lane0, grid, middle)
            factor_across(unit, grid, half)
        for turn in range(2):
            value = 1 - turn  # AFTER, then ALIVE
            if value == ALIVE or twice:
                first = i64(grid.marks[unit, FIRST]) if value == ALIVE else 0
                last = i64(grid.marks[unit, LAST]) if value == ALIVE else grid.nodes - 1
                if n == 0 or flags.moving or twice:
                    factor_along(unit, lane0, grid, first, last, half)
                low = value == ALIVE and grid.marks[unit, HAS_LOW] > 0.0
                high = value == ALIVE and grid.marks[unit, HAS_HIGH] > 0.0
                differentiate(unit, lane0, grid, value, first, last)
                explicit(unit, lane0, grid, value, first, last, length)
                set_end(row, unit, lane0, grid, value, first, low, middle, left)
                set_end(row, unit, lane0, grid, value, last, high, middle, left)
                sweep_along(unit, lane0, grid, first, last, half)
                if flags.factor:
                    sweep_across(unit, lane0, grid, half)
                    set_end(row, unit, lane0, grid, value, first, low, middle, left)
                    set_end(row, unit, lane0, grid, value, last, high, middle, left)
                    correct(unit, lane0, grid, first, last, half)
                    sweep_along(unit, lane0, grid, first, last, half)
                    sweep_across(unit, lane0, grid, half)
                    set_end(row, unit, lane0, grid, value, first, low, middle, left)
                    set_end(row, unit, lane0, grid, value, last, high, middle, left)
                keep(unit, lane0, grid, value, first, last)


def touched(row, acc, level, growth):
    """The accumulator after the price has touched a level."""
    seen = acc
    if flags.watched:
        seen = observe_bridge(
            row, 0, acc, (level,), (level,), (TINY, TINY, 0.0), 0.0, growth, (0.5,)
        )
    return seen


def alive(row, unit, grid: Grid):
    """The accumulator today; a row that has touched a level already has the one after it."""
    spot = grid.marks[unit, TODAY]
    growth = discount(row, 0, 0.0) / discount(row, 0, row[MATURITY])
    return touched(row, start(row, 0, (spot,), growth), spot, growth)


def amount_after(row, acc, level, time, x):
    """What is paid at a last log price x, where a level was touched at `time`."""
    growth = discount(row, 0, time) / discount(row, 0, row[MATURITY])
    return finish(row, 0, touched(row, acc, level, growth), (x,))


def begin_values(row, unit, lane0, grid: Grid):
    """The values at maturity: means of what is paid over the cell of each node. Both halves of a
    cell have as many points: a jump at a node falls between them.
    """
    acc = alive(row, unit, grid)
    low = grid.xs[unit, i64(grid.marks[unit, FIRST])]
    high = grid.xs[unit, i64(grid.marks[unit, LAST])]
    level = low if grid.marks[unit, HAS_LOW] > 0.0 else high
    for i in range(grid.nodes):
        x = grid.xs[unit, i]
        below = 0.5 * (x - grid.xs[unit, max(i - 1, 0)])
        above = 0.5 * (grid.xs[unit, min(i + 1, grid.nodes - 1)] - x)
        mean, after = 0.0, 0.0
        for q in range(2 * PARTS):
            width = below if q < PARTS else above
            at = x + width * ((f64(q) + 0.5) / f64(PARTS) - 1.0)
            weight = width / (f64(PARTS) * (below + above))
            mean += weight * finish(row, 0, acc, (at,))
            if flags.watched:
                after += weight * amount_after(row, acc, level, row[MATURITY], at)
        for chunk in range(grid.pitch // WIDTH):
            for lane in lanes():
                k = i * grid.pitch + chunk * WIDTH + lane0 + lane
                grid.work[unit, ALIVE, k] = mean
                grid.work[unit, AFTER, k] = after


def set_end(row, unit, lane0, grid: Grid, value, end, is_level, middle, left):
    """NOW at an end of the grid: at a level what the row is worth once it is touched, else the
    amount of the forward.
    """
    acc = alive(row, unit, grid)
    low = grid.xs[unit, i64(grid.marks[unit, FIRST])]
    high = grid.xs[unit, i64(grid.marks[unit, LAST])]
    level = low if grid.marks[unit, HAS_LOW] > 0.0 else high
    x = grid.xs[unit, end]
    law = diffusion(row, 0, middle, (x, grid.lines[unit, NODE, grid.factors // 2]))
    forward = x + (law[0] + 0.5 * law[1]) * left
    amount = finish(row, 0, acc, (forward,))
    same = 0.0  # how much of what the row is worth after a touch counts
    if flags.watched:
        if value == AFTER:
            amount = amount_after(row, acc, level, row[MATURITY], forward)
        if is_level:
            amount = amount_after(row, acc, x, row[MATURITY] - left, x)
            if grid.marks[unit, IS_AMOUNT] == 0.0:
                amount -= amount_after(row, acc, x, row[MATURITY], x)
                same = 1.0
    new = array((1, LANES), f64)
    for chunk in range(grid.pitch // WIDTH):
        here = end * grid.pitch + chunk * WIDTH + lane0
        for lane in lanes():
            new[0, lane] = amount + same * grid.work[unit, AFTER, here + lane]
        for lane in lanes():
            grid.work[unit, NOW, here + lane] = new[0, lane]


def keep(unit, lane0, grid: Grid, value, first, last):
    """The values after the step."""
    for i in range(first, last + 1):
        for chunk in range(grid.pitch // WIDTH):
            here = i * grid.pitch + chunk * WIDTH + lane0
            for lane in lanes():
                grid.work[unit, value, here + lane] = grid.work[unit, NOW, here + lane]
