"""Prices on a device: laid out asset by asset, with padding on both sides, so that a kernel can
read beyond the first and the last bar without a check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.device import Device

if TYPE_CHECKING:
    from gpuquant.data.panel import Panel

RIGHT_PADDING = 64  # places after the last bar, which loops of a fixed length read
NOTHING = {
    "volume": 0.0,
    "splits": 1.0,
    "dividends": 0.0,
    "delistings": -2.0,
}  # the value of a field at a bar where it is missing


def left_padding(bars: int) -> int:
    """The number of NaN values before the first of `bars` bars: no window reaches further back."""
    return bars + 1


@dataclass(frozen=True)
class DevicePanel:
    """A panel on a device: prices of shape (assets, left_padding + bars + RIGHT_PADDING),
    and prefix sums of ticks, one place longer.

    Each array begins with `left_padding` NaN values, which a rule reads before the first bar. All
    but `extra` end with RIGHT_PADDING more. At a halt, `close` holds the last known price and
    `traded` holds NaN. `extra` holds the panel's other fields, one after the other.
    """

    close: Any
    traded: Any
    open: Any
    sums: Any
    extra: Any
    left_padding: int


def on_device(panel: Panel, device: Device) -> DevicePanel:
    """A panel's arrays, put on a device."""
    lead, assets = left_padding(panel.bars), len(panel.assets)

    def up(values: np.ndarray, name: str) -> Any:
        """On the device, one row for each asset."""
        before, beyond = (
            np.full((lead, values.shape[1]), np.nan),
            np.full((RIGHT_PADDING, values.shape[1]), np.nan),
        )
        return device.put(np.concatenate([before, values, beyond]).T, name)

    sums = np.concatenate([np.zeros((1, assets)), np.cumsum(np.nan_to_num(panel.ticks), axis=0)])
    if panel.allow_halts:  # before an asset's first price there is nothing to sum
        sums[:-1][np.isnan(panel.ticks)] = np.nan
    close, fields = up(panel.last_close, "close"), panel.kernel_fields()
    traded = up(panel.close, "traded") if panel.allow_halts else close
    extra = np.full((len(fields), assets, lead + panel.bars), np.nan)
    for k, (name, values) in enumerate(fields.items()):
        extra[k, :, lead:] = (
            np.nan_to_num(values, nan=NOTHING[name]).T if name in NOTHING else values.T
        )
    kept = device.put(extra if fields else np.full((1, 1, 1), np.nan), "extra fields")
    return DevicePanel(
        close,
        traded,
        traded if panel.open is None else up(panel.open, "open"),
        up(sums, "sums"),
        kept,
        lead,
    )
