"""The features of a strategy side by side, in 32 bits, filled block by block."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpuquant.data.panel import Panel
from gpuquant.device import Device
from gpuquant.errors import DataError, InputError
from gpuquant.features.base import Feature
from gpuquant.features.frame import Frame
from gpuquant.progress import bar
from gpuquant.shown import Shown


@dataclass(frozen=True)
class FeatureTable(Shown):
    """Every feature of a strategy at every bar and asset.

    Attributes
    ----------
    values : array of float32, shape (bars, assets, columns)
        Less `offset`, which keeps large levels exact in 32 bits; on the device, laid out asset by
        asset; NaN where unknown.
    offset : array, shape (columns,)
        The first known value of each column.
    columns : tuple of str
    known : array of bool, shape (bars, assets)
        Where every feature is known.
    seconds : mapping
        Run time of each kind of feature.
    """

    values: Any
    offset: np.ndarray
    columns: tuple[str, ...]
    known: np.ndarray
    seconds: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls, features: Sequence[Any], panel: Panel, device: Device, count: int | None = None
    ) -> FeatureTable:
        """The features of a panel, or of its last `count` bars alone.

        No feature's values stand twice in memory: those that look at one asset alone are computed
        for some assets at a time.
        """
        members = listed(features)
        bars = panel.bars if count is None else min(count, panel.bars)
        columns = tuple(name for member in members for name in member.columns)
        table = device.xp.empty((len(panel.assets), bars, len(columns)), np.float32)
        values, known = table.transpose(1, 0, 2), np.ones((bars, len(panel.assets)), bool)
        offset, begin = np.zeros(len(columns)), 0
        seconds: dict[str, float] = {}
        with bar(len(members), "features") as tick:
            for member in members:
                start, own = time.perf_counter(), slice(begin, begin + len(member.columns))
                offset[own] = _fill(values[..., own], known, member, panel, device, count)
                name, begin = type(member).__name__, own.stop
                seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start
                tick(1)
        if panel.members is not None:
            outside = ~panel.members[-bars:]
            known &= ~outside
            values[device.xp.asarray(outside)] = np.nan
        return cls(values, offset, columns, known, seconds)


def listed(features: Sequence[Any]) -> list[Feature]:
    """The features of a strategy; a caller's frame becomes one."""
    if not len(features):
        raise InputError("features is empty: a strategy needs at least one")
    return [one if isinstance(one, Feature) else Frame(one) for one in features]


def _fill(
    values: Any,
    known: np.ndarray,
    feature: Feature,
    panel: Panel,
    device: Device,
    count: int | None,
) -> np.ndarray:
    """Fill in one feature, note where it is unknown, and give the offset of its columns."""
    offset: np.ndarray | None = None
    for assets, block in feature.blocks(panel, device, count):
        finite = device.get(np.isfinite(block), "known")
        if offset is None:
            offset = np.full(block.shape[2], np.nan)
        for column in np.flatnonzero(np.isnan(offset)):
            row, asset = np.unravel_index(finite[..., column].argmax(), finite.shape[:2])
            offset[column] = float(block[row, asset, column])
        values[:, assets] = block - np.asarray(np.nan_to_num(offset), like=block)
        known[:, assets] &= finite.all(axis=2)
    assert offset is not None
    if np.isnan(offset).any() and count is None:
        name = feature.columns[int(np.argmax(np.isnan(offset)))]
        raise DataError(
            f"{type(feature).__name__}: the column {name!r} has no value at any bar and asset: "
            f"needs {feature.lookback} bars before the first, and all fields that it reads"
        )
    return np.nan_to_num(offset)
