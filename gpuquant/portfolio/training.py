"""Training of a strategy, fold by fold, and its record in a log of trials."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.costs.base import Cost
from gpuquant.data.panel import Panel
from gpuquant.device import Device, resolve_device
from gpuquant.errors import DataError, GpuquantError, InputError
from gpuquant.features.table import FeatureTable
from gpuquant.forecast import Forecast, information_coefficient, mean_information
from gpuquant.meter import Meter
from gpuquant.portfolio.trained import Trained, dates_of, sample_of
from gpuquant.progress import bar
from gpuquant.shown import Shown, identity
from gpuquant.validation.overfitting import TrialLog, uncounted
from gpuquant.validation.splits import Fold

if TYPE_CHECKING:
    import pandas as pd

    from gpuquant.portfolio.strategy import Strategy

FEWEST_BARS = 63  # a fold needs at least this many training bars with every feature


@dataclass(frozen=True)
class Course(Shown):
    """How a strategy is trained: see `Strategy.train`."""

    splits: Any
    costs: Cost | None = None
    ledger: Any = None
    device: str | Device = "auto"
    progress: bool | None = None
    checkpoint: Any = None
    launch: int | None = None

    def __post_init__(self) -> None:
        if not hasattr(self.splits, "folds"):
            raise InputError(
                f"splits = {self.splits!r}: must be splits such as "
                "gpuquant.splits.WalkForward(train='8Y', test='1Y')"
            )


def train(
    strategy: Strategy, prices: Any, course: Course, before: Trained | None = None
) -> tuple[Strategy, pd.Series | None]:
    """The strategy with its models, those of `before` and those of the folds after it; and, where
    there is a log, its excess over equal weight, which was recorded there.
    """
    from gpuquant.learn.folds import walk_forward
    from gpuquant.learn.windows import torch_device

    log = course.ledger
    log = log if log is None or isinstance(log, TrialLog) else TrialLog(log)
    if log is not None:
        log.check()
    panel, device = Panel.of(prices), resolve_device(course.device)
    where = torch_device(device)
    if course.device == "auto" and hasattr(strategy.learner, "fit_folds"):
        where = "auto"  # a step is measured on each
    table = FeatureTable.of(strategy.features, panel, device)
    folds = folds_of(strategy, panel, course.splits, table)
    samples = samples_of(table, panel, strategy.learner)
    states, made = ([], None) if before is None else _continued(before, panel, folds)
    new = len(folds) - len(states)
    with bar(len(folds), "training", course.progress) as tick, Meter(device) as meter:
        values, states = walk_forward(
            strategy.learner,
            samples,
            folds,
            cost=0.0 if course.costs is None else course.costs.per_unit_turnover,
            device=where,
            trained=states,
            tick=_looking(tick, meter),
            checkpoint=course.checkpoint,
            launch=course.launch,
        )
    if made is not None:  # what was forecast stays as it was
        values = np.where(np.arange(panel.bars)[:, None] <= made.rows[-1], made.values, values)
    labels = samples.first_label
    trained = Trained(
        states,
        Forecast(values, panel.dates, panel.assets, panel.timezone),
        information_coefficient(values, labels),
        mean_information(values, labels, strategy.learner.label_horizon - 1),
        sample_of(folds),
        dates_of(folds, panel.dates),
        {**table.seconds, "training": meter.seconds},
        replace(meter.usage(), device=_place(states, where)),
        sum(_count(state) for state in states[-new:]) if new else 0,
    )
    done = replace(strategy, trained=trained)
    return done, None if log is None else _recorded(done, panel, course, log)


def _looking(tick: Callable[[float], None], meter: Meter) -> Callable[[float], None]:
    """A tick at which the counters of energy are looked at, too."""

    def both(done: float) -> None:
        tick(done)
        meter.look()

    return both


def _count(state: Any) -> int:
    """The models that a fold's training gives."""
    weights, models = getattr(state, "weights", None), getattr(state, "models", [state])
    return len(next(iter(weights.values()))) if weights else len(models)


