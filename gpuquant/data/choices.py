"""Choices: the words of a column that has a few, loosely spelled, and their codes."""

from __future__ import annotations

import functools
import re
from functools import cache
from typing import Any

import numpy as np

from gpuquant.data.domains import Domain
from gpuquant.errors import InputError, unknown

PART = 1 << 15  # words at once: they stay in the cache


def loose(word: Any) -> str:
    """A word as people vary it: Down and Out, down-and-out and DOWN_AND_OUT are one."""
    return re.sub(r"[^a-z0-9]", "", str(word).lower())


@cache
def spellings(domain: Domain) -> dict[str, float]:
    """The codes of a choice by its words, loosely spelled; a single letter stands for a call or
    a put.
    """
    table = {loose(word): code for word, code in zip(domain.words, domain.codes, strict=True)}
    return {
        **({word[0]: table[word] for word in table} if set(table) == {"call", "put"} else {}),
        **table,
    }


def decode(values: Any, domain: Domain, name: str, kind: str, *, strict: bool = True) -> np.ndarray:
    """Words or codes of a choice as codes. What is none is an error, or NaN if not `strict`."""
    table = spellings(domain)
    code = table.get(loose(values)) if isinstance(values, str) else values
    if isinstance(code, bool | int | float) and code in domain.codes:
        return np.full(1, float(code))
    plain = isinstance(values, np.ndarray) and values.dtype.kind in "biufU"
    flat = np.atleast_1d(values if plain else np.asarray(values, dtype=object))
    if flat.ndim != 1 or not flat.size:
        raise InputError(
            f"{kind} {name} has shape {flat.shape}: must be a word or a list of at least one"
        )
    words = flat.dtype.kind == "U" or (
        flat.dtype == object and any(issubclass(t, str) for t in set(map(type, flat.tolist())))
    )
    if not words:
        try:
            numbers = np.array(flat, dtype=float)
        except (TypeError, ValueError) as failure:
            raise InputError(f"{kind} {name} = {values!r}: {domain.rule}") from failure
        known = np.isin(numbers, domain.codes)
        if not strict:
            return np.where(known, numbers, np.nan)
        if not known.all():
            row = int(np.argmin(known))
            raise InputError(f"{kind} {name}[{row}] = {flat[row]!r}: {domain.rule}")
        return numbers
    flat = np.ascontiguousarray(flat.astype(str, copy=False))
    codes = np.zeros(len(flat))
    for begin in range(0, len(flat), PART):
        some, own = flat[begin : begin + PART], codes[begin : begin + PART]
        wrong = _decoded(some, table, own, strict)
        if wrong is not None:
            word = str(some[wrong])
            raise InputError(
                f"{kind} {name}[{begin + wrong}] = {word!r}: {unknown(name, word, domain.words)}"
            )
    return codes


def _decoded(
    words: np.ndarray, table: dict[str, float], codes: np.ndarray, strict: bool
) -> int | None:
    """Add the codes of these words to zeros, NaN for those that are none; or, if `strict`, give the
    row of the first of these.
    """
    left = np.ones(len(words), bool)
    while left.any():  # word by word: there are few, and comparing all rows with one is fast
        row = int(np.argmax(left))
        code = table.get(loose(words[row]))
        if code is None:
            if strict:
                return row
            # there may be as many wrong words as rows
            codes[left] = [table.get(loose(one), np.nan) for one in words[left].tolist()]
            break
        same = _same(words, row)
        codes += same * code  # each row once; faster than a choice
        left &= ~same
    return None


def _same(words: np.ndarray, row: int) -> np.ndarray:
    """Where a word is that of a row; its bits are compared, much faster than its letters."""
    bits = words.view(np.uint32 if words.itemsize % 8 else np.uint64).reshape(len(words), -1)
    return functools.reduce(np.logical_and, [part == part[row] for part in bits.T])
