"""The back-test engine: a grid of rules in one launch, or a book of weights with shared cash.

Fills happen at the next bar (its open, or its close where a panel has only closes) unless `fill="same_close"` asks, by name, for the
close of the bar that decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant import measures
from gpuquant._version import __version__
from gpuquant.backtesting.account import CPU_COLUMNS, SUMS, Account, NoCost, Signals, Weights, record
from gpuquant.columns import Domain, domains
from gpuquant.costs.base import Cost
from gpuquant.device import CROSSOVER_COLUMNS, Place, choose
from gpuquant.errors import DataError, InputError, unknown
from gpuquant.meter import Meter
from gpuquant.panel import EXACT, Panel, dates_of
from gpuquant.progress import bar
from gpuquant.rules.base import Rule

if TYPE_CHECKING:
    import pandas as pd

FILLS = ("next", "same_close")


@dataclass(frozen=True)
class Backtest:
    """Results of a back-test, one column per account.

    Attributes
    ----------
    sums : dict of arrays, shape (columns,)
        What the walk accumulated.
    labels : dict of arrays, shape (columns,)
        Asset and parameters of each column.
    meta : dict
    """

    account: Account
    sums: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    meta: dict[str, Any] = field(default_factory=dict)
    periods: float = measures.PERIODS

    @cached_property
    def measures(self) -> dict[str, np.ndarray]:
        """Every measure, shape (columns,)."""
        return measures.from_sums(self.sums, self.account.panel.bars, self.periods)

    @property
    def frame(self) -> pd.DataFrame:
        """One row per column: asset, parameters and every measure."""
        import pandas as pd

        return pd.DataFrame({**self.labels, **self.measures})

    def to_frame(self) -> pd.DataFrame:
        """The same as `frame`."""
        return self.frame

    def __len__(self) -> int:
        return len(self.sums["growth"])

    def _recorded(self, columns: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Equity and orders of chosen columns, by walking those again."""
        which = np.atleast_1d(np.arange(len(self)) if columns is None else np.asarray(columns))
        if not which.size or which.dtype.kind not in "iu":
            raise InputError(f"columns = {columns!r}: must be column numbers, at least one")
        if which.min() < 0 or which.max() >= len(self):
            raise InputError(f"columns = {columns!r}: must be within 0 and {len(self) - 1}")
        again = self.__dict__.setdefault("_again", {})
        name = which.tobytes()
        if name not in again:
            again[name] = record(self.account, which)
        return (which, *again[name])

    def equity(self, columns: Any = None) -> pd.DataFrame:
        """Equity at each close of the chosen columns (all of them by default)."""
        import pandas as pd

        which, equity, _, _ = self._recorded(columns)
        return pd.DataFrame(equity.T, index=pd.DatetimeIndex(self.account.panel.dates, name="date"), columns=which)

    def returns(self, columns: Any = None) -> pd.DataFrame:
        """Simple returns per bar of the chosen columns; the first is measured from the starting cash."""
        equity = self.equity(columns)
        before = equity.shift(1).fillna(self.account.cash)
        return equity / before - 1.0

    def orders(self, columns: Any = None) -> pd.DataFrame:
        """Every fill of the chosen columns: column, bar, date, asset, side, size, price, fee."""
        import pandas as pd

        which, _, orders, count = self._recorded(columns)
        panel = self.account.panel
        bars = orders[:, 0].astype(np.int64)
        return pd.DataFrame(
            {
                "column": np.repeat(which, count),
                "bar": bars,
                "date": panel.dates[bars],
                "asset": np.array(panel.assets, dtype=object)[orders[:, 1].astype(np.int64)],
                "side": np.where(orders[:, 2] > 0, "buy", "sell"),
                "size": np.abs(orders[:, 2]),
                "price": orders[:, 3],
                "fee": orders[:, 4],
            }
        )

    def summary(self) -> str:
        """A few lines: the account, or the best and the middle of a grid."""
        m = self.measures
        if len(self) == 1:
            rows = [
                ("total return", f"{m['total_return'][0]:+.1%}"),
                ("CAGR", f"{m['cagr'][0]:+.2%}"),
                ("volatility", f"{m['volatility'][0]:.2%}"),
                ("Sharpe", f"{m['sharpe'][0]:.2f}"),
                ("max drawdown", f"{m['max_drawdown'][0]:.1%}"),
                ("turnover a year", f"{m['turnover'][0]:.1f}"),
                ("orders", f"{m['orders'][0]:.0f}"),
                ("fees", f"{m['fees'][0]:,.0f}"),
            ]
            return "\n".join(f"{name:<16}{value:>14}" for name, value in rows)
        ratio = m["sharpe"]
        best = int(np.nanargmax(ratio)) if np.isfinite(ratio).any() else 0
        label = ", ".join(f"{k} {v[best]}" for k, v in self.labels.items())
        trials = len(self)
        luck = measures.expected_best_sharpe(trials, float(np.nanstd(ratio)))
        return (
            f"{trials} columns over {self.account.panel.bars} bars in {self.meta.get('seconds', float('nan')):.3g} s\n"
            f"best Sharpe {ratio[best]:.2f} ({label}); median {np.nanmedian(ratio):.2f}; "
            f"luck alone among {trials} would reach about {luck:.2f} above the mean"
        )

    def _repr_html_(self) -> str:
        return f"{self.frame.head(20).to_html()}<p>{len(self)} columns</p>"

    def plot(self, columns: Any = None, ax: Any = None) -> Any:
        """Equity of the chosen columns (of a grid, the best by Sharpe)."""
        from gpuquant.report.plots import equity_plot

        if columns is None and len(self) > 1:
            columns = [int(np.nanargmax(self.measures["sharpe"]))]
        equity = self.equity(columns)
        equity.columns = [
            ", ".join(f"{name} {values[c]}" if name != "asset" else str(values[c]) for name, values in self.labels.items()) for c in equity.columns
        ]
        return equity_plot(equity, ax)


