"""What was learnt, to look at: learning curves, information over time, what forecasts were worth,
and which features they rest on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant import disk
from gpuquant.data.panel import Panel
from gpuquant.device import Device, resolve_device
from gpuquant.errors import InputError
from gpuquant.features.table import FeatureTable
from gpuquant.forecast import mean_information
from gpuquant.portfolio.strategy import Strategy
from gpuquant.portfolio.training import folds_of, samples_of
from gpuquant.progress import bar
from gpuquant.reporting import html
from gpuquant.reporting.html import Words
from gpuquant.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

GROUPS = 5  # of forecasts, from the lowest to the highest
SEED = 20_261
ATTRIBUTED = 64  # test bars of a fold whose forecasts are taken apart


@dataclass(frozen=True)
class LearningReport(Shown):
    """What a trained strategy has learnt, out of sample.

    Attributes
    ----------
    curves : DataFrame
        The training loss by step, a column for each fold: the mean of its members; and where bars
        judged, their last loss in the column's name.
    information : DataFrame
        By date: the information coefficient, and its sum so far.
    groups : DataFrame
        For five groups of forecasts, from the lowest to the highest: how many, the mean forecast in
        units of labels, the mean label, and its standard error over dates.
    importance : DataFrame
        By feature: what the mean information coefficient loses where its values are shuffled among
        dates and assets, and the standard error of the difference; and the mean size of what it
        adds to a network's forecasts (integrated gradients), in units of forecasts.
    turnover : Series
        By date: half the sum of the absolute changes of the target weights.
    """

    curves: pd.DataFrame
    information: pd.DataFrame
    groups: pd.DataFrame
    importance: pd.DataFrame
    turnover: pd.Series

    def report(self, path: str | Path) -> Path:
        """One offline HTML page of all of it."""
        target = disk.ready(path, "report", parents=True)
        lead = (
            f"{len(self.curves.columns)} folds, {len(self.importance)} features, "
            f"{len(self.information)} dates out of sample."
        )
        frames = (self.curves, self.information, self.groups, self.importance, self.turnover)
        return html.learning_page(Words("What was learnt", lead, {}), frames, target)

    def plot(self, ax: Any = None) -> Any:
        """The sum of the information coefficients so far."""
        from gpuquant.reporting.plots import lines_plot

        return lines_plot(self.information["cumulative"], "sum of information coefficients", ax)


def learning_report(
    strategy: Strategy,
    prices: Any,
    *,
    splits: Any,
    device: str = "auto",
    progress: bool | None = None,
) -> LearningReport:
    """Look at what a trained strategy has learnt.

    Parameters
    ----------
    strategy : Strategy
        Trained, not loaded: the losses of training are not saved.
    prices : Panel, frame or path
        Those of the training.
    splits : WalkForward, ...
        Those of the training.
    """
    import pandas as pd

    panel, where, trained = Panel.of(prices), resolve_device(device), strategy.fitted()
    table = FeatureTable.of(strategy.features, panel, where)
    samples = samples_of(table, panel, strategy.learner)
    folds = folds_of(strategy, panel, splits, table)
    if len(folds) != len(trained.states):
        raise InputError(
            f"splits make {len(folds)} folds of these prices, the strategy has "
            f"{len(trained.states)} models: give the prices and splits of its training"
        )
    forecast = trained.forecast.on(panel.dates, panel.assets)
    tests = [(state, fold.test) for state, fold in zip(trained.states, folds, strict=True)]
    unit = np.ones(panel.bars)
    for state, rows in tests:
        unit[rows] = getattr(state, "size", 1.0) * getattr(state, "unit", 1.0)
    dates = panel.index[trained.forecast.rows]
    each = pd.Series(trained.information[trained.forecast.rows], dates, name="ic")
    _, weights = strategy.weights(panel)
    moved = np.abs(np.diff(np.nan_to_num(weights), axis=0)).sum(axis=1) / 2.0
    return LearningReport(
        _curves(trained.states),
        pd.DataFrame({"ic": each, "cumulative": each.fillna(0.0).cumsum()}),
        _groups(forecast * unit[:, None], samples.first_label),
        _importance(strategy, samples, tests, forecast, where, progress),
        pd.Series(moved, dates[1 : len(moved) + 1], name="turnover"),
    )


def _curves(states: list[Any]) -> pd.DataFrame:
    """The mean loss of the members by step, a column for each fold."""
    import pandas as pd

    columns = {}
    for number, state in enumerate(states):
        history = getattr(state, "history", None)
        if history is not None:
            judged = history.validation[:, -1].mean() if history.validation.size else None
            name = f"fold {number}" + (f", judged {judged:.4g}" if judged is not None else "")
            columns[name] = pd.Series(np.nanmean(history.loss, axis=0))
    return pd.DataFrame(columns).rename_axis("step")


def _groups(expected: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Forecasts in groups, and what was earned."""
    import pandas as pd

    known = np.isfinite(expected) & np.isfinite(labels)
    edges = np.quantile(expected[known], np.linspace(0.0, 1.0, GROUPS + 1)[1:-1])
    group = np.searchsorted(edges, expected)
    rows = []
    for number in range(GROUPS):
        inside = known & (group == number)
        by_date = np.where(inside, labels, 0.0).sum(axis=1)[inside.any(axis=1)]
        total = int(inside.sum())
        error = np.sqrt(np.square(by_date - by_date.mean()).sum()) / total if total else np.nan
        row = (total, expected[inside].mean(), labels[inside].mean(), error)
        rows.append(row if total else (0, np.nan, np.nan, np.nan))
    names = ["samples", "forecast", "earned", "error"]
    return pd.DataFrame(rows, pd.RangeIndex(1, GROUPS + 1, name="group"), names)


