"""Simulated options: prices of path-dependent claims under a model fitted to the recent past, as
features.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpuquant.data.calendar import TRADING_DAYS
from gpuquant.data.panel import Panel
from gpuquant.device import Device
from gpuquant.errors import InputError
from gpuquant.features.base import Feature, bars, log_returns
from gpuquant.models.base import Model
from gpuquant.pricing.engine import price


def _heston() -> type[Model]:
    from gpuquant.models import Heston

    return Heston  # type: ignore[no-any-return]


@dataclass(frozen=True)
class SimulatedOptions(Feature):
    """Asian call, probability of touching a lower level, and expected shortfall of the path's
    minimum, per asset and date.

    The model is fitted at each bar to the `window` bars up to it (`Model.calibrate_rolling`), spot
    and strike are 1, the rate is 0, and all rows of the panel are priced in one call per claim on
    common random numbers, so that only the fitted parameters move the feature.

    Parameters
    ----------
    model : type
        A model class whose `calibrate_rolling` fits the model to recent bars.
    window : int
        Bars of the fit; >= 60.
    maturity : int
        Bars to maturity, and fixing dates of the claims; >= 2.
    level : float
        Barrier of the touch claim, as a share of the spot; below 1.
    every : int
        Bars between two fits; between fits the last value is kept.
    paths : int
        Paths per row.
    seed : int
        Seed of the random numbers.
    periods : float, optional
        Bars a year; by default as the dates have it.
    """

    model: type[Model] = field(default_factory=_heston)
    window: int = 252
    maturity: int = 21
    level: float = 0.95
    every: int = 1
    paths: int = 1024
    seed: int = 0
    periods: float | None = None

    def __post_init__(self) -> None:
        bars(self.window, "SimulatedOptions window", 60)
        bars(self.maturity, "SimulatedOptions maturity", 2)
        bars(self.every, "SimulatedOptions every")
        bars(self.paths, "SimulatedOptions paths")
        if not 0.0 < self.level < 1.0:
            raise InputError(f"SimulatedOptions level = {self.level!r}: must be within 0 and 1")
        if self.model.calibrate_rolling(np.full((2, 1), np.nan), 2, TRADING_DAYS) is None:
            raise InputError(
                f"SimulatedOptions model = {self.model.__name__}: must have "
                "`calibrate_rolling`, which fits it to recent returns"
            )

    @property
    def lookback(self) -> int:
        return 3 * self.window

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(
            f"simulated_{name}_{self.maturity}" for name in ("asian", "touch", "shortfall")
        )

    def compute(self, panel: Panel, device: Device) -> np.ndarray:
        return self._priced(panel, device, panel.bars)

    def latest(self, panel: Panel, device: Device, count: int) -> np.ndarray:
        return self._priced(panel, device, count)[-count:]

    def _priced(self, panel: Panel, device: Device, count: int) -> np.ndarray:
        """Values at the last `count` bars; before them there may be none."""
        periods = panel.frequency.periods if self.periods is None else self.periods
        fitted = self.model.calibrate_rolling(log_returns(panel), self.window, periods)
        assert fitted is not None
        known = np.logical_and.reduce([np.isfinite(v) for v in fitted.values()])
        known &= (np.arange(panel.bars) % self.every == 0)[:, None]
        since = max(panel.bars - count, 0)
        standing = np.maximum.accumulate(
            np.where(known, np.arange(panel.bars)[:, None], 0), axis=0
        )[since]  # the fit that still stands there
        known &= np.arange(panel.bars)[:, None] >= standing
        out = np.full((*panel.close.shape, 3), np.nan)
        if not known.any():
            return out
        model = self._model({name: value[known] for name, value in fitted.items()})
        for k, claim in enumerate(self._claims(self.maturity / periods)):
            priced = price(
                claim,
                model,
                engine="monte_carlo",
                paths=self.paths,
                steps=self.maturity,
                device=device,
                seed=self.seed,
                precision="single",
                common_random_numbers=True,
                progress=False,
            )
            out[known, k] = priced.price
        return np.where(panel.tradable[..., None], _carried(out), np.nan)

    def _model(self, columns: dict[str, np.ndarray]) -> Model:
        given: dict[str, Any] = {"spot": 1.0, "rate": 0.0, **columns}
        return self.model(**given)

    def _claims(self, years: float) -> list[Any]:
        from gpuquant.payoffs import Asian, Lookback, OneTouch

        return [
            Asian(option_type="call", strike=1.0, maturity=years, fixings=self.maturity),
            OneTouch(
                barrier=self.level,
                direction="down",
                maturity=years,
                monitoring="discrete",
                observations=self.maturity,
            ),
            Lookback(option_type="put", strike=1.0, maturity=years, observations=self.maturity),
        ]


def _carried(values: np.ndarray) -> np.ndarray:
    """The last known value of each asset and column."""
    known = np.isfinite(values)
    last = np.maximum.accumulate(np.where(known, np.arange(len(values))[:, None, None], -1), axis=0)
    out = np.take_along_axis(values, np.maximum(last, 0), axis=0)
    out[last < 0] = np.nan
    return out
