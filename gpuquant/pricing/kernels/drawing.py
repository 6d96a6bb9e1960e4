"""The draws of a block of paths: four steps at a time, and as those of two steps twice as long.

This module is kernel source, as `path_loop` is.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.pricing.kernels.records import Bridge, Counter, Drawn, flags
from gpuquant.pricing.kernels.sobol_draws import bridge_normals


def draw_group(brownian: Bridge, drawn: Drawn, counter_: Counter, steps, group):
    """The model's normals and uniforms of four steps, for each lane, laid out as `rng` has them."""
    draws = drawn.numbers
    if flags.sobol:
        for k in part(4, 0, min(steps - group * 4, 4)):
            bridge_normals(brownian, drawn, counter_, steps, k)
    else:
        draw_normals(draws, counter_, group)
    for call in unrolled(UNIFORMS):
        draw_uniforms(
            draws,
            counter_,
            group * (NORMALS + UNIFORMS) + NORMALS + call,
            counter_.purpose,
            4 * (NORMALS + call),
        )


def draw_normals(draws, counter_: Counter, group):
    """The model's normals of four steps, for each lane."""
    for call in unrolled(NORMALS):
        block = group * (NORMALS + UNIFORMS) + call
        at = 4 * call
        for lane in lanes():
            c0, c1, c2, c3 = counter(counter_.path + lane, block, counter_.stream, counter_.purpose)
            a, b, c, d = philox(c0, c1, c2, c3, counter_.key0, counter_.key1)
            draws[at, lane], draws[at + 1, lane] = normals(a, b)
            draws[at + 2, lane], draws[at + 3, lane] = normals(c, d)


def draw_payoff_uniforms(draws, counter_: Counter, group):
    """The payoff's own uniforms of four steps. Their counters have another purpose, so that a
    payoff does not change the model's draws.
    """
    for call in unrolled(WATCHED):
        draw_uniforms(
            draws,
            counter_,
            group * WATCHED + call,
            counter_.purpose + u32(PAYOFF_PURPOSE),
            4 * (NORMALS + UNIFORMS + call),
        )


def join_draws(draws):
    """The draws of the two steps, twice as long, that the four steps of a group make: in the rows
    from DRAWS on, laid out as those of a group.
    """
    for j in unrolled(2):
        for q in unrolled(NORMALS):
            at = 2 * j * NORMALS + q
            for lane in lanes():
                both = draws[at, lane] + draws[at + NORMALS, lane]
                draws[DRAWS + j * NORMALS + q, lane] = F(0.7071067811865476) * both
        for q in unrolled(UNIFORMS):
            at = 4 * NORMALS + 2 * j * UNIFORMS + q
            for lane in lanes():
                draws[DRAWS + 4 * NORMALS + j * UNIFORMS + q, lane] = larger_of(
                    draws[at, lane], draws[at + UNIFORMS, lane]
                )
        for q in unrolled(WATCHED):
            at = 4 * (NORMALS + UNIFORMS) + 2 * j * WATCHED + q
            for lane in lanes():
                draws[DRAWS + 4 * (NORMALS + UNIFORMS) + j * WATCHED + q, lane] = F(
                    1.0
                ) - larger_of(F(1.0) - draws[at, lane], F(1.0) - draws[at + WATCHED, lane])


def larger_of(u, v):
    """A uniform that is high where one of two uniforms is: their larger one is its root."""
    return max(u, v) * max(u, v)


def draw_uniforms(draws, counter_: Counter, block, purpose, at):
    """Four uniforms for each lane, in the rows from `at` on."""
    for lane in lanes():
        c0, c1, c2, c3 = counter(counter_.path + lane, block, counter_.stream, purpose)
        a, b, c, d = philox(c0, c1, c2, c3, counter_.key0, counter_.key1)
        draws[at, lane] = uniform(a)
        draws[at + 1, lane] = uniform(b)
        draws[at + 2, lane] = uniform(c)
        draws[at + 3, lane] = uniform(d)
