"""The path loop: one body for any model, any payoff and any device.

A unit of work is a range of paths of one row. Its lanes simulate the model while the payoff
observes: each block of WIDTH paths draws four steps at a time into L1 (registers on a GPU) and then
moves all lanes through each of them. A row may be simulated in several variants (bumped columns) on
the same draws; OUTPUTS linear combinations of their payments (the price, the Greeks) are averaged,
so that each has its own standard error.

This module is kernel source. `build.py` adds the names that are not defined here: the functions of
the members (`begin`, `step`, `log_spots`, `discount`, `start`, `observe`, `observe_bridge`,
`finish`), those of the control variate (`control_start`, `control_observe`, `control_finish`) and
the constants that `records.py` lists. A member's function gets one row of its columns, so its
second argument, the row index, is 0. The compiler replaces every call of a function of this module
by its body. On a GPU it also unrolls the loops over variants and fields, so that every index is a
constant and every record lives in registers.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.compiler.reduction import Sums
from gpuquant.pricing.kernels.drawing import draw_group, draw_payoff_uniforms, join_draws
from gpuquant.pricing.kernels.payments import (
    add_block,
    add_payments,
    centre_sums,
    subtract_control,
)
from gpuquant.pricing.kernels.records import (
    Bridge,
    Counter,
    Drawn,
    Path,
    Payment,
    Step,
    Streams,
    Table,
    Tiles,
    TimeGrid,
    Variant,
    Variants,
    flags,
)
from gpuquant.pricing.kernels.sobol_draws import begin_bridge


def step_path(c, state, draws, k, lane, now: Step):
    """The state after a step that ends with the `k`-th of a group."""
    z = load_normals(draws, k * NORMALS, lane)
    u = load_uniforms(draws, 4 * NORMALS + k * UNIFORMS, lane)
    if flags.coupled and now.every == 2:
        z = load_normals(draws, DRAWS + k // 2 * NORMALS, lane)
        u = load_uniforms(draws, DRAWS + 4 * NORMALS + k // 2 * UNIFORMS, lane)
    return step(c, state, z, u, F(now.number))


def watched_path(draws, k, lane, now: Step):
    """The payoff's own uniforms of a step that ends with the `k`-th of a group."""
    w = load_watched(draws, 4 * (NORMALS + UNIFORMS) + k * WATCHED, lane)
    if flags.coupled and now.every == 2:
        w = load_watched(draws, DRAWS + 4 * (NORMALS + UNIFORMS) + k // 2 * WATCHED, lane)
    return w


def growth_to_maturity(row, time):
    """The value at maturity of 1 paid at `time`.

    A bridge tells that a payment falls within a step, but not when. The payment is then taken at
    the middle of the step: EARLY is 1/2.
    """
    return discount(row, 0, time) / discount(row, 0, row[MATURITY])


def step_lanes(variant: Variant, paths: list[Path], v, draws, k, now: Step):
    """Move all lanes of variant `v` through one step.

    A payoff with continuous monitoring observes the bridge between the ends of the step. A payoff
    with dates observes the end of the step if that end is a date.
    """
    row = variant.row
    c = variant.constants
    growth = F(1.0)
    if flags.pays_early:
        growth = growth_to_maturity(row, now.time - F(EARLY) * variant.dt)
    if flags.bridged:
        for lane in lanes():
            path = paths[v, lane]
            before = path.state
            state = step_path(c, before, draws, k, lane, now)
            w = watched_path(draws, k, lane, now)
            between = bridge(c, before, state)
            ends = log_spots(before), log_spots(state)
            path.seen = observe_bridge(
                row, 0, path.seen, ends[0], ends[1], between, F(now.date), growth, w
            )
            path.state = state
        if flags.observed and now.dated:
            if flags.pays_early:
                growth = growth_to_maturity(row, now.time)
            for lane in lanes():
                observe_date(row, paths[v, lane], now, growth)
    else:
        if now.dated:
            for lane in lanes():
                path = paths[v, lane]
                state = step_path(c, path.state, draws, k, lane, now)
                path.state = state
                observe_date(row, path, now, growth)
        else:
            for lane in lanes():
                path = paths[v, lane]
                path.state = step_path(c, path.state, draws, k, lane, now)


def step_variant(variant: Variant, paths: list[Path], v, draws, k, number, done, dated, date):
    """Move all lanes of variant `v` through the step that ends with step `number` of the grid, if
    one does. `done` steps were before the span.
    """
    every = 1
    if flags.coupled:
        every = variant.every
    if (number + 1) % every == 0:
        taken = number // every
        end = variant.start + F(taken - done // every + 1) * variant.dt
        step_lanes(variant, paths, v, draws, k, Step(taken, dated, date, end, every))


def observe_date(row, path: Path, now: Step, growth):
    """The payoff, and its control variate, observe the prices of a path at a date."""
    spots = log_spots(path.state)
    path.seen = observe(row, 0, path.seen, spots, F(now.date), growth)
    if flags.control_observed:
        path.seen_by_control = control_observe(
            row, 0, path.seen_by_control, spots, F(now.date), growth
        )


def read_row(variant: Variant, table: Table, variants: Variants, grid: TimeGrid, r, v):
    """Read row `r` with the bumps of variant `v`, and with its slopes."""
    first = F(grid.dts[grid.spans[r]]) * F(grid.ends[grid.spans[r]])
    for f in unrolled(NF):
        number = table.numbers[table.at[f, 0] + r * table.at[f, 1]]
        scale = with_slopes(variants.scale[v, f], load_slopes(variants.slopes, 0, f))
        spot = with_slopes(variants.spot[v, f], load_slopes(variants.slopes, SLOPES, f))
        shift = with_slopes(variants.shift[v, f], load_slopes(variants.slopes, 2 * SLOPES, f))
        later = with_slopes(variants.later[v, f], load_slopes(variants.slopes, 3 * SLOPES, f))
        bumped = number * (scale + spot * table.bumps[r]) + shift
        variant.row[f] = bumped + later * first
    maturity = table.numbers[table.at[MATURITY, 0] + r * table.at[MATURITY, 1]]
    variant.longer = variant.row[MATURITY] - F(maturity)
    variant.every = 1
    if flags.coupled:
        variant.every = 2 if v >= VARIANTS // 2 else 1


def initialize_step(variant: Variant, paths: list[Path], v, fresh):
    """Set the constants of the steps of a variant's span. On fresh paths also set the first state
    and the payoff's accumulator.
    """
    row = variant.row
    c, state = begin(row, 0, variant.dt, variant.start)
    variant.constants = c
    if fresh:
        seen = start(row, 0, log_spots(state), F(1.0) / discount(row, 0, row[MATURITY]))
        for lane in lanes():
            paths[v, lane].state = state
            paths[v, lane].seen = seen
        if flags.controlled:
            control = control_start(
                row, 0, log_spots(state), F(1.0) / discount(row, 0, row[MATURITY])
            )
            for lane in lanes():
                paths[v, lane].seen_by_control = control


def walk_paths(
    variants: list[Variant],
    paths: list[Path],
    brownian: Bridge,
    drawn: Drawn,
    grid: TimeGrid,
    r,
    begin_at: Counter,
    stop,
    out,
):
    """Walk all lanes of all variants from today to maturity.

    A span begins at a date. A bumped maturity lengthens every step of the first span, which ends at
    the first date, and moves the later spans.
    """
    draws = drawn.numbers
    time = F(0.0)
    done = 0  # steps
    last = -1  # group drawn
    steps = grid.ends[grid.spans[r + 1] - 1]
    begin_bridge(brownian)
    date = 0
    for span in range(grid.spans[r], grid.spans[r + 1]):
        due = done + grid.everies[span]
        for v in unrolled(BATCH):
            variant = variants[v]
            longer = variant.longer
            variant.start = time + (longer if done > 0 else F(0.0))
            variant.dt = F(grid.dts[span]) + (longer / F(grid.ends[span]) if done == 0 else F(0.0))
            if flags.coupled:
                variant.dt *= F(variant.every)
            initialize_step(variant, paths, v, done == 0)
        if flags.recorded and done == 0:
            record_prices(paths, begin_at.path, 0, out)
        for group in range(done // 4, (grid.ends[span] + 3) // 4):
            if halted(stop) == 0:
                if group != last:  # a group may reach from one span into the next
                    draw_group(brownian, drawn, begin_at, steps, group)
                    if WATCHED > 0:
                        draw_payoff_uniforms(draws, begin_at, group)
                    if flags.coupled:
                        join_draws(draws)
                    last = group
                for k in part(4, max(done - group * 4, 0), min(grid.ends[span] - group * 4, 4)):
                    number = group * 4 + k
                    dated = number + 1 == due
                    for v in unrolled(BATCH):
                        step_variant(variants[v], paths, v, draws, k, number, done, dated, date)
                    if flags.recorded:
                        record_prices(paths, begin_at.path, number + 1, out)
                    date += 1 if dated else 0
                    due += grid.everies[span] if dated else 0
        time += F(grid.dts[span]) * F(grid.ends[span] - done)
        done = grid.ends[span]


def record_prices(paths: list[Path], first, number, out):
    """Write the log prices after so many steps: `out[number * ASSETS + asset, path]`."""
    for lane in lanes():
        if first + lane < out.shape[1]:
            store_prices(out, number * ASSETS, first + lane, log_spots(paths[0, lane].state))


def path_loop(
    unit,
    lane0,
    tiles: Tiles,
    grid: TimeGrid,
    table: Table,
    variants: Variants,
    streams: Streams,
    stop,
    out,
):
    """Price one tile, number `unit`: `out[unit, o]` becomes (paths, mean, sums of squares and of
    cubes about it) of output `o`.

    This call computes the lanes from `lane0` to `lane0 + LANES - 1` of each block of WIDTH paths.
    On a CPU these are all lanes. On a GPU a tile is a thread block, and each thread computes one
    lane. Lanes beyond the last path are computed but not counted. Once `stop[0]` is set, the
    remaining paths are skipped, and the contents of `out` are not valid.
    """
    r = tiles.row[unit]
    count = tiles.count[unit]
    rows = records(Variant, BATCH)
    paths = records(Path, (BATCH, LANES))
    brownian = Bridge()
    drawn = Drawn(
        array((KEPT, LANES), F),
        array((PARTS * NORMALS + 1, LANES), F),
        array(((LEVELS + 2) * NORMALS + 1, LANES), F),
        array((LEVELS + 1,), i64),
        array((LEVELS + 1,), i64),
    )
    paid = array((PAID, LANES), f64)
    payments = records(Payment, (OUTPUTS, LANES))
    sums = records(Sums, (OUTPUTS, LANES))
    for o in unrolled(OUTPUTS):
        for lane in lanes():
            clear(payments[o, lane])
            clear(sums[o, lane])
    for block in range(0, count, WIDTH):
        for o in unrolled(OUTPUTS):
            for lane in lanes():
                payments[o, lane].total = 0.0
        path = tiles.first[unit] + block + lane0
        path += tiles.net[unit] << 32
        begin_at = Counter(
            path, streams.streams[r], streams.purpose, streams.key0, streams.key1,
            streams.nets, streams.rotations,
        )  # fmt: skip
        for base in range(0, VARIANTS, BATCH):
            for v in unrolled(BATCH):
                read_row(rows[v], table, variants, grid, r, base + v)
            walk_paths(rows, paths, brownian, drawn, grid, r, begin_at, stop, out)
            for v in unrolled(BATCH):
                add_payments(rows[v], paths, payments, paid, v, variants.weights, base + v)
                if flags.controlled:
                    subtract_control(
                        rows[v], paths, payments, paid, v, variants.weights, base + v,
                        table.betas, r,
                    )  # fmt: skip
        add_block(payments, sums, block, lane0, count)
    for o in unrolled(OUTPUTS):
        centre_sums(payments, sums, o)
        combine(sums, o, WIDTH)
        if lane0 == 0:
            write_fields(sums[o, 0], out, unit, o, 0)
