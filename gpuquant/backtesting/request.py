"""The request for a back-test: checks of its options, returns of its benchmark, names of its
columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gpuquant.backtesting.kernels.build import FILLS
from gpuquant.backtesting.kernels.given import Amounts, RestingOrders, Weights
from gpuquant.backtesting.price_paths import Paths
from gpuquant.backtesting.run import Account
from gpuquant.backtesting.settings import GRIDDED, Margin, Size, Stops, word
from gpuquant.costs.base import Cost
from gpuquant.data.arguments import scalar, whole_number
from gpuquant.data.calendar import ALIGN, dates_of, same_zone
from gpuquant.data.columns import domains
from gpuquant.data.domains import Domain
from gpuquant.data.panel import Panel
from gpuquant.device import on_host
from gpuquant.errors import DataError, InputError, unknown
from gpuquant.sums import NAMES

CASH_ALLOCATION = ("pro_rata", "sequential")


def _check_choices(
    fill: str, cash_allocation: str, align: str, cash: float, top: int | None, by: str, workers: Any
) -> None:
    """Refuse options of a run that are not allowed."""
    for name, value, allowed in (
        ("fill", fill, FILLS),
        ("cash_allocation", cash_allocation, CASH_ALLOCATION),
        ("align", align, ALIGN),
    ):
        if value not in allowed:
            raise unknown(name, value, allowed)
    scalar("cash", cash)
    if top is not None:
        whole_number("top", top)
    if by not in NAMES:
        raise unknown("measure", by, NAMES)
    if workers is not None and top is not None:
        raise InputError("workers and top: give one of them")


def _periods(periods: Any, panel: Any, paths: Paths | None) -> float:
    """Bars a year, from the caller, the paths or the dates; an error if none of them gives the
    number.
    """
    if periods is not None:
        return scalar("periods", periods)
    if paths is not None and np.isfinite(paths.a_year):
        return paths.a_year
    if paths is not None or np.isnan(panel.frequency.periods):
        raise InputError(
            "periods: how many bars a year has cannot be read off the dates "
            f"({panel.frequency.label}): say it, such as periods=252"
        )
    return float(panel.frequency.periods)


def _check(size: Any, stops: Any, margin: Any, cost: Any, panel: Panel, fill: str) -> None:
    """Refuse terms of an account that are of a wrong type or contradict each other."""
    if not isinstance(cost, Cost):
        raise InputError(
            f"costs = {cost!r}: must be a cost such as gpuquant.costs.Proportional(rate=0.0005)"
        )
    for name, value, cls in (
        ("size", size, Size),
        ("stops", stops, Stops),
        ("margin", margin, Margin),
    ):
        if value is not None and not isinstance(value, cls):
            raise InputError(f"{name} = {value!r}: must be a gpuquant.{cls.__name__}(...)")
    for part in (cost, size, margin):
        for name, value in part.columns().items() if part is not None else ():
            if value.size != 1:
                raise InputError(
                    f"{type(part).__name__} {name} has {value.size} rows: a back-test "
                    "takes one for all"
                )
    if word(size, "size_type") == "risk" and (stops is None or np.isnan(stops.stop_loss).any()):
        raise InputError(
            "Size size_type = 'risk': needs Stops(stop_loss=...), which says how much a unit may "
            "lose"
        )
    if size.max_participation_rate[0] < 1.0 and "volume" not in panel.extra_fields():
        raise InputError(
            f"Size max_participation_rate = {float(size.max_participation_rate[0])!r}: "
            "needs a panel with volume"
        )
    if getattr(cost, "impact", np.zeros(1))[0] > 0.0 and "volume" not in panel.extra_fields():
        raise InputError(f"{type(cost).__name__} impact: needs a panel with volume")
    if fill == "same_open" and "open" not in panel.extra_fields():
        raise InputError("fill = 'same_open': needs a panel with opens")


def _with_stops(parameters: dict[str, np.ndarray], stops: Stops) -> dict[str, np.ndarray]:
    """Every row of parameters with every combination of stops."""
    own = stops.grid()
    for name in GRIDDED:
        if name in parameters:
            raise InputError(f"the rule has a parameter called {name!r}, as a stop is: rename it")
    rows = max((v.size for v in parameters.values()), default=1)
    times = max((v.size for v in own.values()), default=1)
    if rows > 1:
        own = {k: np.tile(v, rows) for k, v in own.items()}
    return {
        **{k: np.repeat(v, times) if v.size == rows else v for k, v in parameters.items()},
        **own,
    }


def _market(benchmark: Any, panel: Panel) -> np.ndarray | None:
    """Returns of the benchmark at each bar, the first being 0."""
    if benchmark is None:
        return None
    if isinstance(benchmark, str):
        if benchmark != "equal_weight":
            raise unknown("benchmark", benchmark, ("equal_weight",))
        known = panel.total_return
        with np.errstate(invalid="ignore"):
            moves = np.asarray(known[1:] / known[:-1] - 1.0)
        anything = np.isfinite(moves).any(axis=1, keepdims=True)
        return np.concatenate(
            [[0.0], np.nan_to_num(np.nanmean(np.where(anything, moves, 0.0), axis=1))]
        )
    if hasattr(benchmark, "reindex"):
        index, zone = dates_of(benchmark.index)
        if not index.is_unique:
            raise DataError(f"benchmark: the date {index[index.duplicated()][0]} stands twice")
        same_zone(panel.timezone, zone, "benchmark dates")
        benchmark = benchmark.set_axis(index).reindex(panel.dates)
        absent = np.flatnonzero(np.asarray(benchmark.isna()).reshape(panel.bars, -1).any(axis=1))
        if absent.size:
            raise DataError(
                f"benchmark: has no price at {panel.index[absent[0]]}, and at "
                f"{absent.size - 1} other bars"
            )
        benchmark = np.squeeze(benchmark.to_numpy())
    benchmark = on_host(benchmark, "benchmark")
    try:
        values = np.asarray(benchmark, dtype=np.float64)
    except (TypeError, ValueError) as failure:
        raise InputError(
            f"benchmark = {benchmark!r}: must be 'equal_weight', or {panel.bars} prices > "
            "0, one for each bar"
        ) from failure
    if values.shape != (panel.bars,) or not (np.isfinite(values) & (values > 0.0)).all():
        raise InputError(f"benchmark: must be {panel.bars} prices > 0, one for each bar")
    return np.concatenate([[0.0], values[1:] / values[:-1] - 1.0])


def cost_text(cost: Cost) -> str:
    """A cost as a person would write it."""
    rates = ", ".join(f"{name}={float(value[0]):g}" for name, value in cost.columns().items())
    return f"{type(cost).__name__}({rates})"


def _labels(account: Account) -> dict[str, np.ndarray]:
    if account.assets > 1 or account.rule in (Weights, Amounts, RestingOrders):
        labels: dict[str, np.ndarray] = {
            "account": np.repeat(
                np.array([account.rule.__name__.lower()], dtype=object), account.rows
            )
        }
        groups = 1
    else:
        names = (
            np.array(account.panel.assets, dtype=object)
            if account.paths is None
            else account.first_path + np.arange(account.groups)
        )
        labels = {"asset" if account.paths is None else "path": np.repeat(names, account.rows)}
        groups = account.groups
    kinds: Mapping[str, Domain] = domains(account.rule)
    for name, values in account.parameters.items():
        shown: np.ndarray = values
        if name not in GRIDDED or name in kinds:
            shown = values.astype(np.int64) if kinds[name].whole else values
            if kinds[name].words:
                shown = np.array(
                    [kinds[name].words[kinds[name].codes.index(v)] for v in values], dtype=object
                )
        labels[name] = np.tile(shown, groups)
    return labels
