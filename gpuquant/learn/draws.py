"""Draws of training: whole numbers and uniforms that are functions of a seed, a step and a place.
They are the same on every device and whatever was drawn before, so that training can begin again
at any step, and no step waits for the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

PLANNED = 64  # steps that are drawn at once
GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)  # 2^64 over the golden ratio, as a number with a sign
MIXERS = (0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64))
DEVIATE = 2.0**-32


def indices(seeds: Tensor, steps: Tensor, count: int, below: Tensor) -> Tensor:
    """So many whole numbers from 0 to below - 1 for each step and seed, shape (steps, seeds,
    count); `below`, shape (seeds,), is at most 2^31.
    """
    return words(seeds, steps, count) * below[:, None] >> 32


def uniforms(seeds: Tensor, steps: Tensor, count: int) -> Tensor:
    """So many numbers from 0 to 1 for each step and seed, shape (steps, seeds, count)."""
    return (words(seeds, steps, count).double() + 0.5) * DEVIATE


def words(seeds: Tensor, steps: Tensor, count: int) -> Tensor:
    """So many words of 32 bits for each step and seed, shape (steps, seeds, count).

    References
    ----------
    Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators", figure 15, for
    the mixing function.
    """
    places = torch.arange(1, count + 1, device=seeds.device)
    of_step = _mixed(_mixed(seeds + GOLDEN) + (steps[:, None] + 1) * GOLDEN)
    return _shifted(_mixed(of_step[..., None] + places * GOLDEN), 32)


def blocks(
    draw: Callable[[Tensor], Tensor], first: int, most: int, device: torch.device | str
) -> Iterator[Tensor]:
    """What `draw` gives for the steps from `first` on: `most` of them at once, PLANNED at most."""
    size = max(1, min(most, PLANNED))
    while True:
        yield draw(torch.arange(first, first + size, device=device))
        first += size


def chosen(
    seed: int, below: int, count: int, first: int, device: torch.device | str
) -> Iterator[Tensor]:
    """So many whole numbers below a limit for each step from `first` on."""
    seeds, limit = (torch.tensor([one], device=device) for one in (seed, below))
    draw = partial(indices, seeds, count=count, below=limit)
    for some in blocks(draw, first, PLANNED, device):
        yield from some[:, 0]


def _mixed(z: Tensor) -> Tensor:
    z = (z ^ _shifted(z, 30)) * MIXERS[0]
    z = (z ^ _shifted(z, 27)) * MIXERS[1]
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, bits: int) -> Tensor:
    """Moved to the right by so many bits, with zeros on the left."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)
