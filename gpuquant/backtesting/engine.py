"""The back-test engine: rules in grids, signals, weights, amounts and orders, each in one launch of the walk.

Fills happen at the next bar (its open, or its close where a panel has only closes) unless `fill` asks, by name, for the close or
the open of the bar that decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gpuquant import measures
from gpuquant._version import __version__
from gpuquant.backtesting.account import CPU_COLUMNS, FILLS, SUMS, Account, Amounts, NoCost, Signals, Tickets, Weights, exact
from gpuquant.backtesting.result import Backtest
from gpuquant.backtesting.terms import GRIDDED, Margin, Size, Stops, word
from gpuquant.backtesting.wishes import directions, tickets_of, wishes_of
from gpuquant.columns import Domain, domains
from gpuquant.costs.base import Cost
from gpuquant.device import CROSSOVER_COLUMNS, Place, choose
from gpuquant.errors import DataError, InputError, unknown
from gpuquant.meter import Meter
from gpuquant.panel import EXACT, Panel
from gpuquant.progress import bar
from gpuquant.rules.base import Rule

ENTRIES = ("rule", "signals", "weights", "amounts", "orders")
SHORT_OF_CASH = ("pro_rata", "in_order")
PART = 1 << 16  # columns of one launch where only the best are kept


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
    short_of_cash: str = "pro_rata",
    cash: float = 1_000_000.0,
    periods: float = measures.PERIODS,
    benchmark: Any = None,
    detail: bool = True,
    top: int | None = None,
    by: str = "sharpe",
    device: str | Place = "auto",
    progress: bool | None = None,
) -> Backtest:
    """Run a rule over every asset and combination of parameters, or an account that follows signals, weights, amounts or orders.

    Parameters
    ----------
    prices : Panel, DataFrame or path
        Closes, and whatever else the panel knows of its bars.
    rule : Rule, optional
        With sequences as parameters: a grid, each column an account of its own on one asset.
    signals : DataFrame or array, shape (bars, assets), optional
        1 long, 0 flat, -1 short, NaN no change: an account per asset, as for a rule.
    weights, amounts : DataFrame or array, shape (bars, assets), optional
        Target shares of equity, or target units; NaN changes nothing. One account, sells before buys, buys cut to the cash there is.
    orders : DataFrame, optional
        A row for each order, of one account: `bar` or `date` at whose close it is sent, `asset`, signed `size` (missing: what closes the holding, or the
        parent's fill), `of` (units, value, equity or cash), `limit`, `stop`, `bars` it lives, `group` of which one fill cancels the others, `parent`
        (the row whose fill it waits for). Both prices make a stop-limit.
    size : Size, optional
        Of a signal's order, and the lots of every order.
    stops : Stops, optional
        Stop-loss, take-profit, trailing and time stops; sequences multiply the grid.
    margin : Margin, optional
        Borrowing, its rates, and margin calls.
    costs : Cost, optional
        Such as `costs.Proportional(rate=0.0005)`; trading is free without it.
    fill : str
        next (the next bar's open, or its close where there are no opens), same_close, or same_open (arrays alone: they then know what comes before the open).
    short_of_cash : str
        pro_rata (all buys are cut by one factor) or in_order (the smallest buy first, until the cash is gone).
    cash : float
        Start of every account, in currency units.
    periods : float
        Bars a year, for annualised measures and yearly rates.
    benchmark : array or Series, shape (bars,), or "equal_weight", optional
        Prices that alpha, beta and the information ratio are measured against.
    detail : bool
        Measure tails and excursions, too, which takes about as long as the rest.
    top : int, optional
        Keep only so many columns, the best `by` a measure: a grid of any size in bounded memory.
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
    panel = Panel.of(prices)
    given = dict(zip(ENTRIES, (rule, signals, weights, amounts, orders), strict=True))
    if sum(x is not None for x in given.values()) != 1:
        raise InputError(f"give exactly one of {', '.join(ENTRIES[:-1])} and {ENTRIES[-1]}")
    for name, value, allowed in (("fill", fill, FILLS), ("short_of_cash", short_of_cash, SHORT_OF_CASH)):
        if value not in allowed:
            raise unknown(name, value, allowed)
    for name, number in (("cash", cash), ("periods", periods)):
        if isinstance(number, str) or not (np.isfinite(number) and number > 0):
            raise InputError(f"{name} = {number!r}: must be finite and > 0")
    if top is not None and (not isinstance(top, int) or top < 1):
        raise InputError(f"top = {top!r}: must be a whole number >= 1")
    size, cost = size or Size(), NoCost() if costs is None else costs
    _check(size, stops, margin, cost, panel, fill)
    account = Account(
        panel, Rule, {}, cost, None, fill, float(cash), size, stops, margin, short_of_cash == "in_order", _market(benchmark, panel), detail, float(periods)
    )  # fmt: skip
    if rule is not None:
        if not isinstance(rule, Rule):
            raise InputError(f"rule = {rule!r}: must be a rule such as gpuquant.rules.MovingAverageCross(fast=5, slow=20)")
        if fill == "same_open":
            raise InputError("fill = 'same_open': a rule decides at the close, and that open is past")
        parameters = rule.grid()
        exact(panel, parameters, EXACT)
        account = replace(account, rule=type(rule), parameters=parameters)
    elif signals is not None:
        account = replace(account, rule=Signals, wishes=directions(signals, panel))
    elif orders is not None:
        account = replace(account, rule=Tickets, wishes=tickets_of(orders, panel, fill))
    else:
        name, kind = ("weights", Weights) if weights is not None else ("amounts", Amounts)
        account = replace(account, rule=kind, wishes=wishes_of(given[name], panel, name))
    if stops is not None:
        account = replace(account, parameters=_with_stops(account.parameters, stops))
    return launched(account, device, top, by, progress)


def launched(account: Account, device: str | Place, top: int | None, by: str, progress: bool | None) -> Backtest:
    """Run an account's columns, all of them or in parts of which the best stay."""
    place = choose(device, work=float(account.columns), crossover=CROSSOVER_COLUMNS)
    panel = account.panel
    more: dict[str, Any] = {}
    with Meter(place) as meter, bar(-(-account.columns // CPU_COLUMNS), "back-test", progress) as tick:
        if top is None:
            out, _, _, fates = account.run(place, tick)
            kept = np.arange(account.columns)
        else:
            out, kept, more = _best(account, place, top, by, tick)
            fates = np.empty((0, 0))
    meta = {
        "device": place.name,
        "device_reason": place.reason,
        "fill": account.fill,
        "version": __version__,
        "exact_ticks": panel.tick[1],
        "periods": account.periods,
        "trials": account.columns,
        **more,
        **meter.meta(),
    }
    labels = {name: values[kept] for name, values in _labels(account).items()}
    return Backtest(account, {name: out[:, k] for k, name in enumerate(SUMS)}, labels, kept, fates, meta)


def _best(account: Account, place: Place, top: int, by: str, tick: Any) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """The sums and numbers of the best columns, and what the whole grid's Sharpe ratios spread; an asset, and PART rows of parameters, at a time."""
    best, numbers = np.empty((0, len(SUMS))), np.empty(0, np.int64)
    count, level, square = 0, 0.0, 0.0
    groups = len(account.panel.assets) // account.assets
    for group in range(groups):
        whole = account.of(group * account.rows)
        for first in range(0, account.rows, PART):
            rows = slice(first, min(first + PART, account.rows))
            part = replace(whole, parameters={k: v if v.size == 1 else v[rows] for k, v in account.parameters.items()})
            out, _, _, _ = part.run(place, tick)
            best, numbers = np.vstack([best, out]), np.concatenate([numbers, group * account.rows + np.arange(rows.start, rows.stop)])
            found = measures.from_sums({name: best[:, k] for k, name in enumerate(SUMS)}, account.panel.bars, account.periods, account.market)
            if by not in found:
                raise unknown("measure", by, found)
            ratios = found["sharpe"][-len(out) :]
            ratios = ratios[np.isfinite(ratios)]
            count, level, square = count + len(ratios), level + float(ratios.sum()), square + float((ratios**2).sum())
            order = np.argsort(-np.nan_to_num(found[by], nan=-np.inf), kind="stable")[:top]
            best, numbers = best[order], numbers[order]
    spread = np.sqrt(max(square - level * level / max(count, 1), 0.0) / max(count - 1, 1))
    return best, numbers, {"sharpe_spread": float(spread), "kept": f"the best {len(numbers)} by {by}"}


def _check(size: Any, stops: Any, margin: Any, cost: Any, panel: Panel, fill: str) -> None:
    """The terms of an account are what they should be, and go together."""
    if not isinstance(cost, Cost):
        raise InputError(f"costs = {cost!r}: must be a cost such as gpuquant.costs.Proportional(rate=0.0005)")
    for name, value, cls in (("size", size, Size), ("stops", stops, Stops), ("margin", margin, Margin)):
        if value is not None and not isinstance(value, cls):
            raise InputError(f"{name} = {value!r}: must be a gpuquant.{cls.__name__}(...)")
    for part in (cost, size, margin):
        for name, value in part.columns().items() if part is not None else ():
            if value.size != 1:
                raise InputError(f"{type(part).__name__} {name} has {value.size} rows: a back-test takes one for all")
    if word(size, "of") == "risk" and (stops is None or np.isnan(stops.stop_loss).any()):
        raise InputError("Size of = 'risk': needs Stops(stop_loss=...), which says how much a unit may lose")
    if size.participation[0] < 1.0 and panel.volume is None:
        raise InputError(f"Size participation = {float(size.participation[0])!r}: needs a panel with volume")
    if getattr(cost, "impact", np.zeros(1))[0] > 0.0 and panel.volume is None:
        raise InputError(f"{type(cost).__name__} impact: needs a panel with volume")
    if (panel.splits is None) != (panel.dividends is None):
        raise DataError("a panel with splits or dividends needs both: 1 and 0 where there are none")
    if fill == "same_open" and panel.open is None:
        raise InputError("fill = 'same_open': needs a panel with opens")


def _with_stops(parameters: dict[str, np.ndarray], stops: Stops) -> dict[str, np.ndarray]:
    """Every row of parameters with every combination of stops."""
    own = stops.grid()
    for name in own:
        if name in parameters:
            raise InputError(f"the rule has a parameter called {name!r}, as a stop is: rename it")
    rows = max((v.size for v in parameters.values()), default=1)
    times = max((v.size for v in own.values()), default=1)
    return {**{k: np.repeat(v, times) if v.size == rows else v for k, v in parameters.items()}, **{k: np.tile(v, rows) for k, v in own.items()}}


def _market(benchmark: Any, panel: Panel) -> np.ndarray | None:
    """Returns of the benchmark at each bar, the first being 0."""
    if benchmark is None:
        return None
    if isinstance(benchmark, str):
        if benchmark != "equal_weight":
            raise unknown("benchmark", benchmark, ("equal_weight",))
        known = panel.known
        with np.errstate(invalid="ignore"):
            moves = known[1:] / known[:-1] - 1.0
        return np.concatenate([[0.0], np.nan_to_num(np.nanmean(np.where(np.isfinite(moves).any(axis=1)[:, None], moves, 0.0), axis=1))])
    if hasattr(benchmark, "reindex"):
        import pandas as pd

        benchmark = benchmark.reindex(pd.DatetimeIndex(panel.dates))
    values = np.asarray(benchmark, dtype=np.float64)
    if values.shape != (panel.bars,) or not (np.isfinite(values) & (values > 0.0)).all():
        raise InputError(f"benchmark: must be {panel.bars} prices > 0, one for each bar")
    return np.concatenate([[0.0], values[1:] / values[:-1] - 1.0])


def _labels(account: Account) -> dict[str, np.ndarray]:
    if account.assets > 1 or account.rule in (Weights, Amounts, Tickets):
        labels: dict[str, np.ndarray] = {"account": np.repeat(np.array([account.rule.__name__.lower()], dtype=object), account.rows)}
        groups = 1
    else:
        labels = {"asset": np.repeat(np.array(account.panel.assets, dtype=object), account.rows)}
        groups = len(account.panel.assets)
    kinds: Mapping[str, Domain] = domains(account.rule)
    for name, values in account.parameters.items():
        shown: np.ndarray = values
        if name not in GRIDDED or name in kinds:
            shown = values.astype(np.int64) if kinds[name].whole else values
            if kinds[name].words:
                shown = np.array([kinds[name].words[kinds[name].codes.index(v)] for v in values], dtype=object)
        labels[name] = np.tile(shown, groups)
    return labels
