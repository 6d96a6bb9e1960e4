"""The terms of the equation of the grid walk, and the steps along one axis after the other.

This module is kernel source, as `grid_loop`, whose helpers its functions are. Lanes are nodes of
the factor, but in sweeps along the factor nodes of the log price. What a loop over lanes computes
goes to memory of its own first, so that LLVM need not ask whether it overwrites what it reads.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.pricing.kernels.grid_records import Grid, flags


def set_weights(row, unit, lane0, grid: Grid, time):
    """The weights of the neighbours of each node, per year."""
    barrier()
    new = array((3, LANES), f64)
    for i in range(1, grid.nodes - 1):
        x = grid.xs[unit, i]
        below, above = x - grid.xs[unit, i - 1], grid.xs[unit, i + 1] - x
        for chunk in range(grid.pitch // WIDTH):
            for lane in lanes():
                y = grid.lines[unit, NODE, chunk * WIDTH + lane0 + lane]
                law = diffusion(row, 0, time, (x, y))
                new[0, lane], new[1, lane] = neighbours(law[0], law[1], below, above)
                new[2, lane] = 0.0
                if flags.factor:
                    new[2, lane] = law[4]
            for lane in lanes():
                k = i * grid.pitch + chunk * WIDTH + lane0 + lane
                grid.work[unit, LOWER, k] = new[0, lane]
                grid.work[unit, UPPER, k] = new[1, lane]
                grid.work[unit, TOGETHER, k] = new[2, lane]
    if flags.factor:
        for j in range(grid.factors):
            y = grid.lines[unit, NODE, j]
            law = diffusion(row, 0, time, (grid.marks[unit, TODAY], y))
            below = y - grid.lines[unit, NODE, max(j - 1, 0)]
            above = grid.lines[unit, NODE, min(j + 1, grid.factors - 1)] - y
            drift, variance = law[2], law[3]
            inside = j > 0 and j < grid.factors - 1
            lower, upper = neighbours(
                drift, variance, below if inside else 1.0, above if inside else 1.0
            )
            whole = below + above
            grid.lines[unit, BELOW, j] = (
                lower if inside else (max(-drift, 0.0) / below if j > 0 else 0.0)
            )
            grid.lines[unit, ABOVE, j] = (
                upper if inside else (max(drift, 0.0) / above if j == 0 else 0.0)
            )
            grid.lines[unit, DOWN, j] = -above / (below * whole) if inside else 0.0
            grid.lines[unit, UP, j] = below / (above * whole) if inside else 0.0


def neighbours(drift, variance, below, above):
    """The weights of the node below and of the node above in a V_x + b V_xx / 2."""
    whole = below + above
    lower = (variance - drift * above) / (below * whole)
    upper = (variance + drift * below) / (above * whole)
    return lower, upper


def factor_across(unit, grid: Grid, half):
    """The elimination of the implicit system along the factor."""
    if flags.factor:
        share = 0.0
        for j in range(grid.factors):
            below, above = grid.lines[unit, BELOW, j], grid.lines[unit, ABOVE, j]
            pivot = 1.0 / (1.0 + half * (below + above) - half * below * share)
            share = half * above * pivot
            grid.lines[unit, PIVOTS, j] = pivot
            grid.lines[unit, SHARES, j] = share


def factor_along(unit, lane0, grid: Grid, first, last, half):
    """The elimination of the implicit systems along the log price."""
    new = array((2, LANES), f64)
    for chunk in range(grid.pitch // WIDTH):
        for lane in lanes():
            new[1, lane] = 0.0
        for i in range(first + 1, last):
            here = i * grid.pitch + chunk * WIDTH + lane0
            for lane in lanes():
                lower = grid.work[unit, LOWER, here + lane]
                upper = grid.work[unit, UPPER, here + lane]
                pivot = 1.0 / (1.0 + half * (lower + upper) - half * lower * new[1, lane])
                new[0, lane] = pivot
                new[1, lane] = half * upper * pivot
            for lane in lanes():
                grid.work[unit, PIVOT, here + lane] = new[0, lane]
                grid.work[unit, SHARE, here + lane] = new[1, lane]


def differentiate(unit, lane0, grid: Grid, value, first, last):
    """The terms of the equation, now: along the log price, across it, and mixed."""
    barrier()
    new = array((3, LANES), f64)
    if flags.factor:
        slopes(unit, lane0, grid, value, first, last)
    for i in range(first + 1, last):
        below = grid.xs[unit, i] - grid.xs[unit, i - 1]
        above = grid.xs[unit, i + 1] - grid.xs[unit, i]
        for chunk in range(grid.pitch // WIDTH):
            at = chunk * WIDTH + lane0
            here = i * grid.pitch + at
            for lane in lanes():
                k = here + lane
                now = grid.work[unit, value, k]
                new[0, lane] = grid.work[unit, LOWER, k] * (
                    grid.work[unit, value, k - grid.pitch] - now
                ) + grid.work[unit, UPPER, k] * (grid.work[unit, value, k + grid.pitch] - now)
                new[1, lane] = 0.0
                new[2, lane] = 0.0
                if flags.factor:
                    new[1, lane] = grid.lines[unit, BELOW, at + lane] * (
                        grid.work[unit, value, k - 1] - now
                    ) + grid.lines[unit, ABOVE, at + lane] * (grid.work[unit, value, k + 1] - now)
                    new[2, lane] = mixed(unit, grid, k, below, above)
            for lane in lanes():
                grid.work[unit, ALONG, here + lane] = new[0, lane]
                grid.work[unit, ACROSS, here + lane] = new[1, lane]
                grid.work[unit, MIXED, here + lane] = new[2, lane]


def slopes(unit, lane0, grid: Grid, value, first, last):
    """The slopes of a value along the factor, by central differences; zero at its ends."""
    new = array((1, LANES), f64)
    for i in range(max(first, 1), min(last, grid.nodes - 2) + 1):
        for chunk in range(grid.pitch // WIDTH):
            at = chunk * WIDTH + lane0
            here = i * grid.pitch + at
            for lane in lanes():
                now = grid.work[unit, value, here + lane]
                new[0, lane] = grid.lines[unit, DOWN, at + lane] * (
                    grid.work[unit, value, here + lane - 1] - now
                ) + grid.lines[unit, UP, at + lane] * (
                    grid.work[unit, value, here + lane + 1] - now
                )
            for lane in lanes():
                grid.work[unit, SLOPE, here + lane] = new[0, lane]
    barrier()


def mixed(unit, grid: Grid, k, below, above):
    """The term of the covariance at a node, from the slopes along the factor."""
    whole = below + above
    here = grid.work[unit, SLOPE, k]
    return grid.work[unit, TOGETHER, k] * (
        -above / (below * whole) * (grid.work[unit, SLOPE, k - grid.pitch] - here)
        + below / (above * whole) * (grid.work[unit, SLOPE, k + grid.pitch] - here)
    )


def explicit(unit, lane0, grid: Grid, value, first, last, length):
    """NEXT, the values after an explicit step; NOW has them, too."""
    new = array((1, LANES), f64)
    for i in range(first + 1, last):
        for chunk in range(grid.pitch // WIDTH):
            here = i * grid.pitch + chunk * WIDTH + lane0
            for lane in lanes():
                k = here + lane
                new[0, lane] = grid.work[unit, value, k] + length * (
                    grid.work[unit, ALONG, k]
                    + grid.work[unit, ACROSS, k]
                    + grid.work[unit, MIXED, k]
                )
            for lane in lanes():
                grid.work[unit, NEXT, here + lane] = new[0, lane]
                grid.work[unit, NOW, here + lane] = new[0, lane]


def correct(unit, lane0, grid: Grid, first, last, half):
    """NEXT and NOW with the mixed term of both ends of the step."""
    barrier()
    slopes(unit, lane0, grid, NOW, first, last)
    new = array((1, LANES), f64)
    for i in range(first + 1, last):
        below = grid.xs[unit, i] - grid.xs[unit, i - 1]
        above = grid.xs[unit, i + 1] - grid.xs[unit, i]
        for chunk in range(grid.pitch // WIDTH):
            here = i * grid.pitch + chunk * WIDTH + lane0
            for lane in lanes():
                k = here + lane
                later = mixed(unit, grid, k, below, above)
                new[0, lane] = grid.work[unit, NEXT, k] + half * (later - grid.work[unit, MIXED, k])
            for lane in lanes():
                grid.work[unit, NOW, here + lane] = new[0, lane]
    barrier()


def sweep_along(unit, lane0, grid: Grid, first, last, half):
    """Solve NOW - half L NOW = NOW - half ALONG for NOW, with L the terms along the log price."""
    new = array((1, LANES), f64)
    for chunk in range(grid.pitch // WIDTH):
        at = chunk * WIDTH + lane0
        for lane in lanes():
            new[0, lane] = grid.work[unit, NOW, first * grid.pitch + at + lane]
        for i in range(first + 1, last):
            here = i * grid.pitch + at
            for lane in lanes():
                k = here + lane
                new[0, lane] = (
                    grid.work[unit, NOW, k]
                    + half * (grid.work[unit, LOWER, k] * new[0, lane] - grid.work[unit, ALONG, k])
                ) * grid.work[unit, PIVOT, k]
            for lane in lanes():
                grid.work[unit, NOW, here + lane] = new[0, lane]
        for lane in lanes():
            new[0, lane] = grid.work[unit, NOW, last * grid.pitch + at + lane]
        for back in range(last - first - 1):
            here = (last - 1 - back) * grid.pitch + at
            for lane in lanes():
                k = here + lane
                new[0, lane] = grid.work[unit, NOW, k] + grid.work[unit, SHARE, k] * new[0, lane]
            for lane in lanes():
                grid.work[unit, NOW, here + lane] = new[0, lane]


def sweep_across(unit, lane0, grid: Grid, half):
    """The same along the factor, at all log prices: `set_end` sets the ends anew."""
    barrier()
    new = array((1, LANES), f64)
    for chunk in range((grid.nodes + WIDTH - 1) // WIDTH):
        for lane in lanes():
            new[0, lane] = 0.0
        for j in range(grid.factors):
            below, pivot = grid.lines[unit, BELOW, j], grid.lines[unit, PIVOTS, j]
            for lane in lanes():
                k = (chunk * WIDTH + lane0 + lane) * grid.pitch + j
                new[0, lane] = (
                    grid.work[unit, NOW, k]
                    + half * (below * new[0, lane] - grid.work[unit, ACROSS, k])
                ) * pivot
            for lane in lanes():
                k = (chunk * WIDTH + lane0 + lane) * grid.pitch + j
                grid.work[unit, NOW, k] = new[0, lane]
        for back in range(1, grid.factors):
            j = grid.factors - 1 - back
            share = grid.lines[unit, SHARES, j]
            for lane in lanes():
                k = (chunk * WIDTH + lane0 + lane) * grid.pitch + j
                new[0, lane] = grid.work[unit, NOW, k] + share * new[0, lane]
            for lane in lanes():
                k = (chunk * WIDTH + lane0 + lane) * grid.pitch + j
                grid.work[unit, NOW, k] = new[0, lane]
    barrier()
