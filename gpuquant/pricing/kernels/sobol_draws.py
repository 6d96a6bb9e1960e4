"""Normals from scrambled Sobol points, by a Brownian bridge that is built as the path goes.

Low coordinates of Sobol points fill their cube more evenly than high ones. So the first coordinates
give the end of each Brownian motion, the next its middle, then the quarters, and so on (Caflisch,
Morokoff and Owen, 1997; Glasserman, 2003, section 5.5.2). The points between two known ones are the
nodes of a tree: node h halves a stretch, nodes 2h and 2h + 1 its halves; node 0 is the end. A path
keeps the values that lie ahead of it on its way down the tree, one for each level.

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


def bridge_normals(brownian: Bridge, drawn: Drawn, counter_: Counter, steps, k):
    """The normals of the next of so many steps, in the rows of the `k`-th of a group."""
    if brownian.at == 0:
        add_ahead(brownian, drawn, counter_, steps, 0, steps)
    while drawn.ends[brownian.ahead - 1] > brownian.at + 1:
        end, node = drawn.ends[brownian.ahead - 1], drawn.nodes[brownian.ahead - 1]
        drawn.nodes[brownian.ahead - 1] = 2 * node + 1
        add_ahead(brownian, drawn, counter_, (brownian.at + end) // 2, node, end)
    top = brownian.ahead * NORMALS
    for q in unrolled(NORMALS):
        for lane in lanes():
            now = drawn.values[q, lane] if brownian.at > 0 else F(0.0)
            drawn.numbers[k * NORMALS + q, lane] = drawn.values[top + q, lane] - now
            drawn.values[q, lane] = drawn.values[top + q, lane]
    brownian.ahead -= 1
    brownian.at += 1


def add_ahead(brownian: Bridge, drawn: Drawn, counter_: Counter, place, node, end):
    """Add the values at step `place`, of node `node`, between those here and those at step `end`.

    The end itself is added with `place` = `end`: it has the variance of all steps.
    """
    here, left = brownian.at, brownian.ahead
    share = F(place - here) / F(end - here)
    whole = F(place - here) if place == end else F(place - here) * (F(1.0) - share)
    spread = sqrt(whole)
    for q in unrolled(NORMALS):
        dimension = node * NORMALS + q
        word = shifted_word(counter_, dimension)
        for lane in lanes():
            z = normal_of(word ^ low_word(counter_, dimension, lane))
            now = drawn.values[q, lane] if here > 0 else F(0.0)
            then = drawn.values[left * NORMALS + q, lane] if place < end else now
            drawn.values[(left + 1) * NORMALS + q, lane] = now + share * (then - now) + spread * z
    drawn.ends[left] = place
    drawn.nodes[left] = 1 if node == 0 else 2 * node
    brownian.ahead += 1


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
