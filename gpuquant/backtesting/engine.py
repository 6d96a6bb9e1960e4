"""The back-test engine: rules in grids, signals, weights, amounts and orders, each in one launch of
the walk.

Fills happen at the next bar (its open, or its close where a panel has only closes) unless `fill`
asks, by name, for the close or the open of the bar that decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gpuquant._version import __version__
from gpuquant.backtesting.inputs import directions, goals, resting_orders_of
from gpuquant.backtesting.kernels.build import (
    CPU_COLUMNS,
    FILLS,
    SHARED,
    SUMS,
    Amounts,
    RestingOrders,
    Signals,
    Weights,
)
from gpuquant.backtesting.partition import best, parts, spread
from gpuquant.backtesting.price_paths import Paths
from gpuquant.backtesting.result import Backtest
from gpuquant.backtesting.run import Account, NoCost
from gpuquant.backtesting.settings import GRIDDED, Margin, Size, Stops, word
from gpuquant.costs.base import Cost
from gpuquant.data.calendar import ALIGN, dates_of, same_zone
from gpuquant.data.columns import Domain, domains, scalar, whole_number
from gpuquant.data.panel import Panel
from gpuquant.data.store import Store
from gpuquant.device import CROSSOVER_COLUMNS, Device, resolve_device
from gpuquant.errors import DataError, InputError, unknown
from gpuquant.meter import Meter
from gpuquant.progress import bar
from gpuquant.rules.base import Rule
from gpuquant.sums import NAMES
from gpuquant.validation.overfitting import counted

ENTRIES = ("rule", "signals", "weights", "amounts", "orders")
CASH_ALLOCATION = ("pro_rata", "sequential")
# bars of a path on a GPU: the driver reserves 32 bytes of each for every thread that may run at
# once
WOVEN = 1000


def backtest(
    prices: Any,
    rule: Rule | None = None,
    *,
    signals: Any = None,
    weights: Any = None,
    amounts: Any = None,
    orders: Any = None,
    size: Size | None = None,
    stops: Stops | None = None,
    margin: Margin | None = None,
    costs: Cost | None = None,
    fill: str = "next",
    cash_allocation: str = "pro_rata",
    cash: float = 1_000_000.0,
    align: str = "exact",
    periods: float | None = None,
    benchmark: Any = None,
    detail: bool = True,
    top: int | None = None,
    by: str = "sharpe",
    workers: Any = None,
    device: str | Device = "auto",
    progress: bool | None = None,
) -> Backtest:
    """Run a rule over every asset and combination of parameters, or an account that follows
    signals, weights, amounts or orders.

    Parameters
    ----------
    prices : Panel, DataFrame, path, or paths
        Closes, and whatever else the panel knows of its bars; a `gpuquant.Store` for a rule over
        prices larger than memory; or `gpuquant.SimulatedPrices(...)` or
        `gpuquant.BootstrappedPrices(...)`, for a rule over many price paths that are made as it
        walks them.
    rule : Rule, optional
        With sequences as parameters: a grid, each column an account of its own on one asset.
    signals : DataFrame or array, shape (bars, assets), optional
        1 long, 0 flat, -1 short, NaN no change: an account per asset, as for a rule.
    weights, amounts : DataFrame or array, shape (bars, assets), optional
        Target shares of equity, or target units; NaN changes nothing. One account, sells before
        buys, buys cut to the cash there is. Without `margin` new shorts are cut so that all shorts
        together come to what the account is worth.
    orders : DataFrame, optional
        A row for each order, of one account: `bar` or `date` at whose close it is sent, `asset`,
        signed `size` (missing: what closes the holding, or the parent's fill), `of` (units, value,
        equity, cash, or holding: a share of the units held), `limit`, `stop`, `bars` it lives,
        `group` of which one fill cancels the others, `parent` (the row whose fill it waits for).
        Both prices make a stop-limit. Prices and units are of shares as they are when the order is
        sent: a split restates both.
    size : Size, optional
        Of a signal's order, and the lots of every order.
    stops : Stops, optional
        Stop-loss, take-profit, trailing and time stops; sequences multiply the grid.
    margin : Margin, optional
        Borrowing, its rates, and margin calls.
    costs : Cost, optional
        Such as `costs.Proportional(rate=0.0005)`; trading is free without it.
    fill : str
        next (the next bar's open, or its close where there are no opens), same_close, or same_open
        (arrays alone: they then know what comes before the open).
    cash_allocation : str
        pro_rata (all buys are cut by one factor) or sequential (the smallest buy first, until the
        cash is gone).
    cash : float
        Start of every account, in currency units.
    align : str
        What becomes of a row of signals, weights, amounts or orders that is dated on no bar: exact,
        it is an error that names the first three; next, it belongs to the next bar.
    periods : float, optional
        Bars a year, for annualised measures; by default as the dates have it (`Panel.frequency`).
        Yearly rates accrue by the time between bars.
    benchmark : array or Series, shape (bars,), or "equal_weight", optional
        Prices that alpha, beta and the information ratio are measured against; a Series may have
        more dates than the prices.
    detail : bool
        Measure tails and excursions, too, which takes about as long as the rest; tails on a CPU
        alone.
    top : int, optional
        Keep only so many columns, the best `by` a measure: a grid of any size in bounded memory.
    workers : Dask client or address, optional
        Spread the columns of a rule or of signals over workers, each with all its cores; the
        results are the same bits.
    device : str
        auto, cpu, cpu:THREADS, cuda, cuda:INDEX.
    progress : bool, optional
        Show a bar; by default where a terminal or notebook watches.

    Returns
    -------
    Backtest

    Raises
    ------
    InputError, DataError, NameUnknown
        Exactly one of the five entries must be given; arrays must match the panel.
    """
    paths = prices if isinstance(prices, Paths) else None
    stored = isinstance(prices, Store)
    panel: Any = prices if stored else Panel.of(prices) if paths is None else paths.panel
    given = dict(zip(ENTRIES, (rule, signals, weights, amounts, orders), strict=True))
    if sum(x is not None for x in given.values()) != 1:
        raise InputError(f"give exactly one of {', '.join(ENTRIES[:-1])} and {ENTRIES[-1]}")
    if panel.bars < 2:
        raise DataError(f"prices have {panel.bars} bar: a back-test needs two at least")
    _check_choices(fill, cash_allocation, align, cash, top, by, workers)
    a_year = _periods(periods, panel, paths)
    size, cost = size or Size(), NoCost() if costs is None else costs
    _check(size, stops, margin, cost, panel, fill)
    account = Account(
        panel,
        Rule,
        {},
        cost,
        None,
        fill,
        float(cash),
        size,
        stops,
        margin,
        cash_allocation == "sequential",
        _market(benchmark, panel),
        detail,
        a_year,
        paths,
    )
    if (paths is not None or stored) and (rule is None or benchmark is not None):
        raise InputError(
            "paths and stores are walked by a rule, without a benchmark: arrays and "
            "orders belong to prices in memory"
        )
    account = _wished(account, given, device, align)
    if stops is not None:
        account = replace(account, parameters=_with_stops(account.parameters, stops))
    if workers is not None and account.rule in SHARED:
        raise InputError("workers: one account with shared cash is walked in one piece")
    return launched(account, device, top, by, workers, progress)


def launched(
    account: Account,
    device: str | Device,
    top: int | None,
    by: str,
    workers: Any,
    progress: bool | None,
) -> Backtest:
    """Run an account's columns, all of them or in parts of which the best stay."""
    place = (
        resolve_device(device, work=float(account.columns), crossover=CROSSOVER_COLUMNS)
        if account.paths is None
        else _woven_on(device, account.panel.bars)
    )
    panel = account.panel
    more: dict[str, Any] = {}
    with (
        Meter(place) as meter,
        bar(-(-account.columns // CPU_COLUMNS), "back-test", progress) as tick,
    ):
        statuses = np.empty((0, 0))
        if top is None and (workers is not None or isinstance(panel, Store)):
            out = np.concatenate(
                [part.run(place, tick)[0] for part in parts(account)]
                if workers is None
                else spread(account, place, workers, tick)
            )
            kept = np.arange(account.columns)
        elif top is None:
            out, _, _, statuses = account.run(place, tick)
            kept = np.arange(account.columns)
        else:
            out, kept, more = best(account, place, top, by, tick)
    meta = {
        "device": place.name,
        "device_reason": place.reason,
        "fill": account.fill,
        "version": __version__,
        "exact_ticks": None if isinstance(panel, Store) else panel.tick[1],
        "costs": "none: trading is free" if account.free else _said(account.cost),
        "periods": account.periods,
        "frequency": "made-up paths" if account.paths is not None else panel.frequency.label,
        "trials": account.columns,
        **more,
        **meter.meta(),
    }
    labels = {name: values[kept] for name, values in _labels(account).items()}
    found = Backtest(
        account, {name: out[:, k] for k, name in enumerate(SUMS)}, labels, kept, statuses, meta
    )
    if account.paths is None:  # the paths of a model are no trials
        counted(found)
    return found


def _wished(
    account: Account, given: Mapping[str, Any], device: str | Device, align: str
) -> Account:
    """The account with the one of the entries that is given."""
    panel, fill = account.panel, account.fill
    name, value = next((name, value) for name, value in given.items() if value is not None)
    if name == "rule":
        if not isinstance(value, Rule):
            raise InputError(
                f"rule = {value!r}: must be a rule such as "
                "gpuquant.rules.MovingAverageCross(fast=5, slow=20)"
            )
        if fill == "same_open":
            raise InputError(
                "fill = 'same_open': a rule decides at the close, and that open is past"
            )
        return replace(account, rule=type(value), parameters=value.grid())
    if name == "signals":
        place = resolve_device(device, work=float(len(panel.assets)), crossover=CROSSOVER_COLUMNS)
        return replace(account, rule=Signals, wishes=directions(value, panel, place.threads, align))
    if name == "orders":
        return replace(
            account, rule=RestingOrders, wishes=resting_orders_of(value, panel, fill, align)
        )
    return replace(
        account,
        rule={"weights": Weights, "amounts": Amounts}[name],
        wishes=goals(value, panel, name, align),
    )


def _woven_on(device: str | Device, bars: int) -> Device:
    """Where paths are made: on a CPU, unless a GPU is asked for whose threads have room for one
    each.
    """
    if device == "auto":
        return replace(
            resolve_device("cpu"),
            reason="auto: where a GPU is the faster for paths has not been measured",
        )
    place = resolve_device(device)
    if place.kind == "cuda" and bars > WOVEN:
        raise InputError(
            f"device = {device!r}: a thread of a GPU has room for a path of {WOVEN} bars, "
            f"not of {bars}; device='cpu' has"
        )
    return place


def _check_choices(
    fill: str, cash_allocation: str, align: str, cash: float, top: int | None, by: str, workers: Any
) -> None:
    """The words and numbers of a run are what they should be."""
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
    """Bars a year: as said, or as the dates or the paths have it; asked for where they do not
    say.
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
    """The terms of an account are what they should be, and go together."""
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
            "Size of = 'risk': needs Stops(stop_loss=...), which says how much a unit may lose"
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


def _said(cost: Cost) -> str:
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
