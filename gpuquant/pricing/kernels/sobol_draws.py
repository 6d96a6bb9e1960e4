"""Normals from scrambled Sobol points: principal components of a Brownian motion, then bridges.

Low coordinates of Sobol points fill their cube more evenly than high ones. So they are spent where
a path varies most. The steps are cut into stretches, PARTS at most. The first coordinates are the
principal components of the values at the ends of the stretches, the largest first (Acworth, Broadie
and Glasserman, 1998). The next halve each stretch by a Brownian bridge, then the halves, and so on
(Caflisch, Morokoff and Owen, 1997). Of m stretches number j is halved by node m + j, whose halves
are halved by the nodes 2 (m + j) and 2 (m + j) + 1: node n takes the coordinate n of each normal.

A path keeps the values that lie ahead of it within its stretch, one for each level.

This module is kernel source, as `path_loop` is.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.pricing.kernels.records import Bridge, Counter, Drawn


def begin_bridge(brownian: Bridge):
    """Nothing of a path is known yet."""
    brownian.at = 0
    brownian.ahead = 0
    brownian.part = 0


def bridge_normals(brownian: Bridge, drawn: Drawn, counter_: Counter, steps, k):
    """The normals of the next of so many steps, in the rows of the `k`-th of a group."""
    parts = min(steps, PARTS)
    if brownian.at == 0:
        draw_components(drawn, counter_, parts)
    if brownian.ahead == 0:
        add_stretch(brownian, drawn, counter_, steps, parts)
    while drawn.ends[brownian.ahead - 1] > brownian.at + 1:
        halve(brownian, drawn, counter_)
    top = brownian.ahead * NORMALS
    for q in unrolled(NORMALS):
        for lane in lanes():
            now = drawn.values[q, lane] if brownian.at > 0 else F(0.0)
            drawn.numbers[k * NORMALS + q, lane] = drawn.values[top + q, lane] - now
            drawn.values[q, lane] = drawn.values[top + q, lane]
    brownian.ahead -= 1
    brownian.at += 1


def draw_components(drawn: Drawn, counter_: Counter, parts):
    """The normals of all principal components, and zeros up to a multiple of four."""
    for dimension in range(parts * NORMALS):
        word = shifted_word(counter_, dimension)
        for lane in lanes():
            z = normal_of(word ^ low_word(counter_, dimension, lane))
            drawn.components[dimension, lane] = z
    for row in range(parts * NORMALS, (parts + 3) // 4 * 4 * NORMALS):
        for lane in lanes():
            drawn.components[row, lane] = F(0.0)


def add_stretch(brownian: Bridge, drawn: Drawn, counter_: Counter, steps, parts):
    """Add the value at the end of the next stretch."""
    part = brownian.part
    end = (part + 1) * steps // parts
    spread = sqrt(F(end - brownian.at))
    for q in unrolled(NORMALS):
        for lane in lanes():
            drawn.values[NORMALS + q, lane] = F(0.0)
        for k in range(0, parts, 4):  # four at a time, so that a sum is stored a quarter as often
            a = F(counter_.rotations[parts - 1, part, k])
            b = F(counter_.rotations[parts - 1, part, k + 1])
            c = F(counter_.rotations[parts - 1, part, k + 2])
            d = F(counter_.rotations[parts - 1, part, k + 3])
            at = k * NORMALS + q
            for lane in lanes():
                first = a * drawn.components[at, lane] + b * drawn.components[at + NORMALS, lane]
                third = c * drawn.components[at + 2 * NORMALS, lane]
                fourth_ = d * drawn.components[at + 3 * NORMALS, lane]
                drawn.values[NORMALS + q, lane] += first + (third + fourth_)
        for lane in lanes():
            now = drawn.values[q, lane] if brownian.at > 0 else F(0.0)
            drawn.values[NORMALS + q, lane] = now + spread * drawn.values[NORMALS + q, lane]
    drawn.ends[0] = end
    drawn.nodes[0] = parts + part
    brownian.ahead = 1
    brownian.part = part + 1


def halve(brownian: Bridge, drawn: Drawn, counter_: Counter):
    """Add the value halfway to the next known one."""
    here, left = brownian.at, brownian.ahead
    end, node = drawn.ends[left - 1], drawn.nodes[left - 1]
    place = (here + end) // 2
    share = F(place - here) / F(end - here)
    spread = sqrt(F(place - here) * (F(1.0) - share))
    for q in unrolled(NORMALS):
        dimension = node * NORMALS + q
        word = shifted_word(counter_, dimension)
        for lane in lanes():
            z = normal_of(word ^ low_word(counter_, dimension, lane))
            now = drawn.values[q, lane] if here > 0 else F(0.0)
            then = drawn.values[left * NORMALS + q, lane]
            drawn.values[(left + 1) * NORMALS + q, lane] = now + share * (then - now) + spread * z
    drawn.nodes[left - 1] = 2 * node + 1
    drawn.ends[left] = place
    drawn.nodes[left] = 2 * node
    brownian.ahead = left + 1


def shifted_word(counter_: Counter, dimension):
    """The random shift of a coordinate, and the bits of a block's index above its lanes'."""
    net = counter_.path >> 32
    a, b, c, d = counter(net, dimension, counter_.stream, u32(SHIFT_PURPOSE))
    word, _, _, _ = philox(a, b, c, d, counter_.key0, counter_.key1)
    block = (counter_.path >> 8) & 0xFFFFFF
    for bit in range(counter_.nets.shape[2] - 256):
        if (block >> bit) & 1 == 1:
            word = word ^ counter_.nets[net, dimension, 256 + bit]
    return word


def low_word(counter_: Counter, dimension, lane):
    """The coordinate of a lane's path within its block."""
    return counter_.nets[counter_.path >> 32, dimension, (counter_.path + lane) & 255]


def normal_of(word):
    """The normal below which a share (word + 1/2) / 2^32 of all lie, from the nearer tail."""
    upper = word >= u32(0x80000000)
    tail = u32(0xFFFFFFFF) - word if upper else word
    z = norm_inv(uniform(tail))
    return -z if upper else z
