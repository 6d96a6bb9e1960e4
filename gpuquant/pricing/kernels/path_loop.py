"""The pricing walk: one body for any model, any payoff and any device.

A unit of work is (row, range of paths). Its lanes walk the model while the payoff observes; each
block of WIDTH paths draws four steps at a time into L1 (registers on a GPU) and then moves all
lanes through each of them. A row may be walked in several variants (bumped columns) on the same
draws; OUTPUTS linear combinations of their values (the price, the Greeks) are averaged, so that
each carries its own standard error.

These functions are source: the names they do not define (`begin`, `step`, `load_state`, NX, ...)
are put around them by `compiler/kernel.py`, one kernel per model, payoff, precision and target.
"""
# mypy: ignore-errors
# ruff: noqa: F821


def draw(lane_data, path, group, stream, purpose, k0, k1):
    """The normals and uniforms of four steps, for each lane: the layout of `rng`."""
    for call in unrolled(NORMALS):
        at = DRAWS + 4 * call
        for lane in lanes():
            c0, c1, c2, c3 = counter(
                path + lane, group * (NORMALS + UNIFORMS) + call, stream, purpose
            )
            a, b, c, d = philox(c0, c1, c2, c3, k0, k1)
            lane_data[at, lane], lane_data[at + 1, lane] = normals(a, b)
            lane_data[at + 2, lane], lane_data[at + 3, lane] = normals(c, d)
    for call in unrolled(UNIFORMS):
        at = DRAWS + 4 * (NORMALS + call)
        for lane in lanes():
            c0, c1, c2, c3 = counter(
                path + lane, group * (NORMALS + UNIFORMS) + NORMALS + call, stream, purpose
            )
            a, b, c, d = philox(c0, c1, c2, c3, k0, k1)
            lane_data[at, lane] = uniform(a)
            lane_data[at + 1, lane] = uniform(b)
            lane_data[at + 2, lane] = uniform(c)
            lane_data[at + 3, lane] = uniform(d)


def watch(lane_data, path, group, stream, purpose, k0, k1):
    """The payoff's own uniforms of four steps: counters of another purpose, so that no payoff
    moves a model's draws.
    """
    for call in unrolled(WATCHED):
        at = DRAWS + 4 * (NORMALS + UNIFORMS + call)
        for lane in lanes():
            c0, c1, c2, c3 = counter(path + lane, group * WATCHED + call, stream, purpose + u32(8))
            a, b, c, d = philox(c0, c1, c2, c3, k0, k1)
            lane_data[at, lane] = uniform(a)
            lane_data[at + 1, lane] = uniform(b)
            lane_data[at + 2, lane] = uniform(c)
            lane_data[at + 3, lane] = uniform(d)


def stepped(lane_data, c, state, k, lane, j):
    """The state of one lane after step `j`, the `k`-th of its group."""
    z = load_normals(lane_data, DRAWS + k * NORMALS, lane)
    u = load_uniforms(lane_data, DRAWS + 4 * NORMALS + k * UNIFORMS, lane)
    return step(c, state, z, u, F(j))


