"""The calendar: what is known of a bar before it comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuquant.data.adjusted_bars import AdjustedBars
from gpuquant.features.base import PriceFeature, stacked


@dataclass(frozen=True)
class Calendar(PriceFeature):
    """Time of day, weekday, day of the month and month, each as the sine and the cosine of its part
    of the circle, so that the last is a neighbour of the first; in the prices' local time.

    References
    ----------
    French (1980), for weekdays; Ariel (1987), for months.
    """

    @property
    def lookback(self) -> int:
        return 0

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(
            f"{name}_{wave}"
            for name in ("time_of_day", "weekday", "day_of_month", "month")
            for wave in ("sine", "cosine")
        )

    def values(self, bars: AdjustedBars) -> Any:
        days, months = (bars.dates.astype(f"datetime64[{unit}]") for unit in "DM")
        begins = months.astype("datetime64[D]")
        parts = (
            (bars.dates - days) / np.timedelta64(1, "D"),
            (days.astype(np.int64) + 3) % 7 / 7.0,  # 1970-01-01 was a Thursday
            (days - begins) / ((months + 1).astype("datetime64[D]") - begins),
            months.astype(np.int64) % 12 / 12.0,
        )
        waves = [wave(2.0 * np.pi * part) for part in parts for wave in (np.sin, np.cos)]
        table = np.zeros_like(bars.close)
        return stacked(table + np.asarray(wave, like=table)[:, None] for wave in waves)
