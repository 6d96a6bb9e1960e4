"""The results of a back-test: measures of every account; and equity, orders, trades and plots of
the accounts that the caller chooses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant import measures
from gpuquant.backtesting import trades as matched
from gpuquant.backtesting.kernels.build import CAUSES, REASONS, STATES
from gpuquant.backtesting.kernels.given import RestingOrders
from gpuquant.backtesting.kernels.records import OrderStatus
from gpuquant.backtesting.recording import record
from gpuquant.backtesting.run import Account
from gpuquant.backtesting.summary import in_words
from gpuquant.data.calendar import duration
from gpuquant.errors import InputError, unknown
from gpuquant.sums import from_sums

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Backtest:
    """Results of a back-test, one column per account.

    Attributes
    ----------
    sums : dict of arrays, shape (columns,)
        Sums that the run accumulated; the measures are computed from them.
    labels : dict of arrays, shape (columns,)
        Asset and parameters of each column.
    columns : int array, shape (columns,)
        The numbers of the accounts in the whole run; all of them, unless only the best were kept.
    statuses : array
        The final status of each resting order.
    meta : dict
    """

    account: Account
    sums: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    columns: np.ndarray
    statuses: np.ndarray
    meta: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def measures(self) -> dict[str, np.ndarray]:
        """Every measure, shape (columns,)."""
        return from_sums(
            self.sums,
            self.account.panel.bars - self.account.origin,
            self.account.periods,
            self.account.market_returns,
        )

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
        """Equity and orders of chosen columns, by running those again."""
        which = np.atleast_1d(np.arange(len(self)) if columns is None else np.asarray(columns))
        if not which.size or which.dtype.kind not in "iu":
            raise InputError(f"columns = {columns!r}: must be column numbers, at least one")
        if which.min() < 0 or which.max() >= len(self):
            raise InputError(f"columns = {columns!r}: must be within 0 and {len(self) - 1}")
        again = self.__dict__.setdefault("_again", {})
        name = which.tobytes()
        if name not in again:
            again[name] = record(self.account, self.columns[which])
        return (which, *again[name])

    def equity(self, columns: Any = None) -> pd.DataFrame:
        """Equity at each close of the chosen columns (all of them by default)."""
        import pandas as pd

        which, equity, _, _ = self._recorded(columns)
        return pd.DataFrame(equity.T, index=self.account.panel.index, columns=which)

    def returns(self, columns: Any = None) -> pd.DataFrame:
        """Simple returns per bar of the chosen columns: one fewer than bars, the first from the
        starting cash to the close of the second bar.

        Where orders fill at the open of the bar that decided (`fill="same_open"`) the first bar has
        a return, too.
        """
        equity = self.equity(columns)
        first = self.account.origin
        before = equity.shift(1)
        before.iloc[first] = self.account.cash
        return (equity / before - 1.0).iloc[first:]

    def _fills(self, columns: Any) -> pd.DataFrame:
        """Everything that reached the market, filled or not."""
        import pandas as pd

        which, _, fills, count = self._recorded(columns)
        panel = self.account.panel
        bars = fills[:, 0].astype(np.int64)
        return pd.DataFrame(
            {
                "column": np.repeat(which, count),
                "bar": bars,
                "date": panel.index[bars],
                "asset": np.array(panel.assets, dtype=object)[fills[:, 1].astype(np.int64)],
                "side": np.where(
                    np.where(fills[:, 2] != 0.0, fills[:, 2], fills[:, 5]) > 0.0, "buy", "sell"
                ),
                "size": np.abs(fills[:, 2]),
                "price": fills[:, 3],
                "fee": fills[:, 4],
                "wanted": np.abs(fills[:, 5]),
                "cause": np.array(CAUSES, dtype=object)[fills[:, 6].astype(np.int64)],
                "reason": np.array(REASONS, dtype=object)[fills[:, 7].astype(np.int64)],
            }
        )

    def orders(self, columns: Any = None) -> pd.DataFrame:
        """Every fill of the chosen columns: column, bar, date, asset, side, size, price, fee,
        units wanted, cause, and why it was not filled in full.
        """
        fills = self._fills(columns)
        return fills[fills["size"] > 0.0].reset_index(drop=True)

    def rejects(self, columns: Any = None) -> pd.DataFrame:
        """Every order of the chosen columns that could not fill, with its reason."""
        fills = self._fills(columns)
        return fills[fills["size"] == 0.0].drop(columns=["size", "fee"]).reset_index(drop=True)

    def order_status(self) -> pd.DataFrame:
        """The status of each order of `orders=`: its state, the units filled, the bar at which the
        order ended, and the reason if it did not fill.
        """
        import pandas as pd

        if self.account.rule is not RestingOrders:
            raise InputError("order_status: only a run with orders= has resting orders")
        state, filled, reason, bar = (
            self.statuses[:, list(OrderStatus.__annotations__).index(name)]
            for name in ("state", "filled", "reject", "bar")
        )
        return pd.DataFrame(
            {
                "state": np.array(STATES, dtype=object)[state.astype(np.int64)],
                "filled": filled,
                "bar": np.where(state > 1, bar, np.nan),
                "reason": np.array(REASONS, dtype=object)[reason.astype(np.int64)],
            }
        )

    def trades(self, columns: Any = None, *, matching: str = "average") -> pd.DataFrame:
        """The trades of the chosen columns; open trades are valued at the last price.

        `matching` is average (a sale is matched with the average entry price of the position),
        fifo (a sale is matched with the earliest purchases) or position (one row for each position,
        from its first fill to its last).
        """
        if matching not in ("average", "fifo", "position"):
            raise unknown("matching", matching, ("average", "fifo", "position"))
        return matched.trades(self.orders(columns), self.account.panel, matching)

    def positions(self, columns: Any = None) -> pd.DataFrame:
        """The units held at each close, shape (bars, columns x assets)."""
        import pandas as pd

        panel, orders = self.account.panel, self.orders(columns)
        which = np.arange(len(self)) if columns is None else np.atleast_1d(columns)
        out = {}
        shares = np.ones(panel.close.shape) if panel.shares is None else panel.shares
        for column in which:
            own = orders[orders["column"] == column]
            assets = (
                panel.assets
                if self.account.assets > 1
                else (panel.assets[int(self.columns[column]) // self.account.rows],)
            )
            for asset in assets:
                moves = np.zeros(panel.bars)
                fills = own[own["asset"] == asset]
                np.add.at(
                    moves,
                    fills["bar"].to_numpy(),
                    np.where(fills["side"] == "buy", 1.0, -1.0) * fills["size"],
                )
                grown = shares[:, panel.asset(asset)]
                held = np.cumsum(moves / grown) * grown
                out[column, asset] = np.where(
                    np.abs(held) < 1e-9 * max(float(np.abs(moves).max(initial=0.0)), 1e-300),
                    0.0,
                    held,
                )
        frame = pd.DataFrame(out, index=panel.index)
        frame.columns = pd.MultiIndex.from_tuples(list(out), names=["column", "asset"])
        return frame

    def drawdowns(self, columns: Any = None) -> pd.DataFrame:
        """Every drawdown of the chosen columns: peak, lowest point, recovery, depth, and length in
        bars.
        """
        return matched.drawdowns(self.equity(columns), self.account.cash)

    def deflated_sharpe(self) -> dict[str, float]:
        """The best column, and its Sharpe ratio deflated by the number of trials
        (`gpuquant.validation.overfitting`).

        Returns
        -------
        dict
            column, trials, sharpe, deflated_sharpe (the probability that the true ratio is above
            the best ratio that so many trials would reach by luck), and minimum_years (the years
            of record above which luck alone is not expected to reach the ratio).
        """
        if self.account.paths is not None:
            raise InputError(
                "paths are not trials: the best of them says nothing; look at the distribution"
            )
        ratios = self.measures["sharpe"]
        trials = int(self.meta.get("trials", len(self)))
        if not np.isfinite(ratios).any():
            return {
                "column": 0,
                "trials": trials,
                "sharpe": float("nan"),
                "deflated_sharpe": float("nan"),
                "minimum_years": float("nan"),
            }
        best = int(np.nanargmax(ratios))
        spread = self.meta.get(
            "sharpe_spread",
            float(np.nanstd(ratios, ddof=1)) if np.isfinite(ratios).sum() > 1 else 0.0,
        ) / np.sqrt(self.account.periods)
        returns = self.returns([best]).to_numpy()[:, 0]
        return {
            "column": best,
            "trials": trials,
            "sharpe": float(ratios[best]),
            "deflated_sharpe": measures.deflated_sharpe(returns, trials, spread),
            "minimum_years": measures.minimum_length(trials, float(ratios[best])),
        }

    def needed(self, best: dict[str, float]) -> str:
        """A text: the years of record that the best ratio needs to be more than luck, and the years
        that the back-test has.
        """
        there = (
            "there are "
            f"{duration((self.account.panel.bars - self.account.origin) / self.account.periods)}"
        )
        if not best["sharpe"] > 0.0:
            return f"a ratio that is not above zero stands out in no record; {there}"
        return (
            f"a ratio this good needs {duration(best['minimum_years'])} to stand out, and {there}"
        )

    def summary(self) -> str:
        """A few lines of text: for one account its measures; for a grid the deflated Sharpe ratio,
        the best and the median; for price paths the distribution.
        """
        text = in_words(self)
        return f"{text}\nwithout costs: trading is free here" if self.account.free else text

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        free = "; without costs: trading is free here" if self.account.free else ""
        return f"{self.frame.head(20).to_html()}<p>{len(self)} columns{free}</p>"

    def report(self, path: str | Path) -> Path:
        """Write one offline HTML page with the deflated Sharpe ratio, the best column and the
        distribution of all columns; return the path of the page.
        """
        from gpuquant.backtesting.page import write

        return write(self, path)

    def names(self, which: Any) -> list[str]:
        """The names of columns in a plot."""
        return [
            ", ".join(
                f"{name} {v[c]}" if name != "asset" else str(v[c])
                for name, v in self.labels.items()
            )
            for c in which
        ]

    def plot(
        self, columns: Any = None, *, kind: str = "equity", ax: Any = None, **choices: Any
    ) -> Any:
        """A picture of the chosen columns (of a grid, the best by Sharpe ratio).

        `kind` is equity, account (equity, drawdown and the trades on the price, of one column),
        underwater, rolling (a rolling Sharpe ratio; `window=` bars), exposure, heatmap (`x=`, `y=`
        parameters, `measure=`) or distribution (`measure=`, over all columns).
        """
        from gpuquant.backtesting.pictures import KINDS

        if kind not in KINDS:
            raise unknown("kind", kind, KINDS)
        if columns is None and len(self) > 1:
            columns = [int(np.nanargmax(self.measures["sharpe"]))]
        return KINDS[kind](self, columns, ax, **choices)
