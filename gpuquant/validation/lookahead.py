"""Leaks: does the output of a strategy at a bar depend on later data?

The strategy runs again on prices that end at bar t, and on prices with other values after t. Its
output for the bars up to t must not change. Bars are tried in the order in which leaks are usually
found: the first and the last bars, the neighbours of missing prices, the turns of weeks and months,
then all bars in ever finer steps.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gpuquant.data.panel import Panel
from gpuquant.errors import InputError, LeakFound, unknown
from gpuquant.progress import bar as progress_bar
from gpuquant.shown import Shown
from gpuquant.validation.other_futures import bars_of, cut, dates_of, other_future
from gpuquant.validation.overfitting import uncounted

SEED = 20_260
SAME = 1e-9  # a difference up to this share of a column's largest value is rounding, not a leak
PERTURBED = 40  # at most so many bars are tried with other prices after them


@dataclass(frozen=True)
class Leaks(Shown):
    """What a check found.

    Attributes
    ----------
    found : bool
        Whether there is a leak.
    bar : int or None
        The first bar at which the output depends on later data.
    date : datetime64 or None
    feature : str
        The column of the output, or asset and feature, that has the leak.
    how : str
        The change of the prices that changed the output, in words.
    cuts : int
        Number of runs on shortened or changed prices.
    """

    found: bool
    bar: int | None
    date: Any
    feature: str
    how: str
    cuts: int

    def __bool__(self) -> bool:
        return self.found

    def __str__(self) -> str:
        if not self.found:
            return f"no leak in {self.cuts} cuts"
        return f"{self.feature} at bar {self.bar} ({self.date}): {self.how}"

    def raise_if_found(self) -> None:
        """Raise LeakFound where there is a leak."""
        if self.found:
            raise LeakFound(str(self))


@uncounted()
def check(
    strategy: Any,
    prices: Any,
    *,
    knows: str = "close",
    cuts: int | None = None,
    progress: bool | None = None,
) -> Leaks:
    """Whether the output of a strategy at a bar depends on later prices.

    Parameters
    ----------
    strategy : callable, Rule, Feature or Strategy
        A function from prices to a frame, series or array with a row for each bar; or a member of
        the library. Two runs must give the same output. Of a Strategy the features, the sizing, the
        labels and the learner are checked; the learner is trained twice for that.
    prices : DataFrame, dict of DataFrames, or Panel
        The argument of the function.
    knows : str
        close: row t of the output may use all of bar t; open: row t may only use the open of bar t,
        and the other prices of bar t are changed, too.
    cuts : int, optional
        How many bars to try; by default all.

    Returns
    -------
    Leaks

    Raises
    ------
    InputError
        The strategy is random, does not run, or gives something else than a row for each bar.

    Notes
    -----
    A leak without effect on these prices is not found, such as back-filling without gaps.
    """
    if knows not in ("close", "open"):
        raise unknown("knows", knows, ("close", "open"))
    run, data = _runner(strategy, prices)
    bars, dates = bars_of(data), dates_of(data)
    whole = _table(run(data), bars)
    if not _equal(whole, _table(run(data), bars), bars).all():
        raise InputError("strategy: gives another answer the second time; fix its seed first")
    order = list(_order(data, bars, dates))[:cuts]
    draw = np.random.default_rng(SEED)
    tried, failures = 0, 0
    with progress_bar(len(order), "leaks", progress) as tick:
        for turn, t in enumerate(order):
            variants: list[tuple[str, Callable[[], Any]]] = [
                ("differs on prices that end there", partial(cut, data, t + 1))
            ]
            if turn < PERTURBED:
                other = partial(other_future, data, t, draw, whole_bar=True)
                variants.append(("moves when the prices after it do", other))
            if knows == "open":
                other = partial(other_future, data, t, draw, whole_bar=False)
                variants.append(("moves with the rest of its own bar", other))
            for how, make in variants:
                made, rows = make(), t + 1
                try:
                    output = run(made)
                except (
                    Exception
                ) as failure:  # too few bars, or a broken strategy: an error if every run fails
                    failures, last = failures + 1, failure
                    continue
                leak = _compared(whole, _table(output, bars_of(made)), rows)
                if leak is not None:
                    row, name = leak
                    return Leaks(
                        True, row, None if dates is None else dates[row], name, how, tried + 1
                    )
                tried += 1
            tick(1)
    if not tried:
        raise InputError(f"strategy: runs on no part of the prices: {last}")
    if hasattr(strategy, "samples"):
        return learning_leak(strategy, data, draw, tried)
    return Leaks(False, None, None, "", "", tried)


def _runner(strategy: Any, prices: Any) -> tuple[Callable[[Any], Any], Any]:
    """A function of prices, and the prices as it wants them."""
    if hasattr(strategy, "decide") and hasattr(strategy, "grid"):
        from gpuquant.backtesting.engine import backtest

        return lambda panel: backtest(panel, strategy, progress=False).positions(), Panel.of(prices)
    if hasattr(strategy, "compute") and hasattr(strategy, "lookback"):  # a feature
        from gpuquant.device import resolve_device

        return lambda panel: strategy.compute(panel, resolve_device("cpu")), Panel.of(prices)
    if hasattr(strategy, "compute") and hasattr(strategy, "features"):
        return partial(_of_strategy, strategy), Panel.of(prices)
    if not callable(strategy):
        raise InputError(
            f"strategy = {type(strategy).__name__}: must be a function of prices, a rule, "
            "a feature or a strategy"
        )
    return strategy, prices


def learning_leak(strategy: Any, panel: Panel, draw: np.random.Generator, tried: int) -> Leaks:
    """Whether labels reach further than the learner says, or its forecasts depend on later bars.

    The learner is trained twice on the same bars, whose labels end before bar t: once with the
    prices, and once with other prices after bar t.
    """
    from gpuquant.device import resolve_device

    learner, device = strategy.learner, resolve_device("cpu")
    span, t = learner.label_horizon, panel.bars * 3 // 4
    both = [
        strategy.samples(other, device)
        for other in (panel, other_future(panel, t, draw, whole_bar=True))
    ]
    rows = max(t + 1 - span, 0)
    labels = [one.labels[:rows].reshape(rows, len(panel.assets), -1) for one in both]
    train, test = np.arange(rows), np.arange(t + 1)
    forecasts = [learner.predict(learner.fit(one, train), one, test) for one in both]
    for name, how, values in (
        ("label", f"moves with prices later than the label_horizon of {span} bars", labels),
        ("forecast", "moves with prices after the bar: the learner reads them", forecasts),
    ):
        before, after = (_by_asset(one, panel.assets) for one in values)
        leak = _compared(before, after, len(values[0]))
        if leak is not None:
            row, asset = leak
            return Leaks(True, row, panel.dates[row], f"{name} of {asset}", how, tried + 1)
    return Leaks(False, None, None, "", "", tried + 1)


def _by_asset(values: np.ndarray, assets: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The columns of each asset by its name, and by their numbers where it has several."""
    values = np.asarray(values, np.float64)
    if values.ndim == 2 or values.shape[2] == 1:
        return dict(zip(assets, values.reshape(len(values), -1).T, strict=True))
    return {
        f"{asset} (number {k})": values[:, a, k]
        for a, asset in enumerate(assets)
        for k in range(values.shape[2])
    }


