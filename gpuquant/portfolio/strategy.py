"""Strategy: features, a learner and a sizing.

A trained strategy holds the model of each fold and the out-of-sample forecasts of these models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.backtesting.engine import backtest
from gpuquant.backtesting.result import Backtest
from gpuquant.costs.base import Cost
from gpuquant.data.panel import Panel
from gpuquant.device import Device, resolve_device
from gpuquant.errors import DataError, NotTrained
from gpuquant.features.frame import Frame
from gpuquant.features.table import FeatureTable, listed
from gpuquant.params import Tunable
from gpuquant.portfolio import training
from gpuquant.portfolio.benchmark import equal_weight, excess
from gpuquant.portfolio.trained import Trained
from gpuquant.portfolio.training import Course, samples_of
from gpuquant.shown import Shown, identity
from gpuquant.sizing.base import Sizing
from gpuquant.validation.overfitting import uncounted

if TYPE_CHECKING:
    import pandas as pd

RECENT = 252  # bars of forecasts that the sizing at the last date may read


@dataclass(frozen=True)
class Strategy(Tunable, Shown):
    """Features to a forecast to weights.

    Parameters
    ----------
    features : sequence
        Features, or frames of the caller's own (dates by assets), whose row t must not know more
        than bar t.
    learner : object
        `learn.Learner`, or any object with its `fit`, `predict`, `label` and `label_horizon`.
    sizing : Sizing
        From forecasts to weights.
    """

    features: Sequence[Any]
    learner: Any
    sizing: Sizing
    trained: Trained | None = None

    def compute(self, panel: Panel, device: Device) -> np.ndarray:
        """Every feature at every bar, shape (bars, assets, columns), on the host."""
        parts = [device.get(f.compute(panel, device), "features") for f in listed(self.features)]
        return np.concatenate(parts, axis=2)

    def samples(self, panel: Panel, device: Device) -> Any:
        """What the learner learns from: `learn.Samples`, the features and labels of a panel."""
        return samples_of(FeatureTable.of(self.features, panel, device), panel, self.learner)

    def train(
        self,
        prices: Any,
        *,
        splits: Any,
        costs: Cost | None = None,
        ledger: Any = None,
        device: str | Device = "auto",
        progress: bool | None = None,
        checkpoint: Any = None,
        launch: int | None = None,
    ) -> Strategy:
        """The strategy with its models: each fold trained on its past, forecasting its test dates.

        Parameters
        ----------
        prices : Panel, frame or path
        splits : WalkForward
        costs : Cost, optional
            Charged in the loss.
        ledger : path or TrialLog, optional
            Where this trial is recorded, with the Sharpe ratio of its excess over equal weight out
            of sample.
        device : str
            Of features and networks.
        checkpoint : path or learn.Checkpoints, optional
            A folder that keeps the state of training once a minute: the same call after a crash
            goes on from it, to the same weights bit for bit.
        launch : int, optional
            So many processes on this machine share the training; see `learn.Learner.fit`.
        """
        course = Course(splits, costs, ledger, device, progress, checkpoint, launch)
        return training.train(self, prices, course)[0]

    def retrain(
        self,
        prices: Any,
        *,
        splits: Any,
        costs: Cost | None = None,
        device: str | Device = "auto",
        progress: bool | None = None,
        checkpoint: Any = None,
        launch: int | None = None,
    ) -> Strategy:
        """The strategy with the models of the folds that are new since its training, such as those
        of the months that have passed with `WalkForward(train="8Y", test="1M")`. Older models and
        the forecasts that were made stay as they are. The new ones are those of a training with all
        prices, up to rounding (with `engine="sequential"` bit for bit); a learner with `warm_start`
        begins with the weights of the last model. It is no new trial, and no log counts it.

        Parameters
        ----------
        prices : Panel, frame or path
            All prices of the training, and newer ones.
        splits : WalkForward
            Those of the training.
        costs, device, checkpoint, launch
            As in `train`.

        Raises
        ------
        DataError
            No date is new, or the folds are not those of the training.
        """
        course = Course(splits, costs, None, device, progress, checkpoint, launch)
        return training.train(self, prices, course, self.fitted())[0]

    def set_params(self, **params: Any) -> Strategy:
        """With these parameters; other features and another learner are not trained."""
        made = super().set_params(**params)
        other = {name.partition("__")[0] for name in params} & {"features", "learner"}
        return replace(made, trained=None) if other and "trained" not in params else made

    def describe(self) -> dict[str, Any]:
        """What identifies this strategy in a ledger."""
        names = [
            hashlib.sha256(np.ascontiguousarray(f.frame.to_numpy()).tobytes()).hexdigest()
            if isinstance(f, Frame)
            else identity(f)
            for f in listed(self.features)
        ]
        return {
            "features": names,
            "learner": self.learner.describe()
            if hasattr(self.learner, "describe")
            else identity(self.learner),
            "sizing": identity(self.sizing),
        }

    def fitted(self) -> Trained:
        """The result of training; raises NotTrained if the strategy is not trained."""
        if self.trained is None:
            raise NotTrained(
                "the strategy is not trained: call train(prices, splits=...) first and "
                "keep what it returns"
            )
        return self.trained

    def weights(self, prices: Any) -> tuple[Panel, np.ndarray]:
        """The out-of-sample part of a panel, and its target weights, shape (bars, assets)."""
        panel = Panel.of(prices)
        forecast = self.fitted().forecast.on(panel.dates, panel.assets)
        rows = np.flatnonzero(np.isfinite(forecast).any(axis=1))
        if not rows.size:
            raise DataError("none of these dates has an out-of-sample forecast")
        span = slice(int(rows[0]), int(rows[-1]) + 1)
        return panel.rows(span), self._sized(forecast, panel)[span]

    def _sized(self, forecast: np.ndarray, panel: Panel) -> np.ndarray:
        """The weights of forecasts: an unknown one changes nothing, but what leaves the universe
        is sold.
        """
        periods = panel.frequency.periods
        years = {"periods": periods} if np.isfinite(periods) else {}
        weights = self.sizing.size(forecast, panel.total_return_index, **years)
        return weights if panel.members is None else np.where(panel.members, weights, 0.0)

    def backtest(
        self,
        prices: Any,
        *,
        costs: Cost | None = None,
        fill: str = "next",
        cash: float = 1_000_000.0,
    ) -> tuple[Backtest, np.ndarray]:
        """The out-of-sample dates with shared cash, and the weights held."""
        panel, weights = self.weights(prices)
        return backtest(panel, weights=weights, costs=costs, fill=fill, cash=cash), weights

    @uncounted()
    def excess(self, prices: Any, *, costs: Cost | None = None) -> pd.Series:
        """Returns of the out-of-sample dates less those of equal weight, per bar."""
        account, _ = self.backtest(prices, costs=costs)
        base = equal_weight(account.account.panel, costs, account.account.cash, "next")
        return excess(account, base)

    def latest(
        self, prices: Any, device: str | Device = "auto"
    ) -> tuple[Panel, np.ndarray, np.ndarray]:
        """Forecast and target weight of each asset at the last date, by the last model."""
        from gpuquant.learn.windows import torch_device

        panel, device, trained = Panel.of(prices), resolve_device(device), self.fitted()
        forecast, rows = self._recent(panel)
        seen = getattr(self.learner, "window", None)
        count = None if seen is None else len(rows) + seen - 1  # without a window, all of the past
        table = FeatureTable.of(self.features, panel, device, count)
        forecast[rows] = self.learner.predict(
            trained.states[-1],
            samples_of(table, panel),
            np.arange(len(table.known) - len(rows), len(table.known)),
            device=torch_device(device),
        )
        if np.isnan(forecast[-1]).all():
            raise DataError("no asset knows every feature at the last date: give longer prices")
        return panel, forecast[-1], np.nan_to_num(self._sized(forecast, panel)[-1])

    def _recent(self, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
        """The forecasts that were made out of sample, and the bars that have none yet: those after
        them, RECENT at most, and always the last bar, whose prices may be new.
        """
        made = self.fitted().forecast
        forecast = made.on(panel.dates, panel.assets)
        last = made.dates[made.rows[-1]]
        first = int(np.searchsorted(panel.dates, last, side="right"))
        first = min(max(first, panel.bars - RECENT), panel.bars - 1)
        return forecast, np.arange(first, panel.bars)
