"""Signals as the kernel reads them: one byte each, one asset after the other, whatever the order of
the caller's array.

The copy is an eighth of the array's size, and what the caller does to the array later changes no
back-test.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np

from gpuquant.backtesting.kernels.build import NO_SIGNAL
from gpuquant.compiler import kernel as compiler
from gpuquant.compiler.kernel import Source
from gpuquant.compiler.targets import TARGETS
from gpuquant.device import Device, launch


def code_of(x):
    """The code of a signal, as a byte of a word."""
    return u64(1) if x == 1.0 else u64(0) if x == 0.0 else u64(255) if x == -1.0 else u64(NO_SIGNAL)


def code(unit, lane0, bars, assets, given, codes, wrong):
    """Kernel source: the signals of a block of bars as codes, eight bars to a word, and how many
    are no signals.

    A CPU reads SOME assets at a time in the order of the caller's array, so that a line of its
    cache serves all of them. A thread of a GPU reads one asset, and its neighbour the next.
    """
    words = array((SOME, 1), u64)
    bad = 0
    for first in range(lane0, assets, APART):
        for at in range(unit * WORDS, min(unit * WORDS + WORDS, codes.shape[1])):
            here = min(SOME, assets - first)
            if TURNED:
                for lane in range(here):
                    word = u64(0)
                    for k in range(8):
                        x = given[first + lane, min(8 * at + k, bars - 1)]
                        bad += 1 if (code_of(x) == u64(NO_SIGNAL)) & (x == x) else 0
                        word |= code_of(x) << u64(8 * k)
                    words[lane, 0] = word
            else:
                for k in range(8):
                    for lane in range(here):
                        x = given[min(8 * at + k, bars - 1), first + lane]
                        bad += 1 if (code_of(x) == u64(NO_SIGNAL)) & (x == x) else 0
                        words[lane, 0] = code_of(x) << u64(8 * k) | (
                            words[lane, 0] if k > 0 else u64(0)
                        )
            for lane in range(here):
                codes[first + lane, at] = words[lane, 0]
    wrong[unit, lane0] = bad


def encode_signals(signals: Any, device: Device) -> tuple[Any, bool]:
    """The codes of signals on their device, shape (bars, assets) with bars up to a multiple of
    eight, and whether each is 1, 0, -1 or NaN.
    """
    bars, assets = signals.shape
    turned = bool(signals.flags.f_contiguous and not signals.flags.c_contiguous)
    given = device.contiguous(signals.T if turned else signals, np.float64)
    words = -(-bars // 8)
    units = -(-words // WORDS)
    codes = device.xp.empty((assets, words), np.uint64)
    wrong = device.xp.zeros((units, launch.width(device)), np.int64)
    launch.run(
        partial(_source, turned),
        device,
        units,
        (bars, assets, given, codes, wrong),
        name="signals",
        chunk=8,
    )
    return codes.view(np.int8).T, not bool(wrong.any())


def decode_signals(codes: np.ndarray) -> np.ndarray:
    """The signals of codes."""
    return np.where(codes == NO_SIGNAL, np.nan, codes.astype(np.float64))


WORDS = 8  # of a block, each of eight bars
SOME = 256  # assets that a CPU reads at a time


@lru_cache
def _source(turned: bool, target: str) -> str | Source:
    gpu = TARGETS[target].gpu
    constants = {
        "WORDS": WORDS,
        "SOME": 1 if gpu else SOME,
        "APART": TARGETS[target].width if gpu else SOME,
        "TURNED": int(turned),
        "NO_SIGNAL": NO_SIGNAL,
    }
    helpers = {"code_of": code_of}

    def make(target: str) -> Source:
        return compiler.source(
            code, [], target=target, precision="double", constants=constants, helpers=helpers
        )

    return compiler.made(make, target, "signals", *constants.values())
