"""The back-test engine. Grids of rules, signals, weights, amounts and orders each run in one launch
of the bar loop.

An order fills at the next bar (at its open, or at its close where a panel has only closes), unless
`fill` names the close or the open of the bar that decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gpuquant._version import __version__
from gpuquant.backtesting.entries import Entries
from gpuquant.backtesting.inputs import parse_signals, parse_targets, resting_orders_of
from gpuquant.backtesting.kernels.build import CPU_COLUMNS, SUMS
from gpuquant.backtesting.kernels.given import (
    SHARED,
    Amounts,
    EntrySignals,
    RestingOrders,
    Signals,
    Weights,
)
from gpuquant.backtesting.no_cost import NoCost
from gpuquant.backtesting.partition import best, parts, spread
from gpuquant.backtesting.price_paths import Paths
from gpuquant.backtesting.request import (
    _check,
    _check_choices,
    _labels,
    _market,
    _periods,
    _with_stops,
    cost_text,
)
from gpuquant.backtesting.result import Backtest
from gpuquant.backtesting.run import Account
from gpuquant.backtesting.settings import Margin, Size, Stops
from gpuquant.costs.base import Cost
from gpuquant.data.panel import Panel
from gpuquant.data.store import Store
from gpuquant.device import CROSSOVER_COLUMNS, Device, resolve_device
from gpuquant.errors import DataError, InputError
from gpuquant.meter import Meter
from gpuquant.progress import bar
from gpuquant.rules.base import Rule
from gpuquant.validation.overfitting import counted

ENTRIES = ("rule", "signals", "weights", "amounts", "orders")
# longest path on a GPU, in bars: the driver reserves 32 bytes per bar for every thread that may run
# at the same time
MAX_GPU_BARS = 1000
DEFAULT_SIZE, NO_COST = Size(), NoCost()  # checked once, not in every call


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
        Closes, and any other fields that the panel has. For rules only: a `gpuquant.Store` with
        prices larger than memory; or `gpuquant.SimulatedPrices(...)` or
        `gpuquant.BootstrappedPrices(...)`, which generate many price paths during the run.
    rule : Rule, optional
        Sequences as parameters make a grid. Each column is an account of its own on one asset.
    signals : DataFrame or array, shape (bars, assets), or Entries, optional
        1 long, 0 flat, -1 short, NaN no change; or `gq.Entries(enter, exit, short, cover,
        only_if_flat)`. Each asset has an account of its own.
    weights, amounts : DataFrame or array, shape (bars, assets), optional
        Target shares of equity, or target units; NaN changes nothing. One account holds all
        assets. Sales execute before purchases, and purchases are cut to the cash available.
        Without `margin`, new shorts are cut so that all shorts together are worth no more than the
        account's equity.
    orders : DataFrame, optional
        One row per order, all for one account. Columns: `bar` or `date` (the order is sent at the
        close of that bar), `asset`, signed `size` (missing: the order closes the position, or the
        fill of its parent), `size_type` (units, value, equity, cash, or holding: a share of the
        units held), `limit`, `stop`, `bars` (how many bars the order is valid), `group` (a fill of
        one order cancels the other orders of its group) and `parent` (the row of the order that
        must fill first). An order with a limit and a stop is a stop-limit order. Prices and units
        refer to shares at the time when the order is sent; a later split adjusts them.
    size : Size, optional
        Size of the order of a signal, and limits such as lots for every order.
    stops : Stops, optional
        Stop-loss, take-profit, trailing and time stops; sequences multiply the grid.
    margin : Margin, optional
        Borrowing, its rates, and margin calls.
    costs : Cost, optional
        Such as `costs.Proportional(rate=0.0005)`; trading is free without it.
    fill : str
        next (the next bar's open, or its close where there are no opens), same_close, or same_open.
        A rule decides at the close and cannot use same_open. With same_open, row t of an array may
        use only information from before the open of bar t.
    cash_allocation : str
        pro_rata (one factor cuts all purchases) or sequential (purchases execute from the smallest
        to the largest, until the cash is used up).
    cash : float
        Starting cash of every account, in currency units.
    align : str
        Treatment of a row of signals, weights, amounts or orders whose date is not the date of a
        bar. exact: an error names the first three such dates; next: the row belongs to the next
        bar.
    periods : float, optional
        Bars a year, for annualised measures; by default taken from the dates (`Panel.frequency`).
        Yearly rates accrue by the time between bars.
    benchmark : array or Series, shape (bars,), or "equal_weight", optional
        Prices that alpha, beta and the information ratio are measured against; a Series may have
        more dates than the prices.
    detail : bool
        Measure tails and excursions as well. They take about as long as all other measures
        together. Tails are measured only on a CPU.
    top : int, optional
        Number of columns to keep: the best by the measure `by`. A grid of any size then runs in
        bounded memory.
    workers : Dask client or address, optional
        Spread the columns of a rule or of signals over workers; each worker uses all its cores.
        The results are bit for bit the same.
    device : str
        auto, cpu, cpu:THREADS, cuda, cuda:INDEX.
    progress : bool, optional
        Show a progress bar; by default only in a terminal or a notebook.

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
    size, cost = DEFAULT_SIZE if size is None else size, NO_COST if costs is None else costs
    _check(size, stops, margin, cost, panel, fill)
    terms = (size, stops, margin, cash_allocation == "sequential", _market(benchmark, panel))
    account = Account(panel, Rule, {}, cost, None, fill, float(cash), *terms, detail, a_year, paths)
    if (paths is not None or stored) and (rule is None or benchmark is not None):
        raise InputError(
            "paths and stores take a rule, without a benchmark: arrays and "
            "orders belong to prices in memory"
        )
    account = _entered(account, given, device, align)
    if stops is not None:
        account = replace(account, parameters=_with_stops(account.parameters, stops))
    if workers is not None and account.rule in SHARED:
        raise InputError("workers: one account with shared cash runs in one piece")
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
    device = (
        _device_for(device, account.columns, account.targets)
        if account.paths is None
        else _device_for_paths(device, account.panel.bars)
    )
    panel = account.panel
    more: dict[str, Any] = {}
    with (
        Meter(device) as meter,
        bar(-(-account.columns // CPU_COLUMNS), "back-test", progress) as tick,
    ):
        statuses = np.empty((0, 0))
        if top is None and (workers is not None or isinstance(panel, Store)):
            out = np.concatenate(
                [part.run(device, tick)[0] for part in parts(account)]
                if workers is None
                else spread(account, device, workers, tick)
            )
            kept = np.arange(account.columns)
        elif top is None:
            out, _, _, statuses = account.run(device, tick)
            kept = np.arange(account.columns)
        else:
            out, kept, more = best(account, device, top, by, tick)
    meta = {
        "device": device.name,
        "device_reason": device.reason,
        "fill": account.fill,
        "version": __version__,
        "exact_ticks": None if isinstance(panel, Store) else panel.tick[1],
        "costs": "none: trading is free" if account.free else cost_text(account.cost),
        "periods": account.periods,
        "frequency": "made-up paths" if account.paths is not None else panel.frequency.label,
        "trials": account.columns,
        **more,
        **meter.meta(),
    }
    labels = {name: values[kept] for name, values in _labels(account).items()}
    result = Backtest(
        account, {name: out[:, k] for k, name in enumerate(SUMS)}, labels, kept, statuses, meta
    )
    if account.paths is None:  # the paths of a model are no trials
        counted(result)
    return result


def _entered(
    account: Account, given: Mapping[str, Any], device: str | Device, align: str
) -> Account:
    """The account with the rule, signals, weights, amounts or orders that the caller gave."""
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
    if name == "orders":
        return replace(
            account, rule=RestingOrders, targets=resting_orders_of(value, panel, fill, align)
        )
    if isinstance(value, Entries):
        if name != "signals":
            raise InputError(f"{name} = Entries(...): entries and exits are signals")
        return replace(account, rule=EntrySignals, targets=value.codes(panel, align))
    device = _device_for(device, len(panel.assets), value)
    if name == "signals":
        return replace(account, rule=Signals, targets=parse_signals(value, panel, device, align))
    return replace(
        account,
        rule={"weights": Weights, "amounts": Amounts}[name],
        targets=parse_targets(value, panel, name, device, align),
    )


def _device_for(device: str | Device, columns: int, targets: Any) -> Device:
    """The device of so many columns with these targets."""
    return resolve_device(
        device, work=float(columns), crossover=CROSSOVER_COLUMNS, inputs=[targets]
    )


def _device_for_paths(device: str | Device, bars: int) -> Device:
    """The device that generates paths: a CPU, unless the caller names a GPU. Each thread of a GPU
    must have memory for a whole path.
    """
    if device == "auto":
        return replace(
            resolve_device("cpu"),
            reason="auto: where a GPU is the faster for paths has not been measured",
        )
    device = resolve_device(device)
    if device.kind == "cuda" and bars > MAX_GPU_BARS:
        raise InputError(
            f"device = {device.name!r}: a thread of a GPU has room for a path of {MAX_GPU_BARS} "
            f"bars, not of {bars}; device='cpu' has"
        )
    return device
