"""Signals as the walk reads them: a byte each, one asset after the other, whatever the order of the caller's array.

They are the walk's own from then on, an eighth of the size: what the caller does to the array later changes no back-test.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from functools import lru_cache

import numpy as np

from gpuquant.backtesting.kernel import BLOCK, CPU_COLUMNS, NO_SIGNAL
from gpuquant.device import Place
from gpuquant.device import compile as compiler


def code(unit, lane0, bars, assets, given, codes, wrong):
    """Kernel source: the signals of a block of bars as codes, eight bars to a word, and how many are no signals.

    Some assets at a time, so that a line of memory that is read or written is still at hand for its next number.
    """
    words = array((SOME, 1), u64)
    bad = 0
    for first in range(0, assets, SOME):
        for at in range(unit * WORDS, min(unit * WORDS + WORDS, codes.shape[1])):
            here = min(SOME, assets - first)
            for lane in range(here):
                word = u64(0)
                for k in unrolled(8):
                    x = given[u64(min(8 * at + k, bars - 1)), u64(first + lane)]
                    signal = u64(1) if x == 1.0 else u64(0) if x == 0.0 else u64(255) if x == -1.0 else u64(NO_SIGNAL)
                    bad += 1 if (signal == u64(NO_SIGNAL)) & (x == x) else 0
                    word |= signal << u64(8 * k)
                words[lane, 0] = word
            for lane in range(here):
                codes[u64(first + lane), u64(at)] = words[lane, 0]
    wrong[unit] = bad


def coded(signals: np.ndarray, threads: int) -> tuple[np.ndarray, bool]:
    """The codes of signals, shape (bars, assets), and whether each is 1, 0, -1 or NaN."""
    bars, assets = signals.shape
    words = -(-bars // 8)
    units = -(-words // CONSTANTS["WORDS"])
    codes, wrong = np.empty((assets, words), np.uint64), np.empty(units, np.int64)
    arguments = (bars, assets, np.require(signals, np.float64, "A"), codes, wrong)
    compiler.run(_text, Place("cpu", threads=threads), units, arguments, chunk=8)
    return codes.view(np.int8).T, not wrong.any()


CONSTANTS = {"WORDS": 8, "SOME": 256, "NO_SIGNAL": NO_SIGNAL}


@lru_cache
def _text(target: str) -> str:
    return compiler.kept(lambda: compiler.source(code, [], target=target, precision="double", constants=CONSTANTS), "signals", *CONSTANTS.values())