def backtest(
    prices: Any,
    rule: Rule | None = None,
    *,
    weights: Any = None,
    signals: Any = None,
    costs: Cost | None = None,
    fill: str = "next",
    cash: float = 1_000_000.0,
    periods: float = measures.PERIODS,
    device: str | Place = "auto",
    progress: bool | None = None,
) -> Backtest:
    """Run a rule over every asset and parameter combination, or hold target weights with shared cash.

    Parameters
    ----------
    prices : Panel, DataFrame or path
        Closes, and opens where there are any.
    rule : Rule, optional
        With sequences as parameters: a grid, each column an account of its own that puts all its cash into one asset.
    weights : DataFrame or array, shape (bars, assets), optional
        Target share of equity per asset; NaN changes nothing. One account, sells before buys, buys cut to the cash there is.
    signals : DataFrame or array, shape (bars, assets), optional
        1 long, 0 flat, -1 short, NaN no change: an account per asset, as for a rule.
    costs : Cost, optional
        Such as `costs.Proportional(rate=0.0005)`; trading is free without it.
    fill : str
        next (the next bar's open, or its close where there are no opens) or same_close.
    cash : float
        Start of every account, in currency units.
    periods : float
        Bars a year, for annualised measures.

    Returns
    -------
    Backtest

    Raises
    ------
    InputError, DataError
        Exactly one of rule, weights and signals must be given; arrays must match the panel.
    """
    panel = Panel.of(prices)
    if sum(x is not None for x in (rule, weights, signals)) != 1:
        raise InputError("give exactly one of rule, weights and signals")
    if fill not in FILLS:
        raise unknown("fill", fill, FILLS)
    for name, number in (("cash", cash), ("periods", periods)):
        if isinstance(number, str) or not (np.isfinite(number) and number > 0):
            raise InputError(f"{name} = {number!r}: must be finite and > 0")
    cost = NoCost() if costs is None else costs
    if not isinstance(cost, Cost):
        raise InputError(f"costs = {costs!r}: must be a cost such as gpuquant.costs.Proportional(rate=0.0005)")
    for name, value in cost.columns().items():
        if value.size != 1:
            raise InputError(f"{type(cost).__name__} {name} has {value.size} rows: a back-test takes one cost for all")
    same_close = fill == "same_close"
    if rule is not None:
        if not isinstance(rule, Rule):
            raise InputError(f"rule = {rule!r}: must be a rule such as gpuquant.rules.MovingAverageCross(fast=5, slow=20)")
        parameters = rule.grid()
        _exact(panel, parameters)
        account = Account(panel, type(rule), parameters, cost, None, same_close, cash)
    elif signals is not None:
        account = Account(panel, Signals, {}, cost, _directions(signals, panel), same_close, cash)
    else:
        account = Account(panel, Weights, {}, cost, wishes_of(weights, panel, "weights"), same_close, cash)
    place = choose(device, work=float(account.columns), crossover=CROSSOVER_COLUMNS)
    with Meter(place) as meter, bar(-(-account.columns // CPU_COLUMNS), "back-test", progress) as tick:
        out, _, _ = account.run(place, tick)
    sums = {name: out[:, k] for k, name in enumerate(SUMS)}
    meta = {
        "device": place.name,
        "device_reason": place.reason,
        "fill": fill,
        "version": __version__,
        "exact_ticks": panel.tick[1],
        "periods": periods,
        **meter.meta(),
    }
    return Backtest(account, sums, _labels(account), meta, periods)


def _labels(account: Account) -> dict[str, np.ndarray]:
    if account.rule is Weights:
        return {"account": np.array(["weights"], dtype=object)}
    labels: dict[str, np.ndarray] = {"asset": np.repeat(np.array(account.panel.assets, dtype=object), account.rows)}
    kinds: Mapping[str, Domain] = domains(account.rule)
    for name, values in account.parameters.items():
        shown = values.astype(np.int64) if kinds[name].whole else values
        if kinds[name].words:
            shown = np.array([kinds[name].words[kinds[name].codes.index(v)] for v in values], dtype=object)
        labels[name] = np.tile(shown, len(account.panel.assets))
    return labels


def _exact(panel: Panel, parameters: Mapping[str, np.ndarray]) -> None:
    """Windows so long that whole-tick sums would round are refused."""
    longest = max((float(v.max()) for v in parameters.values()), default=1.0)
    if float(panel.ticks.max()) * longest * longest >= EXACT:
        raise DataError(f"a window of {longest:.0f} bars is too long for exact sums: give prices with fewer decimals")


def wishes_of(values: Any, panel: Panel, name: str) -> np.ndarray:
    """Weights or signals as an array of the panel's shape, aligned by date and asset where they are a frame."""
    if hasattr(values, "reindex") and not hasattr(values, "columns"):
        raise InputError(f"{name} is a Series: must be a frame of dates by assets, or an array")
    if hasattr(values, "reindex"):
        extra = [c for c in values.columns if str(c) not in panel.assets]
        if extra:
            raise unknown(f"asset in {name}", extra[0], panel.assets)
        import pandas as pd

        frame = values.copy()
        frame.columns = [str(c) for c in frame.columns]
        frame.index = dates_of(frame.index)
        if not frame.index.is_unique:
            raise DataError(f"{name}: the date {frame.index[frame.index.duplicated()][0]} stands twice")
        if not len(frame.index.intersection(pd.DatetimeIndex(panel.dates))):
            raise DataError(f"{name}: none of the dates is a date of the prices")
        values = frame.reindex(index=pd.DatetimeIndex(panel.dates), columns=list(panel.assets))
    try:
        array = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as failure:
        raise InputError(f"{name} must be numbers: {failure}") from failure
    if array.shape != panel.close.shape:
        raise DataError(f"{name} have shape {array.shape}: must be {panel.close.shape}, as the prices")
    if np.isinf(array).any():
        row, col = map(int, np.argwhere(np.isinf(array))[0])
        raise InputError(f"{name}[{panel.dates[row]}, {panel.assets[col]}] = {float(array[row, col])!r}: must be finite, or NaN for no change")
    return array


def _directions(signals: Any, panel: Panel) -> np.ndarray:
    """Signals as an array, each 1, 0, -1 or NaN."""
    wishes = wishes_of(signals, panel, "signals")
    bad = np.isfinite(wishes) & ~np.isin(wishes, (-1.0, 0.0, 1.0))
    if bad.any():
        row, col = map(int, np.argwhere(bad)[0])
        raise InputError(f"signals[{panel.dates[row]}, {panel.assets[col]}] = {float(wishes[row, col])!r}: must be 1, 0, -1 or NaN")
    return wishes
