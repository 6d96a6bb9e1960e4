"""Price paths made as a back-test goes: simulated by a pricing model, or drawn from history.

Kernel source. A path is written over the last one in the thread's scratch and traded at once, so
that a thread never holds more than one. A path's draws are those of the pricing engine at the same
seed, whatever the threads and the parameters that trade it.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.backtesting.kernels.flags import flags
from gpuquant.backtesting.kernels.records import Prices, Source


def write_price(prices: Prices, t, price, tick):
    """Write the price of bar `t` in whole ticks, and the sum of the ticks up to it."""
    ticks = f64(i64(price / tick + 0.5))
    ticks = max(ticks, 1.0)
    prices.close[0, prices.left_padding + t] = ticks * tick
    prices.ticks[0, prices.left_padding + t + 1] = prices.ticks[0, prices.left_padding + t] + ticks


def generate_path(parameters, prices: Prices, draws, source: Source, path, bars):
    """Path number `path`: its first bar is today, each later one a step of the model, or a bar of
    history.
    """
    prices.ticks[0, prices.left_padding] = 0.0
    if flags.from_model:
        simulate_path(parameters, prices, draws, source, path, bars)
    else:
        resample_path(prices, draws, source, path, bars)


def simulate_path(parameters, prices: Prices, draws, source: Source, path, bars):
    """A path of the model, four steps to a group of draws."""
    c, x = model_begin(parameters, 0, source.dt, 0.0)
    write_price(prices, 0, exp64(log_spots(x)[0]), source.tick)
    for group in range((bars + 2) // 4):
        draw_group(draws, source, path, group)
        for k in range(4):
            t = 4 * group + k + 1
            if t < bars:
                z = load_normals(draws, k * NORMALS, 0)
                u = load_uniforms(draws, 4 * NORMALS + k * UNIFORMS, 0)
                x = model_step(c, x, z, u, f64(t - 1))
                write_price(prices, t, exp64(log_spots(x)[0]), source.tick)


def draw_group(draws, source: Source, path, group):
    """The normals and uniforms of four steps, laid out as `rng` has them."""
    for n in range(NORMALS):
        block = group * (NORMALS + UNIFORMS) + n
        c0, c1, c2, c3 = counter(path, block, 0, 0)
        a, b, d, e = philox(c0, c1, c2, c3, source.key0, source.key1)
        draws[4 * n, 0], draws[4 * n + 1, 0] = normals(a, b)
        draws[4 * n + 2, 0], draws[4 * n + 3, 0] = normals(d, e)
    for n in range(UNIFORMS):
        block = group * (NORMALS + UNIFORMS) + NORMALS + n
        c0, c1, c2, c3 = counter(path, block, 0, 0)
        a, b, d, e = philox(c0, c1, c2, c3, source.key0, source.key1)
        first = 4 * (NORMALS + n)
        draws[first, 0], draws[first + 1, 0] = uniform(a), uniform(b)
        draws[first + 2, 0], draws[first + 3, 0] = uniform(d), uniform(e)


def resample_path(prices: Prices, draws, source: Source, path, bars):
    """A path of the stationary bootstrap: from bar to bar of history, and with probability `dt` on
    to any other (Politis and Romano, 1994).
    """
    log_price = source.values[0]
    write_price(prices, 0, exp64(log_price), source.tick)
    count = source.values.shape[0] - 1
    at = count  # no return
    for group in range((bars + 1) // 2):
        c0, c1, c2, c3 = counter(path, group, 0, 2)
        a, b, d, e = philox(c0, c1, c2, c3, source.key0, source.key1)
        draws[0, 0], draws[1, 0] = uniform(a), uniform(b)
        draws[2, 0], draws[3, 0] = uniform(d), uniform(e)
        for k in range(2):
            t = 2 * group + k + 1
            if t < bars:
                jumps = at == count or draws[2 * k, 0] < source.dt  # the first is of no block
                # after the last return comes the first: each is drawn equally often
                following = at + 1 if at + 1 < count else 0
                at = min(i64(draws[2 * k + 1, 0] * count), count - 1) if jumps else following
                log_price += source.values[1 + at]
                write_price(prices, t, exp64(log_price), source.tick)
