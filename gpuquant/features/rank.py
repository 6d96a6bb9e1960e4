"""The rank among the assets of a bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.panel import Panel
from gpuquant.device import Device
from gpuquant.features.across_assets import AcrossAssets


@dataclass(frozen=True)
class Rank(AcrossAssets):
    """Rank of a feature among the assets of a bar, from -1/2 for the lowest to 1/2 for the highest;
    equal values share the mean of their ranks.

    Parameters
    ----------
    feature : Feature
        What is compared.
    """

    name = "rank"

    def compared(self, values: Any, panel: Panel, device: Device) -> Any:
        return ranks(values)


def ranks(values: Any) -> Any:
    """Ranks along the second axis, (r - 1/2) / n - 1/2; NaN stays NaN."""
    order = np.argsort(values, axis=1)  # NaN comes last
    ordered = np.take_along_axis(values, order, axis=1)
    place = np.arange(values.shape[1], like=values).reshape(1, -1, *[1] * (values.ndim - 2))
    place = place + np.zeros_like(order)
    new = np.ones_like(order)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.maximum.accumulate(np.where(new > 0, place, 0), axis=1)
    ends = np.ones_like(order)
    ends[:, :-1] = new[:, 1:]
    last = np.where(ends > 0, place, values.shape[1])
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    middle = np.take_along_axis(0.5 * (first + last), np.argsort(order, axis=1), axis=1)
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    return np.where(known, (middle + 0.5) / count - 0.5, np.nan)
