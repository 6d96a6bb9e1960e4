"""Forecasts: what a strategy expects of each asset at each date, as a plain record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpuquant.data.arrow import write_frame
from gpuquant.data.calendar import dates_of, index_of
from gpuquant.errors import DataError
from gpuquant.shown import Shown


@dataclass(frozen=True)
class Forecast(Shown):
    """Numbers within [-1, 1], NaN where there is none.

    Parameters
    ----------
    values : array, shape (bars, assets)
    dates : datetime64 array, shape (bars,)
    assets : tuple of str
    timezone : str, optional
        In which dates are shown; `dates` are then UTC.
    """

    values: np.ndarray
    dates: np.ndarray
    assets: tuple[str, ...]
    timezone: str | None = None

    @property
    def frame(self) -> Any:
        """Dates by assets."""
        import pandas as pd

        return pd.DataFrame(
            self.values, index=index_of(self.dates, self.timezone), columns=list(self.assets)
        )

    def to_parquet(self, path: str | Path) -> None:
        """Write the frame."""
        write_frame(self.frame, path)

    @classmethod
    def of_frame(cls, frame: Any, name: str) -> Forecast:
        """From a frame of dates by assets.

        Raises
        ------
        DataError
            Its dates do not increase, or it holds other things than numbers within [-1, 1].
        """
        dates, zone = dates_of(frame.index)
        values = frame.to_numpy()
        if (
            not len(frame)
            or not len(frame.columns)
            or not dates.is_monotonic_increasing
            or not dates.is_unique
            or not frame.columns.is_unique
        ):
            raise DataError(f"{name}: must have dates that increase, and a column for each asset")
        if values.dtype != np.float64 or (np.abs(values) > 1.0).any():
            raise DataError(f"{name}: must hold numbers within -1 and 1")
        return cls(values, dates.to_numpy(), tuple(map(str, frame.columns)), zone)

    @property
    def rows(self) -> np.ndarray:
        """Bars with a forecast."""
        return np.flatnonzero(np.isfinite(self.values).any(axis=1))

    def on(self, dates: np.ndarray, assets: tuple[str, ...]) -> np.ndarray:
        """Values at other dates, NaN where they have none; the assets must be the same."""
        if assets != self.assets:
            raise DataError(
                f"the forecast is of {', '.join(self.assets)}; the prices are of "
                f"{', '.join(assets)}"
            )
        out = np.full((len(dates), len(assets)), np.nan)
        at = np.searchsorted(self.dates, dates)
        result = (at < len(self.dates)) & (self.dates[np.minimum(at, len(self.dates) - 1)] == dates)
        out[result] = self.values[at[result]]
        return out


def information_coefficient(forecast: np.ndarray, earned: np.ndarray) -> np.ndarray:
    """Correlation across assets between forecast and return, per bar, shape (bars,); NaN where
    fewer than three assets have both.
    """
    known = np.isfinite(forecast) & np.isfinite(earned)
    x, y = np.where(known, forecast, 0.0), np.where(known, earned, 0.0)
    n = known.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.where(known, x - (x.sum(1) / n)[:, None], 0.0)
        y = np.where(known, y - (y.sum(1) / n)[:, None], 0.0)
        out = (x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1))
    return np.where(n >= 3, out, np.nan)
