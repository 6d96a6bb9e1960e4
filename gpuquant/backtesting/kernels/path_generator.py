"""Price paths made as a back-test goes: simulated by a pricing model, or drawn from history.

Kernel source, as `walk.py`: a column's path is written over the last one's in its thread's scratch,
and walked at once, so that no more than one path a thread is ever held. A path is the same whatever
the threads and the parameters that walk it, and on a GPU but for the last bit of what two compilers
contract; its draws are those of the pricing engine at the same seed.
"""
# mypy: ignore-errors
# ruff: noqa: F821


def quote(close, sums, lead, t, price, tick):
    """Write down the price of bar `t` in whole ticks, and the sum of the ticks up to it."""
    whole = f64(i64(price / tick + 0.5))
    whole = max(whole, 1.0)
    close[0, lead + t] = whole * tick
    sums[0, lead + t + 1] = sums[0, lead + t] + whole


def weave(r, close, sums, source, draws, bars, lead, path, dt, tick, k0, k1):
    """The path number `path`: its first bar is today, each later one a step of the model, or a
    bar of history.
    """
    sums[0, lead] = 0.0
    if MODELLED:
        c, x = model_begin(r, 0, dt, 0.0)
        quote(close, sums, lead, 0, exp64(log_spots(x)[0]), tick)
        for group in range((bars + 2) // 4):
            for n in range(NORMALS):
                c0, c1, c2, c3 = counter(path, group * (NORMALS + UNIFORMS) + n, 0, 0)
                a, b, d, e = philox(c0, c1, c2, c3, k0, k1)
                draws[4 * n, 0], draws[4 * n + 1, 0] = normals(a, b)
                draws[4 * n + 2, 0], draws[4 * n + 3, 0] = normals(d, e)
            for n in range(UNIFORMS):
                c0, c1, c2, c3 = counter(path, group * (NORMALS + UNIFORMS) + NORMALS + n, 0, 0)
                a, b, d, e = philox(c0, c1, c2, c3, k0, k1)
                draws[4 * (NORMALS + n), 0] = uniform(a)
                draws[4 * (NORMALS + n) + 1, 0] = uniform(b)
                draws[4 * (NORMALS + n) + 2, 0] = uniform(d)
                draws[4 * (NORMALS + n) + 3, 0] = uniform(e)
            for k in range(4):
                t = 4 * group + k + 1
                if t < bars:
                    x = model_step(
                        c,
                        x,
                        load_normals(draws, k * NORMALS, 0),
                        load_uniforms(draws, 4 * NORMALS + k * UNIFORMS, 0),
                        f64(t - 1),
                    )
                    quote(close, sums, lead, t, exp64(log_spots(x)[0]), tick)
    else:
        # stationary bootstrap: from bar to bar of history, and with probability `dt` on to any
        # other
        log_price = source[0]
        quote(close, sums, lead, 0, exp64(log_price), tick)
        count = source.shape[0] - 1
        at = count
        for group in range((bars + 1) // 2):
            c0, c1, c2, c3 = counter(path, group, 0, 2)
            a, b, d, e = philox(c0, c1, c2, c3, k0, k1)
            draws[0, 0] = uniform(a)
            draws[1, 0] = uniform(b)
            draws[2, 0] = uniform(d)
            draws[3, 0] = uniform(e)
            for k in range(2):
                t = 2 * group + k + 1
                if t < bars:
                    jump = at == count or draws[2 * k, 0] < dt  # the first bar is of no block
                    following = (
                        at + 1 if at + 1 < count else 0
                    )  # after the last return comes the first: each is drawn equally often
                    at = min(i64(draws[2 * k + 1, 0] * count), count - 1) if jump else following
                    log_price += source[1 + at]
                    quote(close, sums, lead, t, exp64(log_price), tick)
