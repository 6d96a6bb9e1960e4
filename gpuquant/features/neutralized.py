"""A feature without what groups or exposures of the assets explain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpuquant.data.panel import Panel
from gpuquant.device import Device
from gpuquant.errors import InputError
from gpuquant.features.across_assets import AcrossAssets, less_mean
from gpuquant.features.base import Feature


@dataclass(frozen=True)
class Neutralized(AcrossAssets):
    """What a feature says beyond the groups or the exposures of the assets: its residual in the
    regression across the assets of each bar.

    Parameters
    ----------
    feature : Feature
        What is neutralised.
    by : mapping of str to str, or Feature
        The group of each asset, such as its sector: the mean of the group is taken out. Or a
        feature of one column, such as Beta(252): a constant and the exposure are taken out.

    Notes
    -----
    An asset whose exposure is unknown has no value. An asset alone in its group has the value 0.
    """

    name = "neutral"

    by: Mapping[str, str] | Feature = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.by, Feature):
            if len(self.by.columns) != 1:
                raise InputError(
                    f"Neutralized by = {type(self.by).__name__}: has the columns "
                    f"{', '.join(self.by.columns)}; must have one"
                )
        elif not isinstance(self.by, Mapping) or not self.by:
            raise InputError(
                f"Neutralized by = {self.by!r}: must be the group of each asset, such as "
                "{'AAPL': 'technology'}, or a feature"
            )

    @property
    def lookback(self) -> int:
        exposure = self.by.lookback if isinstance(self.by, Feature) else 0
        return max(self.feature.lookback, exposure)

    def compared(self, values: Any, panel: Panel, device: Device) -> Any:
        if isinstance(self.by, Feature):
            exposure = self.by.latest(panel, device, len(values))
            known = np.isfinite(values) & np.isfinite(exposure)
            y, x = (
                less_mean(np.where(known, one + 0.0 * values, np.nan), known)
                for one in (values, exposure)
            )
            y, x = np.where(known, y, 0.0), np.where(known, x, 0.0)
            square = (x * x).sum(axis=1, keepdims=True)
            slope = (x * y).sum(axis=1, keepdims=True) / np.where(square > 0.0, square, 1.0)
            return np.where(known, y - slope * x, np.nan)
        absent = [asset for asset in panel.assets if asset not in self.by]
        if absent:
            raise InputError(f"Neutralized by: has no group of the asset {absent[0]!r}")
        out = np.full_like(values, np.nan)
        groups = np.array([self.by[asset] for asset in panel.assets])
        for group in sorted(set(groups)):
            inside = np.asarray(np.flatnonzero(groups == group), like=values)
            part = values[:, inside]
            out[:, inside] = less_mean(part, np.isfinite(part))
        return out