def advance(lane_data, constants, values, variant, k, j, dated, date, when, dt):
    """All lanes of one variant through step `j`; the payoff sees the bridge between its ends
    where it watches it, and its end where it is a date.
    """
    c = load_constants(constants, variant * NC, 0)
    row = load_row(values, variant * NF, 0)
    growth = F(1.0)
    if GROWN:
        growth = discount(row, 0, when - F(EARLY) * dt) / discount(row, 0, row[MATURITY])
    if BRIDGED:
        for lane in lanes():
            before = load_state(lane_data, variant * NX, lane)
            state = stepped(lane_data, c, before, k, lane, j)
            w = load_watched(lane_data, DRAWS + 4 * (NORMALS + UNIFORMS) + k * WATCHED, lane)
            acc = load_acc(lane_data, ACC + variant * NA, lane)
            seen = between(
                row,
                0,
                acc,
                log_spots(before),
                log_spots(state),
                bridge_variance(c, before, state),
                F(date),
                growth,
                w,
            )
            store_state(lane_data, variant * NX, lane, state)
            store_acc(lane_data, ACC + variant * NA, lane, seen)
        if OBSERVED and dated:
            if GROWN:
                growth = discount(row, 0, when) / discount(row, 0, row[MATURITY])
            for lane in lanes():
                state = load_state(lane_data, variant * NX, lane)
                seen = observe(
                    row,
                    0,
                    load_acc(lane_data, ACC + variant * NA, lane),
                    log_spots(state),
                    F(date),
                    growth,
                )
                store_acc(lane_data, ACC + variant * NA, lane, seen)
    else:
        if dated:
            for lane in lanes():
                state = stepped(lane_data, c, load_state(lane_data, variant * NX, lane), k, lane, j)
                store_state(lane_data, variant * NX, lane, state)
                seen = observe(
                    row,
                    0,
                    load_acc(lane_data, ACC + variant * NA, lane),
                    log_spots(state),
                    F(date),
                    growth,
                )
                store_acc(lane_data, ACC + variant * NA, lane, seen)
        else:
            for lane in lanes():
                store_state(
                    lane_data,
                    variant * NX,
                    lane,
                    stepped(lane_data, c, load_state(lane_data, variant * NX, lane), k, lane, j),
                )


def embark(lane_data, constants, values, variant, dt, t, fresh):
    """The constants of the steps of length `dt` from time `t`; on a fresh path the first state
    and accumulator, too.
    """
    r = load_row(values, variant * NF, 0)
    c, state = begin(r, 0, dt, t)
    store_constants(constants, variant * NC, 0, c)
    if fresh:
        nothing = start(r, 0, log_spots(state), F(1.0) / discount(r, 0, r[MATURITY]))
        for lane in lanes():
            store_state(lane_data, variant * NX, lane, state)
            store_acc(lane_data, ACC + variant * NA, lane, nothing)