def _importance(
    strategy: Strategy,
    samples: Any,
    tests: list[Any],
    forecast: np.ndarray,
    where: Device,
    progress: bool | None,
) -> pd.DataFrame:
    """What shuffling a column costs."""
    import pandas as pd

    from gpuquant.learn.windows import torch_device

    device = torch_device(where)

    learner, names = strategy.learner, samples.names.columns
    window = getattr(learner, "window", None) or len(samples.first_label)
    draw = np.random.default_rng(SEED)
    rows = []
    base = mean_information(forecast, samples.first_label, learner.label_horizon - 1)[0]
    with bar(len(names), "importance", progress) as tick:
        for column in range(len(names)):
            shuffled = np.full(forecast.shape, np.nan)
            for state, test in tests:
                first = max(int(test[0]) - window + 1, 0)
                part = np.array(where.get(samples.features[first : test[-1] + 1], "features"))
                values = part[..., column]
                known = np.isfinite(values)
                values[known] = draw.permutation(values[known])
                some = type(samples)(part, offset=samples.offset)
                shuffled[test] = learner.predict(state, some, test - first, device=device)
            mean, error = mean_information(shuffled, samples.first_label, learner.label_horizon - 1)
            rows.append((base - mean, error))
            tick(1)
    frame = pd.DataFrame(rows, pd.Index(names, name="feature"), ["loss_of_ic", "error"])
    frame["attribution"] = _attribution(learner, samples, tests, device)
    return frame.sort_values("loss_of_ic", ascending=False)


def _attribution(learner: Any, samples: Any, tests: list[Any], device: str) -> np.ndarray:
    """The mean size of what each column adds to forecasts; NaN where there are no gradients."""
    out = np.full(len(samples.names.columns), np.nan)
    if not getattr(learner, "is_network", False):
        return out
    total, count = np.zeros(len(out)), 0
    for state, test in tests:
        some = test[np.linspace(0, len(test) - 1, min(ATTRIBUTED, len(test))).astype(int)]
        added = np.abs(learner.attribute(state, samples, some, device=device))
        known = np.isfinite(added).all(axis=2)
        total, count = total + added[known].sum(axis=0), count + int(known.sum())
    return total / count if count else out
