"""The pricing walk: one body for any model, any payoff and any device.

A unit of work is (row, range of paths). Its lanes walk the model while the payoff observes; each block of WIDTH paths draws four
steps at a time into L1 (registers on a GPU) and then moves all lanes through each of them. A row may be walked in several
variants (bumped columns) on the same draws; OUTPUTS linear combinations of their values (the price, the Greeks) are
averaged, so that each carries its own standard error.

These functions are source: the names they do not define (`begin`, `step`, `load_state`, NX, ...) are put around them by
`device/compile.py`, one generated module per model, payoff, precision and target.
"""
# mypy: ignore-errors
# ruff: noqa: F821


def draw(z, path, group, stream, purpose, k0, k1):
    """The normals and uniforms of four steps, for each lane: the layout of `rng`."""
    for call in unrolled(NORMALS):
        for lane in lanes():
            c0, c1, c2, c3 = counter(path + lane, group * (NORMALS + UNIFORMS) + call, stream, purpose)
            a, b, c, d = philox(c0, c1, c2, c3, k0, k1)
            z[4 * call, lane], z[4 * call + 1, lane] = normals(a, b)
            z[4 * call + 2, lane], z[4 * call + 3, lane] = normals(c, d)
    for call in unrolled(UNIFORMS):
        for lane in lanes():
            c0, c1, c2, c3 = counter(path + lane, group * (NORMALS + UNIFORMS) + NORMALS + call, stream, purpose)
            a, b, c, d = philox(c0, c1, c2, c3, k0, k1)
            z[4 * (NORMALS + call), lane] = uniform(a)
            z[4 * (NORMALS + call) + 1, lane] = uniform(b)
            z[4 * (NORMALS + call) + 2, lane] = uniform(c)
            z[4 * (NORMALS + call) + 3, lane] = uniform(d)


def advance_on_dates(x, acc, z, constants, values, variant, k, j, every):
    """All lanes of one variant through step `j`, the `k`-th of its group; the payoff sees every `every`-th."""
    c = load_constants(constants, variant * NC, 0)
    row = load_row(values, variant * NF, 0)
    if (j + 1) % every == 0:
        for lane in lanes():
            state = step(c, load_state(x, variant * NX, lane), load_normals(z, k * NORMALS, lane), load_uniforms(z, 4 * NORMALS + k * UNIFORMS, lane), F(j))
            store_state(x, variant * NX, lane, state)
            store_acc(acc, variant * NA, lane, observe(row, 0, load_acc(acc, variant * NA, lane), log_spots(state), F(j)))
    else:
        for lane in lanes():
            state = step(c, load_state(x, variant * NX, lane), load_normals(z, k * NORMALS, lane), load_uniforms(z, 4 * NORMALS + k * UNIFORMS, lane), F(j))
            store_state(x, variant * NX, lane, state)


def advance_with_bridge(x, acc, z, constants, values, variant, k, j, every):
    """As `advance_on_dates`, for a payoff that watches the bridge between the two ends of every step."""
    c = load_constants(constants, variant * NC, 0)
    row = load_row(values, variant * NF, 0)
    for lane in lanes():
        before = load_state(x, variant * NX, lane)
        state = step(c, before, load_normals(z, k * NORMALS, lane), load_uniforms(z, 4 * NORMALS + k * UNIFORMS, lane), F(j))
        seen = between(row, 0, load_acc(acc, variant * NA, lane), log_spots(before), log_spots(state), bridge_variance(c, before, state))
        store_state(x, variant * NX, lane, state)
        store_acc(acc, variant * NA, lane, seen)


def walk(unit, lane0, unit_row, unit_first, unit_count, steps, every, streams, fields, at, scale, shift, weights, purpose, k0, k1, out):
    """Price one unit: `out[unit, o]` becomes (paths, mean, sum of squares about it) of output `o`.

    `fields` holds every column of model and payoff end to end; column f of row r is `fields[at[f, 0] + r * at[f, 1]]`, and a
    variant sees it times `scale[variant, f]` plus `shift[variant, f]`.
    """
    row = unit_row[unit]
    first = unit_first[unit]
    count = unit_count[unit]
    n = steps[row]
    values = array((BATCH * NF, 1), F)
    constants = array((BATCH * NC, 1), F)
    x = array((BATCH * NX, LANES), F)
    acc = array((BATCH * NA, LANES), F)
    z = array((4 * (NORMALS + UNIFORMS), LANES), D)
    paid = array((1, LANES), f64)
    total = array((OUTPUTS, LANES), f64)
    pivot = array((OUTPUTS, LANES), f64)
    stats = array((OUTPUTS, 3, LANES), f64)
    for o in unrolled(OUTPUTS):
        for lane in lanes():
            stats[o, 0, lane] = 0.0
            stats[o, 1, lane] = 0.0
            stats[o, 2, lane] = 0.0
            pivot[o, lane] = 0.0
    for block in range(0, count, WIDTH):
        for o in unrolled(OUTPUTS):
            for lane in lanes():
                total[o, lane] = 0.0
        for base in range(0, VARIANTS, BATCH):
            for v in unrolled(BATCH):
                store_row(values, v * NF, 0, read_row(fields, at, scale, shift, row, base + v))
                r = load_row(values, v * NF, 0)
                c, state = begin(r, 0, r[MATURITY] / F(n))
                nothing = start(r, 0)
                store_constants(constants, v * NC, 0, c)
                for lane in lanes():
                    store_state(x, v * NX, lane, state)
                    store_acc(acc, v * NA, lane, nothing)
            for group in range((n + 3) // 4):
                draw(z, first + block + lane0, group, streams[row], purpose, k0, k1)
                for v in unrolled(BATCH):
                    for k in unrolled(4):
                        if group * 4 + k < n:
                            advance(x, acc, z, constants, values, v, k, group * 4 + k, every[row])
            for v in unrolled(BATCH):
                r = load_row(values, v * NF, 0)
                worth = discount(r, 0, r[MATURITY])
                for lane in lanes():
                    paid[0, lane] = f64(worth * finish(r, 0, load_acc(acc, v * NA, lane), log_spots(load_state(x, v * NX, lane))))
                for o in unrolled(OUTPUTS):
                    weight = weights[o, base + v]
                    for lane in lanes():
                        total[o, lane] += weight * paid[0, lane]
        # Sums about each lane's first value: no cancellation, and a constant payoff has a standard error of exactly zero.
        for o in unrolled(OUTPUTS):
            for lane in lanes():
                live = 1.0 if block + lane0 + lane < count else 0.0
                pivot[o, lane] = total[o, lane] if block == 0 else pivot[o, lane]
                d = live * (total[o, lane] - pivot[o, lane])
                stats[o, 0, lane] += live
                stats[o, 1, lane] += d
                stats[o, 2, lane] += d * d
    for o in unrolled(OUTPUTS):
        for lane in lanes():
            m = max(stats[o, 0, lane], 1.0)
            s = stats[o, 1, lane]
            stats[o, 1, lane] = pivot[o, lane] + s / m
            stats[o, 2, lane] = max(stats[o, 2, lane] - s * s / m, 0.0)
        combine(stats, o, WIDTH)
        if lane0 == 0:
            for part in unrolled(3):
                out[unit, o, part] = stats[o, part, 0]