def walk(
    unit,
    lane0,
    unit_row,
    unit_first,
    unit_count,
    spans,
    ends,
    dts,
    everies,
    streams,
    fields,
    at,
    scale,
    shift,
    weights,
    purpose,
    k0,
    k1,
    stop,
    out,
):
    """Price one unit: `out[unit, o]` becomes (paths, mean, sums of squares and of cubes about it)
    of output `o`.

    `fields` holds every column of model and payoff end to end; column f of row r is `fields[at[f,
    0] + r * at[f, 1]]`, and a variant sees it times `scale[variant, f]` plus `shift[variant, f]`. A
    row's time grid is its spans `spans[row]` to `spans[row + 1] - 1`: span s has equal steps of
    `dts[s]` years up to step `ends[span]`, and every `everies[s]`-th is a date. Where `stop[0]` is
    set, what is left of the walk is skipped, and `out` means nothing.
    """
    row = unit_row[unit]
    first = unit_first[unit]
    count = unit_count[unit]
    values = array((BATCH * NF, 1), F)
    constants = array((BATCH * NC, 1), F)
    moved = array((BATCH, 2), F)
    # States, accumulators and draws share one array: the compiler then sees that they do not
    # overlap (15 % of an Asian).
    lane_data = array((DRAWS + 4 * (NORMALS + UNIFORMS + WATCHED), LANES), F)
    paid = array((1, LANES), f64)
    total = array((OUTPUTS, LANES), f64)
    pivot = array((OUTPUTS, LANES), f64)
    stats = array((OUTPUTS, 4, LANES), f64)
    for o in unrolled(OUTPUTS):
        for lane in lanes():
            stats[o, 0, lane] = 0.0
            stats[o, 1, lane] = 0.0
            stats[o, 2, lane] = 0.0
            stats[o, 3, lane] = 0.0
            pivot[o, lane] = 0.0
    for block in range(0, count, WIDTH):
        for o in unrolled(OUTPUTS):
            for lane in lanes():
                total[o, lane] = 0.0
        for base in range(0, VARIANTS, BATCH):
            for v in unrolled(BATCH):
                for f in unrolled(NF):
                    values[v * NF + f, 0] = (
                        fields[at[f, 0] + row * at[f, 1]] * scale[base + v, f] + shift[base + v, f]
                    )
            t = F(0.0)
            begun = 0
            drawn = -1
            date = 0
            for span in range(spans[row], spans[row + 1]):
                due = begun + everies[span]
                for v in unrolled(
                    BATCH
                ):  # a variant with another maturity has it in its first span
                    later = values[v * NF + MATURITY, 0] - F(
                        fields[at[MATURITY, 0] + row * at[MATURITY, 1]]
                    )
                    moved[v, 0] = t + (later if begun > 0 else F(0.0))
                    moved[v, 1] = F(dts[span]) + (later / F(ends[span]) if begun == 0 else F(0.0))
                    embark(lane_data, constants, values, v, moved[v, 1], moved[v, 0], begun == 0)
                for group in range(begun // 4, (ends[span] + 3) // 4):
                    if halted(stop) == 0:
                        if group != drawn:  # a group may reach from one span into the next
                            draw(
                                lane_data,
                                first + block + lane0,
                                group,
                                streams[row],
                                purpose,
                                k0,
                                k1,
                            )
                            if WATCHED > 0:
                                watch(
                                    lane_data,
                                    first + block + lane0,
                                    group,
                                    streams[row],
                                    purpose,
                                    k0,
                                    k1,
                                )
                            drawn = group
                        for k in part(4, max(begun - group * 4, 0), min(ends[span] - group * 4, 4)):
                            j = group * 4 + k
                            dated = j + 1 == due
                            for v in unrolled(BATCH):
                                when = moved[v, 0] + F(j - begun + 1) * moved[v, 1]
                                advance(
                                    lane_data,
                                    constants,
                                    values,
                                    v,
                                    k,
                                    j,
                                    dated,
                                    date,
                                    when,
                                    moved[v, 1],
                                )
                            date += 1 if dated else 0
                            due += everies[span] if dated else 0
                t += F(dts[span]) * F(ends[span] - begun)
                begun = ends[span]
            for v in unrolled(BATCH):
                r = load_row(values, v * NF, 0)
                worth = discount(r, 0, r[MATURITY])
                for lane in lanes():
                    state = load_state(lane_data, v * NX, lane)
                    amount = finish(r, 0, load_acc(lane_data, ACC + v * NA, lane), log_spots(state))
                    if RANDOM:
                        paid[0, lane] = f64(deflator(state) * amount)
                    else:
                        paid[0, lane] = f64(worth * amount)
                for o in unrolled(OUTPUTS):
                    weight = weights[o, base + v]
                    for lane in lanes():
                        total[o, lane] += weight * paid[0, lane]
        # Sums about each lane's first value: no cancellation, and a constant payoff has a standard
        # error of exactly zero.
        for o in unrolled(OUTPUTS):
            for lane in lanes():
                live = 1.0 if block + lane0 + lane < count else 0.0
                pivot[o, lane] = total[o, lane] if block == 0 else pivot[o, lane]
                d = live * (total[o, lane] - pivot[o, lane])
                stats[o, 0, lane] += live
                stats[o, 1, lane] += d
                stats[o, 2, lane] += d * d
                stats[o, 3, lane] += d * d * d
    for o in unrolled(OUTPUTS):
        for lane in lanes():
            m = max(stats[o, 0, lane], 1.0)
            s = stats[o, 1, lane]
            stats[o, 1, lane] = pivot[o, lane] + s / m
            stats[o, 3, lane] += 2.0 * s * s * s / (m * m) - 3.0 * s * stats[o, 2, lane] / m
            stats[o, 2, lane] = max(stats[o, 2, lane] - s * s / m, 0.0)
        combine(stats, o, WIDTH)
        if lane0 == 0:
            for part in unrolled(4):
                out[unit, o, part] = stats[o, part, 0]