def _place(states: list[Any], where: str) -> str:
    """Where models were trained, and why there."""
    history = getattr(states[-1], "history", None)
    if history is None:
        return "cpu" if where == "auto" else where
    return f"{history.device}: {history.reason}" if history.reason else str(history.device)


def _continued(before: Trained, panel: Panel, folds: list[Fold]) -> tuple[list[Any], Forecast]:
    """The models that there are, and their forecasts at the dates of a longer panel.

    Raises
    ------
    DataError
        The folds are not those of the models, with new ones after them or more test dates. The
        message names the first that differs.
    """
    now = dates_of(folds, panel.dates)
    for k, (was, own) in enumerate(itertools.zip_longest(before.folds, now[: len(before.folds)])):
        if own != was:
            told = "none" if own is None else f"{own[0][:10]} to {own[1][:10]}"
            raise DataError(
                f"fold {k} trained on {was[0][:10]} to {was[1][:10]}; the splits of these prices "
                f"train on {told}: give all prices of the training, its splits, and newer prices"
            )
    last = before.forecast.dates[before.forecast.rows[-1]]
    if not panel.dates[folds[-1].test[-1]] > last:
        raise DataError(
            f"there is nothing to train: the strategy has forecasts up to {str(last)[:10]}, the "
            f"splits test up to {str(panel.dates[folds[-1].test[-1]])[:10]}"
        )
    values = before.forecast.on(panel.dates, panel.assets)
    return list(before.states), Forecast(values, panel.dates, panel.assets, panel.timezone)


def _recorded(strategy: Strategy, panel: Panel, course: Course, log: TrialLog) -> pd.Series:
    """Add a training to the log of trials; the excess over equal weight that the log has of it."""
    with uncounted():  # this back-test is recorded below, with its description
        returns = strategy.excess(panel, costs=course.costs)
    what = {
        **strategy.describe(),
        "costs": identity(course.costs),
        "splits": vars(course.splits),
        "dates": [str(panel.dates[0]), str(panel.dates[-1])],
    }
    from gpuquant.learn.distributed import Ranks

    try:
        if _first():  # the others have trained the same
            log.record(what, returns.to_numpy())
    except GpuquantError as failure:  # a failed record must not lose the training
        warnings.warn(
            f"this trial is not in the log, which counts one too few: {failure}", stacklevel=4
        )
    Ranks.here().wait()  # who reads the log next finds this trial there
    return returns


def _first() -> bool:
    """Whether this process is the first of those that train together."""
    from gpuquant.learn.distributed import Ranks

    return Ranks.here().rank == 0


def samples_of(table: FeatureTable, panel: Panel, learner: Any = None) -> Any:
    """What a learner takes, with its labels, and names for its messages."""
    from gpuquant.learn.windows import Names, Samples

    names = Names(table.columns, panel.dates[-len(table.known) :], panel.assets)
    labels = None if learner is None else learner.label(panel)
    weights = learner.weights_of(panel, labels) if hasattr(learner, "weights_of") else None
    return Samples(table.values, labels, weights, table.offset, names)


def folds_of(strategy: Strategy, panel: Panel, splits: Any, table: FeatureTable) -> list[Fold]:
    """The folds that know every feature of an asset in half of their training bars, and in
    FEWEST_BARS at least.
    """
    some = np.asarray(table.known.any(axis=1))
    enough = [
        fold
        for fold in splits.folds(panel.clock, strategy.learner.label_horizon)
        if some[fold.train].sum() >= max(FEWEST_BARS, len(fold.train) // 2)
    ]
    if not enough:
        raise DataError(
            "no fold knows every feature of an asset in half of its training bars and in "
            f"{FEWEST_BARS} at least: give longer prices or shorter lookbacks"
        )
    return enough
