"""Where the prices of a back-test may come from besides a panel: a pricing model, or resampled
history.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gpuquant.data.arguments import scalar, whole_number
from gpuquant.data.calendar import TRADING_DAYS
from gpuquant.data.columns import domains, takes
from gpuquant.data.panel import Panel
from gpuquant.errors import InputError
from gpuquant.models.base import Model
from gpuquant.shown import Shown


@dataclass(frozen=True)
class Paths(Shown):
    """The base of all price paths. A rule sees one path at a time.

    Parameters
    ----------
    paths, bars : int
        Number of paths, and bars of each path; the first bar is today.
    seed : int
        Seed of the random numbers, 0 to 2^64 - 1.
    tick : float
        Tick size; prices are whole multiples of it, like quoted prices.
    """

    paths: int
    bars: int
    seed: int = 0
    tick: float = 0.01

    def __post_init__(self) -> None:
        for name, least in (("paths", 1), ("bars", 2)):
            whole_number(name, getattr(self, name), least)
        if not isinstance(self.seed, int | np.integer) or not 0 <= self.seed < 1 << 64:
            raise InputError(f"seed = {self.seed!r}: must be a whole number from 0 to 2^64 - 1")
        scalar("tick", self.tick)

    @cached_property
    def panel(self) -> Panel:
        """The bars without their prices: dates to report by, business days from 2000 on."""
        dates = np.busday_offset(np.datetime64("2000-01-03"), np.arange(self.bars)).astype(
            "datetime64[ns]"
        )
        return Panel(np.ones((self.bars, 1)), dates, ("path",))

    @property
    def path_model(self) -> Model | None:
        """The model that makes them, with its derived columns."""
        return None

    @property
    def a_year(self) -> float:
        """Bars a year."""
        raise NotImplementedError

    @property
    def source(self) -> np.ndarray:
        """The log of today's price, then the log returns of history; one zero without history."""
        return np.zeros(1)

    @property
    def step(self) -> float:
        """Years from bar to bar, or the probability that a new block begins at a bar."""
        raise NotImplementedError


@dataclass(frozen=True)
class SimulatedPrices(Paths):
    """Paths of a pricing model, one step for each bar: the prices that `gpuquant.price` simulates
    with the same seed and step.

    Parameters
    ----------
    model : Model
        Of one asset, one row; its `rate` less its `dividend_yield` is the drift.
    periods : float
        Bars a year.
    """

    model: Model | None = None
    periods: float = TRADING_DAYS

    def __post_init__(self) -> None:
        super().__post_init__()
        m = self.model
        if not isinstance(m, Model):
            raise InputError(f"model = {m!r}: must be a model such as gpuquant.models.Heston(...)")
        name = type(m).__name__
        if m.rows != 1:
            raise InputError(f"model = {name} with {m.rows} rows: must have one")
        if not m.simulated() or "spot" not in domains(type(m)):
            raise InputError(f"model = {name}: must be a model of one price that can be simulated")
        if m.times or takes(type(m).begin) > 3:
            raise InputError(
                f"model = {name}: changes at dates of its own, which the bars do not know"
            )

    @property
    def path_model(self) -> Model | None:
        """The model, with its derived columns."""
        return None if self.model is None else self.model.with_derived_columns()

    @property
    def step(self) -> float:
        return 1.0 / self.periods

    @property
    def a_year(self) -> float:
        """Bars a year."""
        return self.periods


@dataclass(frozen=True)
class BootstrappedPrices(Paths):
    """Paths of resampled returns: blocks of history, of random length and place, one after the
    other. A block that reaches the last return of history continues with the first.

    Parameters
    ----------
    prices : Panel, frame or series
        Prices of one asset. Their returns are resampled, and the last price is today's price.
    block : float
        Mean length of a block, in bars; 1 draws every bar independently.

    References
    ----------
    Politis and Romano (1994), The stationary bootstrap.
    """

    prices: Any = None
    block: float = 20.0

    def __post_init__(self) -> None:
        super().__post_init__()
        panel = Panel.of(self.prices)
        if len(panel.assets) != 1:
            raise InputError(f"prices have {len(panel.assets)} assets: must have one")
        if panel.bars < 3 or panel.allow_halts:
            raise InputError("prices: must have three bars at least, and none missing")
        scalar("block", self.block, 1.0, closed=True)

    @cached_property
    def history(self) -> np.ndarray:
        """The log of the last price, then every log return."""
        panel = Panel.of(self.prices)
        return np.concatenate(
            [np.log(panel.close[-1:, 0]), np.diff(np.log(panel.total_return_index[:, 0]))]
        )

    @property
    def source(self) -> np.ndarray:
        """The history."""
        return self.history

    @property
    def a_year(self) -> float:
        """Bars a year, as the history's dates have it; NaN where they do not say."""
        return float(Panel.of(self.prices).frequency.periods)

    @property
    def step(self) -> float:
        return 1.0 / self.block