def _of_strategy(strategy: Any, panel: Panel) -> Any:
    """The features of a strategy, and the weights that its sizing gives to forecasts at random, a
    column for each asset.
    """
    import pandas as pd

    from gpuquant.device import resolve_device

    for k, feature in enumerate(strategy.features):
        if getattr(feature, "made_before", not hasattr(feature, "lookback")):
            raise InputError(
                f"features[{k}] = {type(feature).__name__}: was made before and cannot be checked, "
                "since it cannot be made anew from fewer prices; make it a Feature, or check the "
                "function that makes it"
            )
    features = strategy.compute(panel, resolve_device("cpu"))
    forecast = np.random.default_rng(SEED).normal(size=panel.close.shape)
    weights = strategy.sizing.size(forecast, panel.total_return_index)
    names = [name for feature in strategy.features for name in feature.columns]
    values = np.concatenate([features.reshape(panel.bars, -1), weights], axis=1)
    columns = [f"{name} of {asset}" for asset in panel.assets for name in names]
    columns += [f"weight of {asset}" for asset in panel.assets]
    return pd.DataFrame(values, columns=columns)


def _order(data: Any, bars: int, dates: Any) -> Iterator[int]:
    """Every bar once, the telling ones first."""
    telling = [0, 1, 2, bars - 2, bars - 3, bars // 2]
    values = (
        data.close
        if isinstance(data, Panel)
        else next(iter(data.values()))
        if isinstance(data, dict)
        else data
    )
    values = np.asarray(
        values.select_dtypes("number") if hasattr(values, "select_dtypes") else values,
        dtype=np.float64,
    ).reshape(bars, -1)
    edges = np.flatnonzero((np.isnan(values[1:]) != np.isnan(values[:-1])).any(axis=1))
    telling += [t + shift for t in edges.tolist()[:50] for shift in (0, 1)]
    if dates is not None and getattr(dates, "dtype", np.dtype(object)).kind == "M":
        for unit in ("W", "M"):
            turns = np.flatnonzero(np.diff(dates.astype(f"datetime64[{unit}]").astype(np.int64)))
            telling += [
                t + shift for t in turns[len(turns) // 2 :].tolist()[:4] for shift in (-1, 0, 1)
            ]
    seen: set[int] = set()
    step = bars
    finer: list[int] = []
    while step >= 1:
        finer += range(step // 2, bars, step)
        step //= 2
    for t in [*telling, *finer, *range(bars)]:
        if 0 <= t < bars and t not in seen:
            seen.add(t)
            yield t


def _table(output: Any, bars: int) -> dict[str, np.ndarray]:
    """What a strategy gave as columns by name, each with one value for each bar."""
    if hasattr(output, "to_frame") and not hasattr(output, "columns"):
        output = output.to_frame()
    if hasattr(output, "columns"):
        table = {str(name): output.iloc[:, k].to_numpy() for k, name in enumerate(output.columns)}
    else:
        array = np.asarray(output)
        if array.ndim == 0 or len(array) == 0:
            raise InputError(
                f"strategy: gave {type(output).__name__}, must give a row for each bar"
            )
        flat = array.reshape(len(array), -1)
        table = {
            f"column {k}" if array.ndim > 1 else "value": flat[:, k] for k in range(flat.shape[1])
        }
    for name, values in table.items():
        if len(values) < bars:
            raise InputError(
                f"strategy: {name} has {len(values)} rows for {bars} bars; must give a "
                "row for each bar"
            )
    out = {}
    for name, values in table.items():
        try:
            out[name] = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError):
            out[name] = np.array(
                [float(zlib.crc32(str(value).encode())) for value in values]
            )  # words
    return out


def _equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray], rows: int) -> np.ndarray:
    """Per bar, whether every column says the same."""
    same = np.ones(rows, bool)
    for name in {*one, *other}:
        if name not in one or name not in other:
            return np.zeros(rows, bool)
        same &= _same(one[name][:rows], other[name][:rows])
    return same


def _same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    scale = max(float(np.nanmax(np.abs(one[np.isfinite(one)]), initial=0.0)), 1e-300)
    with np.errstate(invalid="ignore"):
        return np.asarray(
            (np.abs(one - other) <= SAME * scale)
            | (one == other)
            | (np.isnan(one) & np.isnan(other))
        )


def _compared(
    whole: dict[str, np.ndarray], other: dict[str, np.ndarray], rows: int
) -> tuple[int, str] | None:
    """The first bar that differs, and its column; None where all is the same."""
    leak: tuple[int, str] | None = None
    for name in [*whole, *(name for name in other if name not in whole)]:
        if name not in whole or name not in other:  # later prices decide which columns exist
            known = whole.get(name, other.get(name))
            row = int(np.argmax(np.isfinite(known[:rows]))) if known is not None else 0
        else:
            if len(other[name]) > rows and len(other[name]) != len(whole[name]):
                return rows, name
            different = np.flatnonzero(~_same(whole[name][:rows], other[name][:rows]))
            if not different.size:
                continue
            row = int(different[0])
        if leak is None or row < leak[0]:
            leak = row, name
    return leak
