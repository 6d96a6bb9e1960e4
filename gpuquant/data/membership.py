"""Membership over time: which assets belong to the universe at each bar."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuquant.data.calendar import dates_of, same_zone
from gpuquant.errors import DataError


def members_at(
    frame: Any, dates: np.ndarray, assets: tuple[str, ...], timezone: str | None
) -> np.ndarray:
    """A frame of booleans, dates by assets, at the bars of a panel, shape (bars, assets).

    A row of the frame counts from its date to the next row's; before the first row no asset
    belongs.

    Raises
    ------
    DataError
        The frame lacks an asset, its dates do not increase, or it holds other things than booleans;
        the message names the row and the column.
    """
    if not hasattr(frame, "columns") or not hasattr(frame, "index"):
        raise DataError(f"members = {type(frame).__name__}: must be a frame of dates by assets")
    known = {str(name): name for name in frame.columns}
    absent = [asset for asset in assets if asset not in known]
    if absent:
        raise DataError(f"members lack the asset {absent[0]!r}; its column says when it belongs")
    given, zone = dates_of(frame.index)
    same_zone(timezone, zone, "members")
    if not (given.is_monotonic_increasing and given.is_unique):
        raise DataError("members: dates must increase, as after frame.sort_index()")
    values = frame[[known[asset] for asset in assets]]
    for asset, dtype in zip(assets, values.dtypes, strict=True):
        if dtype != np.bool_:
            raise DataError(
                f"members[{asset!r}] has the type {dtype}: must be True or False at each date"
            )
    row = np.searchsorted(given.to_numpy(), dates, side="right") - 1
    out = values.to_numpy()[np.maximum(row, 0)]
    return np.where((row >= 0)[:, None], out, False)
