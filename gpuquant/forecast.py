"""Forecasts: what a strategy expects of each asset at each date, as a plain record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpuquant.data.arguments import scalar
from gpuquant.data.arrow import write_frame
from gpuquant.data.calendar import dates_of, index_of
from gpuquant.errors import DataError
from gpuquant.shown import Shown


@dataclass(frozen=True)
class Forecast(Shown):
    """What is expected of each asset, in units of a typical forecast; NaN where there is none.

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
            Its dates do not increase, or it holds other things than finite numbers and NaN.
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
        if values.dtype != np.float64 or np.isinf(values).any():
            raise DataError(f"{name}: must hold numbers, or NaN where there is no forecast")
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


def mean_information(forecast: np.ndarray, earned: np.ndarray, span: int) -> tuple[float, float]:
    """The mean information coefficient, and its standard error where labels overlap.

    Labels of bars less than `span` apart share returns. If they tell nothing else about each other,
    the coefficients of bars t and t + k have the correlation a_k b_k, with a_k the mean correlation
    across assets of the forecasts of both bars and b_k that of the labels. Then

        error^2 = s^2 / n (1 + 2 sum_(k < span) (1 - k/n) a_k b_k),

    with s^2 the variance of the n coefficients. The correlations come from the whole panel, and so
    are known far better than the autocorrelations of n numbers. If the sum is below one, one is
    taken.

    Parameters
    ----------
    forecast, earned : array, shape (bars, assets)
        NaN where there is none.
    span : int
        Bars over which a label earns.

    References
    ----------
    Newey and West (1987) for errors of overlapping returns; Hansen and Hodrick (1980), equation
    8, for the sum up to the overlap.
    """
    each = information_coefficient(forecast, earned)
    known = each[np.isfinite(each)]
    if len(known) < 2:
        return float(known.mean()) if len(known) else np.nan, np.nan
    n, total = len(known), 1.0
    for lag in range(1, min(span, n - 1)):
        a, b = (_lagged(values, lag) for values in (forecast, earned))
        total += 2.0 * (1.0 - lag / n) * a * b
    error = known.std(ddof=1) * np.sqrt(max(total, 1.0) / n)
    return float(known.mean()), float(error)


def _lagged(values: np.ndarray, lag: int) -> float:
    """The mean correlation across assets of bars `lag` apart; zero where there is none."""
    each = information_coefficient(values[lag:], values[:-lag])
    each = each[np.isfinite(each)]
    return float(each.mean()) if len(each) else 0.0


def conformal_widths(
    forecast: np.ndarray,
    earned: np.ndarray,
    span: int,
    *,
    level: float = 0.9,
    window: int = 252,
    by_asset: bool = False,
) -> np.ndarray:
    """Half the width, per bar, of intervals around forecasts that hold a share `level` of what is
    earned, shape (bars,), or (bars, assets) by asset; NaN until there are enough errors.

    At bar t it is the quantile (1 + 1/n) level of the n absolute errors, over all assets or of
    each, of the `window` bars whose labels have ended by t. If errors are exchangeable an interval
    holds what is earned with a probability of `level` at least; in a market that has become wilder,
    less.

    Parameters
    ----------
    forecast, earned : array, shape (bars, assets)
        In the same unit: a forecast times `size` and `unit` of its fold is an expected label.
    span : int
        Bars that a label looks ahead.
    level : float
        Within (0, 1).
    window : int
        Bars of past errors.
    by_asset : bool
        A width for each asset, from its own errors.

    References
    ----------
    Vovk, Gammerman and Shafer (2005), section 2.2; Lei, G'Sell, Rinaldo, Tibshirani and Wasserman
    (2018), theorem 2.2.
    """
    scalar("level", level, high=1.0)
    errors = np.abs(earned - forecast)
    out = np.full(errors.shape if by_asset else (len(errors), 1), np.nan)
    for t in range(span, len(errors)):
        past = errors[max(t - span - window + 1, 0) : t - span + 1]
        past = past if by_asset else past.reshape(-1, 1)
        count = np.isfinite(past).sum(axis=0)
        share = level * (1.0 + 1.0 / np.maximum(count, 1))
        place = np.maximum(np.minimum(np.ceil(share * count).astype(int), count) - 1, 0)
        past = np.partition(past, np.unique(place), axis=0)  # NaN comes last
        known = (count > 0) & (share <= 1.0)
        out[t, known] = np.take_along_axis(past, place[None], axis=0)[0, known]
    return out if by_asset else out[:, 0]
