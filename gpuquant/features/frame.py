"""A caller's own frame as a feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.calendar import bars_at, dates_of
from gpuquant.data.panel import Panel
from gpuquant.device import Device
from gpuquant.errors import DataError, InputError
from gpuquant.features.base import Feature


@dataclass(frozen=True)
class Frame(Feature):
    """The values of a frame, made before: row t must not know more than bar t.

    Parameters
    ----------
    frame : DataFrame
        Dates by assets. Its dates are bars of the prices, or lie before or after all of them.
    name : str
        Of the column.

    Notes
    -----
    `validation.lookahead.check` refuses a strategy with such a feature: what was made before cannot
    be made anew from fewer prices.
    """

    frame: Any
    name: str = "frame"
    made_before = True

    def __post_init__(self) -> None:
        if not hasattr(self.frame, "reindex"):
            raise InputError(
                f"feature {type(self.frame).__name__}: must be a feature or a frame of dates by "
                "assets"
            )

    @property
    def lookback(self) -> int:
        return 0

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name,)

    def compute(self, panel: Panel, device: Device) -> Any:
        values = self.frame
        given = dates_of(values.index)[0]
        if not given.is_unique:
            raise DataError(
                f"a feature's frame: the date {given[given.duplicated()][0]} stands twice"
            )
        absent = [a for a in panel.assets if a not in {str(c) for c in values.columns}]
        if absent:
            raise DataError(f"a feature's frame lacks the asset {absent[0]!r}")
        # a longer history than the prices' is no mistake
        inside = np.asarray((given >= panel.dates[0]) & (given <= panel.dates[-1]))
        if not inside.any():
            raise DataError("a feature's frame has none of the dates of the prices")
        rows = values[inside]
        out = np.full(panel.close.shape, np.nan)
        out[bars_at(rows.index, panel.dates, panel.timezone, "a feature's dates")] = rows.set_axis(
            [str(c) for c in values.columns], axis=1
        )[list(panel.assets)].to_numpy(dtype=np.float64)
        return out[..., None]
